package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// TestSampleEnds samples a store that answers, and one that does not: that is given up
// long before whoever asked has lost patience.
func TestSampleEnds(t *testing.T) {
	r := chaintest.New(t)
	treetest.Write(t, r.Source, treetest.File("file", "content"))
	r.Backup(treetest.BaseTime, backup.Full)
	set := r.Load().Latest().Sets[0]
	m, err := r.Manifest(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	v := &neededVolume{set, m.Volumes[0], set.Volumes[0]}
	repo := r.Repository
	if rate := sampleRate(t.Context(), &repo, v); rate <= 0 {
		t.Errorf("rate %v", rate)
	}
	repo.Store = storetest.NewFault(r.Store, storetest.Rule{Op: storetest.Get, Match: "*vol1*", Effect: storetest.Stall})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if rate := sampleRate(ctx, &repo, v); rate != 0 || ctx.Err() != nil {
		t.Errorf("of a store that stalls: rate %v, %v", rate, ctx.Err())
	}
}

// TestForecastInterrupted stops a dry run while it samples a server that has gone silent:
// that is an interruption, and no estimate.
func TestForecastInterrupted(t *testing.T) {
	f := newFreezer(t, time.Hour)
	f.do(t, "full", "--no-encryption", f.src, f.url).exit(t, 0)
	f.interrupted(t, s3test.Rule{Op: s3test.GetObject, Match: "*.vol1.*"}, "restore", "--dry-run", f.url, filepath.Join(t.TempDir(), "out"))
}

// TestDoctorInterrupted stops a trial: nothing has failed by that.
func TestDoctorInterrupted(t *testing.T) {
	f := newFreezer(t, time.Hour)
	f.interrupted(t, s3test.Rule{Op: s3test.ListObjectsV2}, "doctor", f.url)
}

// interrupted runs a command on a server that goes silent by a rule, and interrupts it
// then: it must end at once and say so, and nothing else.
func (f *freezer) interrupted(t *testing.T, rule s3test.Rule, command string, args ...string) {
	t.Helper()
	rule.Times, rule.Effect = -1, s3test.StallResponse
	f.fake.Break(1, rule)
	before := f.fake.Count(rule.Op)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr bytes.Buffer
	env := f.env
	env.Stdout, env.Stderr = &stdout, &stderr
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, env, append(append([]string{command}, f.flags...), args...)) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); f.fake.Count(rule.Op) == before; <-tick.C {
		if time.Now().After(deadline) {
			t.Error("nothing is asked")
			break
		}
	}
	cancel()
	if code := <-ended; code != exitFailure || stderr.String() != "hindsight: interrupted\n" || stdout.Len() > 0 {
		t.Errorf("exit code %d, printed %q, said %q", code, &stdout, &stderr)
	}
}

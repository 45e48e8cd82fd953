package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// rough is a small corpus in two states, and what a backup of each in turn puts on a
// server that nothing is wrong with.
type rough struct {
	before, after         string // sources
	beforeTree, afterTree treetest.Tree
	sizes                 map[string]int64 // by key
}

const (
	roughFull = int64(1_800_000_000)
	roughInc  = roughFull + 86400
)

// newRough writes the corpus: its first volume goes up in two parts, its second in one
// piece.
func newRough(t *testing.T) *rough {
	t.Helper()
	rng := treetest.Rand(t, 5)
	dir := t.TempDir()
	r := &rough{before: filepath.Join(dir, "before"), after: filepath.Join(dir, "after")}
	noise := make([]byte, 20<<20)
	if _, err := rand.NewChaCha8([32]byte{7}).Read(noise); err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{r.before, r.after} {
		treetest.Write(t, src, treetest.File("large", string(noise)))
		treetest.Random(t, filepath.Join(src, "random"), treetest.Rand(t, 6), treetest.RandomOptions{})
	}
	treetest.Mutate(t, filepath.Join(r.after, "random"), rng, roughInc-100, 20, treetest.RandomOptions{})
	treetest.Write(t, r.after, treetest.File("new", string(noise[1<<20:3<<20])))
	r.beforeTree, r.afterTree = treetest.Record(t, r.before), treetest.Record(t, r.after)
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{s3Bucket}})
	r.backups(t, newS3Node(t, fake.URL, s3test.Root, "node"))
	r.sizes = fake.Sizes(t, s3Bucket)
	if n := fake.Count(s3test.UploadPart); n != 2 || len(r.sizes) != 9 {
		t.Fatalf("%d parts and objects %v, want 2 parts, 3 volumes, 2 signatures, 2 portable indexes and 2 manifests", n, r.sizes)
	}
	return r
}

func (r *rough) backups(t *testing.T, n *s3Node) {
	t.Helper()
	n.run(t, "full", r.full(n, 0)...).OK(t)
	n.run(t, "incremental", "--allow-source-mismatch", "--current-time", epochText(roughInc), "--no-compression", r.after, n.url).OK(t)
}

// full are the arguments of a full backup. What does not compress is not compressed:
// it is the server that matters.
func (r *rough) full(n *s3Node, after int64) []string {
	return []string{"--volsize", "17", "--no-compression", "--current-time", epochText(roughFull + after), r.before, n.url}
}

// survives backs up both states and restores the second, for which both are read, on a server that breaks by rule. What it
// holds in the end must be what a good one holds.
func (r *rough) survives(t *testing.T, fake *s3test.Fake, n *s3Node, seed uint64, rules ...s3test.Rule) {
	t.Helper()
	fake.Break(seed, rules...)
	r.backups(t, n)
	if diff := cmp.Diff(r.sizes, fake.Sizes(t, s3Bucket)); diff != "" {
		t.Errorf("objects of other names or sizes than on a good server:\n%s", diff)
	}
	if uploads := fake.Uploads(); uploads != 0 {
		t.Errorf("%d unfinished uploads are left", uploads)
	}
	n.restores(t, r.afterTree)
}

type roughTest struct {
	name  string
	opt   s3test.Options
	rules []s3test.Rule
}

// timeout is short where it is what ends a stall, else longer than a busy machine
// takes for a part.
func (tt *roughTest) timeout() string {
	if tt.name == "stalls" {
		return "2"
	}
	return "30"
}

// TestS3Faults breaks a server in one way after the other. Backup and restore must not
// notice, but for the time they take.
func TestS3Faults(t *testing.T) {
	treetest.NeedRoot(t)
	r := newRough(t)
	type rules = []s3test.Rule
	tests := []roughTest{
		{"burst of 503", s3test.Options{}, rules{{Nth: 3, Times: 4}, {Op: s3test.GetObject, Times: 3}}},
		{"429", s3test.Options{}, rules{{Op: s3test.PutObject, Times: 2, Status: 429, Code: "TooManyRequests"}, {Op: s3test.UploadPart, Status: 429}}},
		{"requests reset", s3test.Options{}, rules{
			{Op: s3test.UploadPart, Nth: 2, Effect: s3test.ResetRequest, At: s3test.Random},
			{Op: s3test.PutObject, Times: 2, Effect: s3test.ResetRequest, At: s3test.Random},
			{Op: s3test.CompleteMultipartUpload, Effect: s3test.ResetRequest},
		}},
		{"answers reset", s3test.Options{}, rules{
			{Op: s3test.GetObject, Times: 4, Effect: s3test.ResetResponse, At: s3test.Random},
			{Op: s3test.ListObjectsV2, Effect: s3test.ResetResponse, At: 10},
			{Op: s3test.PutObject, Effect: s3test.ResetResponse},
			{Op: s3test.UploadPart, Effect: s3test.ResetResponse},
		}},
		{"truncated", s3test.Options{}, rules{{Op: s3test.GetObject, Times: 4, Effect: s3test.Truncate, At: s3test.Random}}},
		{"short", s3test.Options{}, rules{{Op: s3test.GetObject, Times: 4, Effect: s3test.Short, At: s3test.Random}}},
		{"stalls", s3test.Options{}, rules{
			{Op: s3test.UploadPart, Effect: s3test.StallRequest, At: 1 << 20},
			{Op: s3test.PutObject, Effect: s3test.StallResponse},
			{Op: s3test.GetObject, Times: 2, Effect: s3test.StallResponse, At: 100_000},
		}},
		{"stored and lost", s3test.Options{}, rules{
			{Op: s3test.PutObject, Times: 3, Effect: s3test.Lost, Status: 500, Code: "InternalError"},
			{Op: s3test.CompleteMultipartUpload, Effect: s3test.Lost, Status: 500, Code: "InternalError"},
			{Op: s3test.CreateMultipartUpload, Effect: s3test.Error, Status: 500, Code: "InternalError"},
		}},
		{"wrong ETags", s3test.Options{}, rules{
			{Op: s3test.PutObject, Times: 2, Effect: s3test.WrongETag},
			{Op: s3test.UploadPart, Effect: s3test.WrongETag},
			{Op: s3test.GetObject, Effect: s3test.WrongETag},
		}},
		{"slow", s3test.Options{}, rules{{Times: -1, Effect: s3test.Slow, At: 20_000_000}}},
		{"clock ahead", s3test.Options{Skew: time.Hour}, nil},
		{"clock behind", s3test.Options{Skew: -26 * time.Hour}, nil},
		{"no conditions", s3test.Options{Conditional: s3test.Refused}, nil},
		{"conditions ignored", s3test.Options{Conditional: s3test.Ignored}, nil},
		{"2 % at random", s3test.Options{}, rules{{Chance: 0.02, Status: 500, Code: "InternalError"}, {Chance: 0.02, Effect: s3test.ResetResponse}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && tt.name != "answers reset" {
				t.Skip("short run")
			}
			t.Parallel()
			tt.opt.Buckets = []string{s3Bucket}
			fake := s3test.NewFake(t, tt.opt)
			n := newS3Node(t, fake.URL, s3test.Root, "node")
			n.flags = append(n.flags, "--timeout", tt.timeout())
			r.survives(t, fake, n, rand.Uint64(), tt.rules...)
			if !strings.Contains(tt.name, "random") {
				fake.AllFired(t)
			}
			fake.StaysBelow(t, s3Bucket, "node/")
		})
	}
}

// roughMix is everything at once, each in a few requests of a hundred.
func roughMix(chance float64) []s3test.Rule {
	mix := []s3test.Rule{
		{Effect: s3test.Error}, {Effect: s3test.Error, Status: 429, Code: "TooManyRequests"}, {Effect: s3test.Error, Status: 500, Code: "InternalError"},
		{Op: s3test.PutObject, Effect: s3test.Lost, Status: 500, Code: "InternalError"},
		{Op: s3test.CompleteMultipartUpload, Effect: s3test.Lost, Status: 503},
		{Effect: s3test.ResetRequest, At: s3test.Random}, {Effect: s3test.ResetResponse, At: s3test.Random},
		{Effect: s3test.Truncate, At: s3test.Random}, {Op: s3test.GetObject, Effect: s3test.Short, At: s3test.Random},
		{Effect: s3test.StallRequest, At: s3test.Random}, {Effect: s3test.StallResponse, At: s3test.Random},
		{Effect: s3test.WrongETag}, {Effect: s3test.Slow, At: 10_000_000},
	}
	for i := range mix {
		mix[i].Chance = chance
	}
	return mix
}

// TestSoakS3Faults mixes all faults at random: once, or for as long as a soak run
// goes on.
func TestSoakS3Faults(t *testing.T) {
	treetest.NeedRoot(t)
	if testing.Short() {
		t.Skip("short run")
	}
	r := newRough(t)
	end := time.Now().Add(treetest.SoakTime(t, 0))
	for i := 0; i == 0 || time.Now().Before(end) && !t.Failed(); i++ {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			opt := s3test.Options{Buckets: []string{s3Bucket}, Conditional: []s3test.Conditional{s3test.Honoured, s3test.Refused}[i%2]}
			fake := s3test.NewFake(t, opt)
			n := newS3Node(t, fake.URL, s3test.Root, "node")
			n.flags = append(n.flags, "--timeout", "2", "--num-retries", "12")
			r.survives(t, fake, n, rand.Uint64(), roughMix(0.03)...)
		})
	}
}

// permanentLimit is how long a run may take that cannot succeed, with the few retries
// it is given here.
const permanentLimit = 40 * time.Second

// TestS3PermanentFaults makes sure that a run which cannot succeed ends soon with the
// right exit code and one line, and that the next one is fine.
func TestS3PermanentFaults(t *testing.T) {
	treetest.Sequential(t) // TestS3Faults is for the race detector
	treetest.NeedRoot(t)
	r := newRough(t)
	always := func(op s3test.Op, effect s3test.Effect, status int, code string) s3test.Rule {
		return s3test.Rule{Op: op, Times: -1, Effect: effect, Status: status, Code: code}
	}
	tests := []struct {
		name    string
		rule    s3test.Rule
		code    int
		restore bool // it is a restore that cannot succeed
	}{
		{"503", always("", s3test.Error, 503, "SlowDown"), exitStore, false},
		{"500", always(s3test.PutObject, s3test.Error, 500, "InternalError"), exitStore, false},
		{"500 of parts", always(s3test.UploadPart, s3test.Error, 500, "InternalError"), exitStore, false},
		{"requests reset", always(s3test.UploadPart, s3test.ResetRequest, 0, ""), exitStore, false},
		{"requests stalled", always(s3test.UploadPart, s3test.StallRequest, 0, ""), exitStore, false},
		{"answers stalled", always(s3test.ListObjectsV2, s3test.StallResponse, 0, ""), exitStore, false},
		{"denied", always("", s3test.Error, 403, "AccessDenied"), exitPermission, false},
		{"unknown key", always("", s3test.Error, 403, "InvalidAccessKeyId"), exitPermission, false},
		{"no bucket", always("", s3test.Error, 404, "NoSuchBucket"), exitStoreAbsent, false},
		{"full", always(s3test.UploadPart, s3test.Error, 403, "QuotaExceeded"), exitNoSpace, false},
		{"gets reset", always(s3test.GetObject, s3test.ResetResponse, 0, ""), exitStore, true},
		{"gets stalled", always(s3test.GetObject, s3test.StallResponse, 0, ""), exitStore, true},
		{"gets truncated", always(s3test.GetObject, s3test.Truncate, 0, ""), exitStore, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && tt.code != exitNoSpace {
				t.Skip("short run")
			}
			t.Parallel() // they mostly wait
			fake := s3test.NewFake(t, s3test.Options{Buckets: []string{s3Bucket}})
			n := newS3Node(t, fake.URL, s3test.Root, "node")
			if tt.restore {
				n.run(t, "full", r.full(n, 0)...).OK(t)
			}
			fake.Break(0, tt.rule)
			patient := n.flags
			n.flags = append(n.flags, "--timeout", "2", "--num-retries", "1")
			begin := time.Now()
			if tt.restore {
				n.refused(t, tt.code, "get", "restore", n.url, filepath.Join(t.TempDir(), "out"))
			} else {
				n.refused(t, tt.code, "", "full", r.full(n, 0)...)
			}
			if took := time.Since(begin); took > permanentLimit {
				t.Errorf("it took %v to give up", took)
			}
			fake.AllFired(t)
			fake.Break(0)
			n.flags = patient
			for key := range maps.Keys(fake.Sizes(t, s3Bucket)) {
				if strings.Contains(key, "manifest") && !tt.restore {
					t.Errorf("%s is there though the backup failed", key)
				}
			}
			if !tt.restore {
				n.run(t, "full", r.full(n, 1)...).OK(t)
			}
			n.restores(t, r.beforeTree)
		})
	}
}

// TestS3NetworkAway takes the network away in the middle of a backup. While it comes
// back in time all is well; if it does not, the run ends.
func TestS3NetworkAway(t *testing.T) {
	t.Parallel() // it mostly waits
	treetest.NeedRoot(t)
	if testing.Short() {
		t.Skip("short run")
	}
	r := newRough(t)
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{s3Bucket}})
	shape, err := s3test.NewShape(fake.Addr(), s3test.Link{Rate: 20_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shape.Close(); err != nil {
			t.Error(err)
		}
	})
	n := newS3Node(t, "http://"+shape.Addr(), s3test.Root, "node")
	during := func(away func()) treetest.Result {
		t.Helper()
		begun := make(chan struct{})
		go func() {
			defer close(begun)
			for fake.Count(s3test.CreateMultipartUpload) == 0 && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			away()
		}()
		result := n.run(t, "full", r.full(n, 0)...)
		<-begun
		return result
	}
	during(func() {
		shape.Off()
		time.AfterFunc(time.Second, shape.On)
	}).OK(t)
	n.restores(t, r.beforeTree)

	fake.Recorder.Reset()
	n.url += "2"
	patient := n.flags
	n.flags = append(n.flags, "--timeout", "1", "--num-retries", "1")
	failed := during(shape.Off).Exit(t, exitStore)
	t.Logf("%s", failed.Stderr)
	shape.On()
	shape.Reset()
	n.flags = patient
	n.run(t, "full", r.full(n, 1)...).OK(t)
	n.restores(t, r.beforeTree)
}

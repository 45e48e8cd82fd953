package main

import (
	"context"
	"testing"
	"time"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
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

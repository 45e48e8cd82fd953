package content_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/naming"
	"hindsight/chain/source"
	"hindsight/chain/treetest"
	"hindsight/index/content"
)

// TestLargeFilesTakeTurns opens two files in so many pieces that each may have half of
// the budget: with both open there would be no room for a block, and both would wait
// for the other for ever.
func TestLargeFilesTakeTurns(t *testing.T) {
	treetest.Sequential(t)
	const blocks, blockLen = 16_000, 512
	r := chaintest.New(t)
	rng := treetest.Rand(t, 17)
	want := make(map[string][]byte)
	for day := range 2 {
		for _, name := range []string{"one", "two"} {
			if day == 0 {
				want[name] = treetest.Content(rng, blocks*blockLen)
			}
			for i := 0; i < blocks && day == 1; i += 2 {
				want[name][i*blockLen]++
			}
			treetest.Write(t, r.Source, treetest.File(name, string(want[name])).At(treetest.BaseTime+int64(day)))
		}
		_, err := backup.Run(t.Context(), backup.Options{
			Repository: &r.Repository, Source: source.Options{Root: r.Source}, Time: naming.Time(treetest.BaseTime + day*1000),
			Set: r.Set, Hostnames: []string{"host"}, MaxBlock: blockLen,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	x, c := open(t, &r.Repository, r.Load(), content.Options{Memory: content.MinMemory})
	s := x.Snapshots()[1]
	one, err := s.LookupPath("one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.LookupPath("two")
	if err != nil {
		t.Fatal(err)
	}
	extents, err := s.Extents(one.ID)
	if err != nil || len(extents) < blocks*9/10 {
		t.Fatalf("%d extents, %v", len(extents), err)
	}
	c.SetLimit(2*content.ExtentCost*int64(len(extents)) + 10_000)

	f, err := c.Open(t.Context(), s, one.ID)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if g, err := c.Open(ctx, s, two.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second file is opened beside the first: %v, %v", g, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := make([]byte, 20_000)
	if n, err := f.ReadAt(ctx, got, 0); err != nil || !bytes.Equal(got, want["one"][:n]) {
		t.Errorf("the first file: %d bytes, %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if f, err = c.Open(ctx, s, two.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ReadAt(ctx, got, 0); err != nil || !bytes.Equal(got, want["two"][:n]) {
		t.Errorf("the second file: %d bytes, %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

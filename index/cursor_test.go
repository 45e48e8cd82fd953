package index_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// TestReadDirAnyOrder lists directories of two snapshots from anywhere to anywhere, in all
// orders: what one listing leaves behind must not mislead the next.
func TestReadDirAnyOrder(t *testing.T) {
	r := chaintest.New(t)
	var nodes []treetest.Node
	for i := range 60 {
		nodes = append(nodes, treetest.File(fmt.Sprintf("d%d/e%d/f%02d", i%3, i%5, i), "content"))
	}
	treetest.Write(t, r.Source, append(nodes, treetest.Dir("empty"))...)
	r.Backup(treetest.BaseTime, backup.Full)
	for i := range 20 {
		nodes[3*i] = treetest.File(fmt.Sprintf("d%d/e%d/g%02d", i%3, i%5, i), "content")
	}
	treetest.Write(t, r.Source, nodes...)
	r.Backup(treetest.BaseTime+1, backup.Incremental)
	x := openIndex(t, t.TempDir())
	build(t, x, &r.Repository, r.Load())

	type dir struct {
		snapshot *index.Snapshot
		id       index.ID
	}
	var dirs []dir
	want := make(map[dir][]index.ID)
	for _, s := range x.Snapshots() {
		err := s.Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
			if e.Type == difftar.Directory {
				dirs = append(dirs, dir{s, e.ID})
			}
			if e.Parent != 0 {
				d := dir{s, e.Parent}
				want[d] = append(want[d], e.ID)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(dirs) < 20 {
		t.Fatalf("%d directories", len(dirs))
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	at := 0
	for range 3000 {
		if at++; rng.IntN(3) == 0 {
			at = rng.IntN(len(dirs))
		}
		d := dirs[at%len(dirs)]
		all := want[d]
		from := rng.IntN(len(all) + 1)
		if rng.IntN(2) == 0 {
			from = 0
		}
		n := min(rng.IntN(2*len(all)+2), len(all)-from)
		after := index.ID(0)
		if from > 0 {
			after = all[from-1]
		}
		var got []index.ID
		for e, err := range d.snapshot.ReadDir(d.id, after) {
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == n { // what comes is left for the next listing
				break
			}
			got = append(got, e.ID)
		}
		if !slices.Equal(got, all[from:from+n]) {
			t.Fatalf("directory %d of %v from %d: %v, want %v", d.id, d.snapshot.Set, after, got, all[from:from+n])
		}
	}
}

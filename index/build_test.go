package index_test

import (
	"testing"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// TestGoldenRepositories indexes every golden repository and compares each snapshot
// with what duplicity restored at its time.
func TestGoldenRepositories(t *testing.T) {
	times := 0
	for _, c := range treetest.LoadCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			r, col := chaintest.Golden(t, c)
			x := openIndex(t, t.TempDir())
			build(t, x, r, col)
			for _, at := range c.Times {
				if !c.Restorable(at) {
					continue
				}
				times++
				s := x.At(naming.Time(at))
				if s == nil {
					t.Errorf("%d: no snapshot", at)
					continue
				}
				want := c.Expected(t, at)
				treetest.Equal(t, tree(t, s, want), want, treetest.AsDuplicity())
			}
		})
	}
	t.Logf("%d times", times)
}

// TestRandomHistory backs random trees up through chains of random edits, and compares
// each snapshot, in whatever generation, with the tree as it was.
func TestRandomHistory(t *testing.T) {
	opt := treetest.RandomOptions{OddNames: true, Special: true}
	for _, seed := range []uint64{1, 2} {
		rng := treetest.Rand(t, seed)
		r := chaintest.New(t)
		treetest.Random(t, r.Source, rng, opt)
		x := openIndex(t, t.TempDir())
		want := make(map[int64]treetest.Tree)
		for day := range int64(8) {
			at := int64(treetest.BaseTime) + day*86400
			mode := backup.Auto
			if day == 5 {
				mode = backup.Full
			}
			if day > 0 {
				treetest.Mutate(t, r.Source, rng, at-100, 12, opt)
			}
			want[at] = treetest.Record(t, r.Source)
			r.Backup(at, mode)
			if rng.IntN(2) == 0 {
				build(t, x, &r.Repository, r.Load())
			}
		}
		build(t, x, &r.Repository, r.Load())
		if again := build(t, x, &r.Repository, r.Load()); again != (index.BuildResult{}) {
			t.Errorf("a second build did something: %+v", again)
		}
		if got := len(x.Snapshots()); got != len(want) {
			t.Errorf("%d snapshots, want %d", got, len(want))
		}
		for _, s := range x.Snapshots() {
			tr := want[int64(s.Time)]
			treetest.Equal(t, tree(t, s, tr), tr, treetest.AsDuplicity())
			n := s.Totals
			if n.Files != int64(tr.Count(treetest.TypeFile)) || n.Dirs != int64(tr.Count(treetest.TypeDir)) {
				t.Errorf("totals %+v at %v, want %d files, %d directories", n, s.Time, tr.Count(treetest.TypeFile), tr.Count(treetest.TypeDir))
			}
		}
	}
}

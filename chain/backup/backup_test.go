package backup_test

import (
	"path/filepath"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/treetest"
)

// TestRandomChains backs up random trees through random edits, in volumes so small
// that files span them, and restores every state.
func TestRandomChains(t *testing.T) {
	treetest.NeedRoot(t)
	seeds := uint64(4)
	switch {
	case treetest.Short():
		seeds = 1
	case testing.Short():
		seeds = 2
	}
	for seed := range seeds {
		rng := treetest.Rand(t, seed)
		opts := treetest.RandomOptions{Nodes: 60, MaxSize: 400 << 10, OddNames: true, Special: true, Owners: true}
		src := filepath.Join(t.TempDir(), "src")
		treetest.Random(t, src, rng, opts)
		p := newPlace(t)
		states := make(map[int64]treetest.Tree)
		for i := range int64(6) {
			at := treetest.BaseTime + 1000*(i+1)
			if i > 0 {
				treetest.Mutate(t, src, rng, at-500, 12, opts)
			}
			mode := backup.Auto
			if i == 4 {
				mode = backup.Full
			}
			p.backup(t, src, at, backup.Options{Mode: mode, Set: chain.SetOptions{VolumeSize: 256 << 10}})
			states[at] = treetest.Record(t, src)
		}
		for at, want := range states {
			p.wantState(t, at, want)
		}
	}
}

package main

import (
	"path/filepath"
	"testing"

	"hindsight/chain/treetest"
)

// TestInterop lets duplicity and hindsight extend one chain in turn. Each restores
// every state, and both list the same.
func TestInterop(t *testing.T) {
	if testing.Short() {
		t.Skip("runs duplicity a dozen times")
	}
	treetest.NeedRoot(t)
	for _, encrypted := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "encrypted"}[encrypted]
		t.Run(name, func(t *testing.T) { interop(t, encrypted) })
	}
}

func interop(t *testing.T, encrypted bool) {
	d, w := treetest.Duplicity(t), newWorld(t)
	flags := []string{"--no-encryption"}
	if encrypted {
		d.Encrypt(t, treetest.GPGHome(t), "one two")
		w.vars["PASSPHRASE"] = "one two"
		flags = nil
	}
	src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
	rng := treetest.Rand(t, 7)
	treetest.Random(t, src, rng, treetest.RandomOptions{Special: true})
	states := map[int64]treetest.Tree{}
	for i := range int64(4) {
		at := int64(1_800_000_000) + i*86400
		if i > 0 {
			treetest.Mutate(t, src, rng, at-100, 12, treetest.RandomOptions{})
		}
		states[at] = treetest.Record(t, src)
		switch {
		case i == 0:
			d.Full(t, src, repo, at).OK(t)
		case i%2 == 0:
			d.Inc(t, src, repo, at, "--allow-source-mismatch").OK(t)
		default:
			args := append([]string{"inc", "--allow-source-mismatch", "--current-time", epochText(at), src, treetest.URL(t, repo)}, flags...)
			w.run(t, args...).exit(t, 0)
		}
	}
	for at, want := range states {
		ours, theirs := filepath.Join(t.TempDir(), "ours"), filepath.Join(t.TempDir(), "theirs")
		w.run(t, "restore", "-t", epochText(at), repo, ours).exit(t, 0)
		treetest.Equal(t, treetest.Record(t, ours), want, treetest.AsDuplicity())
		d.Restore(t, repo, theirs, at).OK(t)
		treetest.Equal(t, treetest.Record(t, theirs), want, treetest.AsDuplicity())
	}
}

func epochText(at int64) string { return (*epoch)(&at).String() }

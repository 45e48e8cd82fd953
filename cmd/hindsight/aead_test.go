package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/chaintest"
	"hindsight/chain/treetest"
)

// TestAEAD reads a chain of duplicity's as a gpg would have written it that encrypts to
// AEAD packets, in all ways, and continues it.
func TestAEAD(t *testing.T) {
	treetest.Sequential(t)
	if testing.Short() {
		t.Skip("runs duplicity")
	}
	const pass = "one two"
	d := treetest.Duplicity(t)
	d.Encrypt(t, treetest.GPGHome(t), pass, "--volsize", "1")
	src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
	rng := treetest.Rand(t, 6)
	opts := treetest.RandomOptions{MaxSize: 2_000_000}
	treetest.Random(t, src, rng, opts)
	const first, second = 1_700_000_000, 1_700_086_400
	d.Full(t, src, repo, first).OK(t)
	states := map[int64]treetest.Tree{first: treetest.Record(t, src)}
	treetest.Mutate(t, src, rng, second-1000, 10, opts)
	d.Inc(t, src, repo, second).OK(t)
	states[second] = treetest.Record(t, src)
	chaintest.AEADFolder(t, repo, pass)

	w := newWorld(t)
	w.vars["PASSPHRASE"] = pass
	for at, want := range states {
		to := filepath.Join(t.TempDir(), "to")
		w.run(t, "restore", "--time", epochText(at), repo, to).exit(t, 0)
		treetest.Equal(t, treetest.Record(t, to), want, treetest.AsDuplicity())
		listed := strings.Split(w.run(t, "list", "--time", epochText(at), repo).exit(t, 0).stdout, "\n")
		for _, e := range want {
			if e.Path != "" && !slices.ContainsFunc(listed, func(line string) bool { return strings.HasSuffix(line, e.Path) }) {
				t.Errorf("list at %d lacks %q", at, e.Path)
			}
		}
	}
	for _, e := range states[second] {
		if e.Type != treetest.TypeFile {
			continue
		}
		want, err := os.ReadFile(filepath.Join(src, e.Path))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.run(t, "cat", repo, e.Path).exit(t, 0); got.stdout != string(want) {
			t.Errorf("%s: %d bytes of %d, or others", e.Path, len(got.stdout), len(want))
		}
	}
	t.Run("mount", func(t *testing.T) {
		treetest.NeedRoot(t)
		p := newProgram(t)
		p.env = append(p.env, "PASSPHRASE="+pass)
		m := p.mount(t, repo)
		for at, want := range states {
			treetest.Equal(t, treetest.Record(t, m.at(at)), want, treetest.AsDuplicity())
		}
	})
	t.Run("continued", func(t *testing.T) {
		const third = second + 86_400
		treetest.Mutate(t, src, rng, third-1000, 10, opts)
		w.run(t, "backup", "--allow-source-mismatch", "--current-time", epochText(third), src, repo).exit(t, 0)
		to := filepath.Join(t.TempDir(), "to")
		w.run(t, "restore", repo, to).exit(t, 0)
		treetest.Equal(t, treetest.Record(t, to), treetest.Record(t, src), treetest.AsDuplicity())
	})
}

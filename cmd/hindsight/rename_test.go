package main

import (
	"path/filepath"
	"testing"

	"hindsight/chain/treetest"
)

// TestRenameInterop gives paths new names as duplicity does.
func TestRenameInterop(t *testing.T) {
	treetest.Sequential(t)
	treetest.NeedRoot(t)
	d, w := treetest.Duplicity(t), newWorld(t)
	dir := t.TempDir()
	src, repo := filepath.Join(dir, "src"), filepath.Join(dir, "repo")
	treetest.Write(t, src,
		treetest.File("docs/in/deep/b", "b"), treetest.File("docs/in/c", "c"), treetest.File("docs/a", "a"),
		treetest.File("docs-2/x", "x"), treetest.File("d", "d"), treetest.Symlink("l", "d"), treetest.File("z/z", "z"))
	d.Full(t, src, repo, treetest.BaseTime).OK(t)
	for i, args := range [][]string{
		{"--rename", "docs", "new", "--rename", "docs/in", "else"},
		{"--rename", "docs/in/deep", "above/all", "--rename", "d", "e"},
		{"--rename", "l", "links", "--rename", "z", "zz"},
		{"--file-to-restore", "docs", "--rename", "in/deep", "out", "--rename", "a", "aa"},
	} {
		ours, theirs := filepath.Join(dir, "ours", string(rune('a'+i))), filepath.Join(dir, "theirs"+string(rune('a'+i)))
		d.Restore(t, repo, theirs, treetest.BaseTime, args...).OK(t)
		w.run(t, append(append([]string{"restore"}, args...), repo, ours)...).exit(t, 0)
		// Directories that only a new name made have the time at which that was.
		made := func(e treetest.Entry) bool { return e.Path == "above" }
		treetest.Equal(t, treetest.Record(t, ours).Without(made), treetest.Record(t, theirs).Without(made), treetest.AsDuplicity())
	}
}

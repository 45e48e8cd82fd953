package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// TestReloadDamaged reloads a repository one of whose sets can be taken in from nothing:
// what is damaged is read and told of once, and again when something has changed.
func TestReloadDamaged(t *testing.T) {
	w := newWorld(t)
	src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
	backup := func(day int64, content string) {
		t.Helper()
		treetest.Write(t, src, treetest.File("file", content))
		at := fmt.Sprint(treetest.BaseTime + day*86400)
		w.run(t, "backup", "--no-encryption", "--current-time", at, src, repo).exit(t, 0)
	}
	backup(0, "one")
	backup(1, "two and more")
	cutFile(t, filepath.Join(repo, "hindsight-toc.*.to.*"))
	cutFile(t, filepath.Join(repo, "duplicity-new-signatures.*"))
	cutFile(t, filepath.Join(repo, "duplicity-inc.*.difftar*"))

	var said bytes.Buffer
	j := &job{env: w.env, opt: &common{cacheDir: t.TempDir()}, console: &console{out: &said, level: levelWarning}}
	b, err := j.browse(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if n := len(b.index.Snapshots()); n != 1 || !strings.Contains(said.String(), "cannot be indexed") {
		t.Fatalf("%d snapshots\n%s", n, said.String())
	}
	r := w.run(t, "list", "--cache-dir", j.opt.cacheDir, repo).exit(t, exitFailure)
	if !strings.HasSuffix(r.stderr, "cannot be browsed; give an earlier --time, or restore --ignore-errors\n") {
		t.Errorf("list said %q", r.stderr)
	}
	log := storetest.NewOpLog(b.Store)
	b.Store = log
	reload := func(want int, changed bool) {
		t.Helper()
		said.Reset()
		before := len(log.Records())
		got, err := b.reload(t.Context(), j)
		if n := len(b.index.Snapshots()); err != nil || got != changed || n != want {
			t.Errorf("%d snapshots, changed %v, %v; want %d, %v", n, got, err, want, changed)
		}
		if n := len(log.Records()) - before; !changed && (n != 1 || said.Len() > 0) {
			t.Errorf("%d requests, of which one is a list, and was told: %s", n, said.String())
		}
	}
	reload(1, false)
	reload(1, false)
	w.run(t, "full", "--no-encryption", "--current-time", fmt.Sprint(treetest.BaseTime+2*86400), src, repo).exit(t, 0)
	reload(2, true)
	reload(2, false)
}

// cutFile cuts the one file that a pattern matches.
func cutFile(t *testing.T, pattern string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: %q, %v", pattern, names, err)
	}
	if err := os.Truncate(names[0], 20); err != nil {
		t.Fatal(err)
	}
}

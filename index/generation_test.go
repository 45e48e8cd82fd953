package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// small is a repository with two sets of a small tree.
func small(t *testing.T) *chaintest.Repository {
	r := chaintest.New(t)
	treetest.Write(t, r.Source, treetest.File("a", "one"), treetest.File("d/b", "two"))
	r.Backup(treetest.BaseTime, backup.Full)
	treetest.Write(t, r.Source, treetest.File("a", "three"))
	r.Backup(treetest.BaseTime+1000, backup.Incremental)
	return r
}

// paths lists what a snapshot has.
func paths(t *testing.T, s *index.Snapshot) string {
	t.Helper()
	var list []string
	for _, e := range tree(t, s, nil) {
		list = append(list, e.Path)
	}
	return strings.Join(list, " ")
}

// TestGenerations proves that a reader keeps what it has until it refreshes, that what
// nobody reads is removed, and that numbers stay what they are.
func TestGenerations(t *testing.T) {
	r, dir := small(t), t.TempDir()
	reader, writer := openIndex(t, dir), openIndex(t, dir)
	build(t, writer, &r.Repository, r.Load())
	if n := len(reader.Snapshots()); n != 0 {
		t.Fatalf("%d snapshots before Refresh", n)
	}
	refresh(t, reader)
	first := reader.Snapshots()[0]
	a, err := first.LookupPath("d/b")
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		treetest.Write(t, r.Source, treetest.File(fmt.Sprintf("new%d", i), "x"))
		r.Backup(treetest.BaseTime+2000+i, backup.Incremental)
		build(t, writer, &r.Repository, r.Load())
	}
	if n := len(reader.Snapshots()); n != 2 {
		t.Errorf("%d snapshots without Refresh, want 2", n)
	}
	if got := paths(t, reader.Snapshots()[1]); got != " a d d/b" {
		t.Errorf("the old generation shows %q", got)
	}
	if got := glob(t, dir, "gen-*"); len(got) != 2 {
		t.Errorf("generations %v, want that of the reader and the current one", got)
	}
	refresh(t, reader)
	if got := paths(t, reader.Snapshots()[4]); got != " a d d/b new0 new1 new2" {
		t.Errorf("the new generation shows %q", got)
	}
	if again, err := first.LookupPath("d/b"); err != nil || again != a {
		t.Errorf("after Refresh %+v, %v, want %+v", again, err, a)
	}
	treetest.Write(t, r.Source, treetest.File("last", "x"))
	r.Backup(treetest.BaseTime+3000, backup.Incremental)
	build(t, writer, &r.Repository, r.Load())
	refresh(t, reader)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	third := openIndex(t, dir)
	treetest.Write(t, r.Source, treetest.File("very last", "x"))
	r.Backup(treetest.BaseTime+4000, backup.Incremental)
	build(t, third, &r.Repository, r.Load())
	refresh(t, reader)
	build(t, third, &r.Repository, r.Load())
	if got := glob(t, dir, "gen-*"); len(got) != 1 {
		t.Errorf("generations %v when all readers have the current one", got)
	}
}

func refresh(t *testing.T, x *index.Index) {
	t.Helper()
	if changed, err := x.Refresh(); err != nil || !changed {
		t.Fatalf("Refresh() = %v, %v", changed, err)
	}
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestUnusableIndexes proves that an index that is damaged, of another repository or of
// another version is told in one line of the log, shows nothing, and is made anew with
// other numbers.
func TestUnusableIndexes(t *testing.T) {
	flip := func(pattern string, at int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, name := range glob(t, dir, pattern) {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				b[(at+int64(len(b)))%int64(len(b))] ^= 0x40
				if err := os.WriteFile(name, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	remove := func(pattern string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, name := range glob(t, dir, pattern) {
				if err := os.RemoveAll(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		harm   func(t *testing.T, dir string)
		reason string
	}{
		{"table", flip("gen-*/db/*.sst", 20), "database's files"},
		{"last byte of a table", flip("gen-*/db/*.sst", -1), "database's files"},
		{"manifest", flip("gen-*/db/MANIFEST", 9), "database's files"},
		{"table is missing", remove("gen-*/db/*.sst"), "database's files"},
		{"meta", flip("gen-*/meta", 12), "meta file"},
		{"meta is missing", remove("gen-*/meta"), "missing"},
		{"version", func(t *testing.T, dir string) {
			name := glob(t, dir, "gen-*/meta")[0]
			b, err := index.OtherSchema(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "another version"},
		{"pointer", flip("current", 3), "pointer"},
		{"generation is missing", remove("gen-*"), "missing"},
		{"another repository", nil, "another repository"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, dir := small(t), t.TempDir()
			x := openIndex(t, dir)
			build(t, x, &r.Repository, r.Load())
			old := x.Snapshots()[0].Number
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			opt := index.Options{Identity: "test"}
			if c.harm != nil {
				c.harm(t, dir)
			} else {
				opt.Identity = "another"
			}
			var log bytes.Buffer
			opt.Log = slog.New(slog.NewTextHandler(&log, nil))
			x, err := index.Open(dir, opt)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			if n := len(x.Snapshots()); n != 0 {
				t.Errorf("%d snapshots", n)
			}
			if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, c.reason) {
				t.Errorf("log %q, want one line with %q", s, c.reason)
			}
			build(t, x, &r.Repository, r.Load())
			if got := paths(t, x.Snapshots()[1]); got != " a d d/b" {
				t.Errorf("made anew it shows %q", got)
			}
			if _, err := x.Snapshot(old); !errors.Is(err, index.ErrGone) {
				t.Errorf("the number %d was given again: %v", old, err)
			}
		})
	}
}

// TestTruncatedChain takes sets away from a chain's end, and adds others.
func TestTruncatedChain(t *testing.T) {
	r := small(t)
	x := openIndex(t, t.TempDir())
	build(t, x, &r.Repository, r.Load())
	gone := x.Snapshots()[1]
	remove(t, r.Dir, "*.to.*")
	if !x.Stale(r.Load()) {
		t.Error("not stale after a set was removed")
	}
	if res := build(t, x, &r.Repository, r.Load()); res != (index.BuildResult{Dropped: 1}) {
		t.Errorf("Build: %+v", res)
	}
	if _, err := gone.Stat(index.Root); !errors.Is(err, index.ErrGone) {
		t.Errorf("Stat in a snapshot that was removed: %v", err)
	}
	treetest.Write(t, r.Source, treetest.File("d/b", "other"))
	r.Backup(treetest.BaseTime+2000, backup.Incremental)
	build(t, x, &r.Repository, r.Load())
	if n := len(x.Snapshots()); n != 2 {
		t.Fatalf("%d snapshots, want 2", n)
	}
	for _, ver := range versions(t, x, "a") {
		if s := ver.Snapshot; s.Time != treetest.BaseTime && s.Time != treetest.BaseTime+2000 {
			t.Errorf("a version of %v, which was removed", s.Time)
		}
	}
	remove(t, r.Dir, "*full*")
	build(t, x, &r.Repository, r.Load())
	if n := len(x.Snapshots()); n != 0 {
		t.Errorf("%d snapshots of no chain", n)
	}
}

func remove(t *testing.T, dir, pattern string) {
	t.Helper()
	list := glob(t, dir, pattern)
	if len(list) == 0 {
		t.Fatalf("nothing matches %s", pattern)
	}
	for _, name := range list {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDrop drops an index that is read, and makes another one.
func TestDrop(t *testing.T) {
	r, dir := small(t), t.TempDir()
	reader, writer := openIndex(t, dir), openIndex(t, dir)
	build(t, writer, &r.Repository, r.Load())
	refresh(t, reader)
	before, err := reader.Stat()
	if err != nil || before.Snapshots != 2 || before.Chains != 1 || before.Versions != 5 || before.Bytes == 0 {
		t.Errorf("Stat() = %+v, %v", before, err)
	}
	if err := index.Drop(context.Background(), dir); err != nil {
		t.Fatal(err)
	}
	old := reader.Snapshots()[0]
	if changed, err := reader.Refresh(); changed || err != nil {
		t.Errorf("Refresh() = %v, %v after the index was dropped", changed, err)
	}
	if got := paths(t, old); got != " a d d/b" {
		t.Errorf("an open reader shows %q", got)
	}
	if x := openIndex(t, dir); len(x.Snapshots()) != 0 {
		t.Error("a dropped index has snapshots")
	}
	build(t, writer, &r.Repository, r.Load())
	refresh(t, reader)
	if _, err := old.Stat(index.Root); !errors.Is(err, index.ErrGone) {
		t.Errorf("a snapshot of the index that was dropped: %v", err)
	}
	if got := paths(t, reader.Snapshots()[0]); got != " a d d/b" {
		t.Errorf("the new index shows %q", got)
	}
}

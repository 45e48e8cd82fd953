package index_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// TestManyLinks lists thousands of names that are one file, which must not have each of
// them counted for each: 9 million looks would take a minute.
func TestManyLinks(t *testing.T) {
	const names = 3000
	r := chaintest.New(t)
	dir := r.Source
	treetest.Write(t, dir, treetest.File("first", "content"))
	for i := range names - 1 {
		if err := os.Link(filepath.Join(dir, "first"), filepath.Join(dir, fmt.Sprint("name", i))); err != nil {
			t.Fatal(err)
		}
	}
	r.Backup(treetest.BaseTime, backup.Full)
	for i := range 10 {
		if err := os.Remove(filepath.Join(dir, fmt.Sprint("name", i))); err != nil {
			t.Fatal(err)
		}
	}
	r.Backup(treetest.BaseTime+1, backup.Incremental)
	x := openIndex(t, t.TempDir())
	build(t, x, &r.Repository, r.Load())
	for i, s := range x.Snapshots() {
		want := uint32(names - 10*i)
		first, err := s.LookupPath("first")
		if err != nil {
			t.Fatal(err)
		}
		seen := uint32(0)
		err = s.Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
			if e.Type != difftar.Regular {
				return nil
			}
			if seen++; e.Links != want || e.Link != first.Link || e.Link == 0 {
				t.Errorf("%s in snapshot %d has %d links and is %d, want %d and %d", path, i, e.Links, e.Link, want, first.Link)
			}
			return nil
		})
		if err != nil || seen != want {
			t.Errorf("snapshot %d has %d names, %v, want %d", i, seen, err, want)
		}
	}
}

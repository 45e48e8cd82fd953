package index_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/treetest"
	"hindsight/index"
)

// TestFullDisk builds an index where there is no room for one, or none any more: that is
// an error, the process lives, and with room the index is whole. No name of a directory
// is taken for a pattern.
func TestFullDisk(t *testing.T) {
	treetest.NeedRoot(t)
	r := small(t)
	for name, free := range map[string]int64{"from the beginning": 4 << 20, "after the first set": 10 << 20} { // bytes
		t.Run(name, func(t *testing.T) {
			disk := t.TempDir()
			if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
				treetest.Missing(t, "no tmpfs: "+err.Error())
			}
			t.Cleanup(func() {
				if err := unix.Unmount(disk, 0); err != nil {
					t.Error(err)
				}
			})
			filler := filepath.Join(disk, "filler")
			fill := func(done, total int) {
				if name != "from the beginning" && done != 1 {
					return // it is full already, or not to be yet
				}
				var st unix.Statfs_t
				if err := unix.Statfs(disk, &st); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filler, make([]byte, int64(st.Bavail)*st.Bsize-free), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			x, err := index.Open(filepath.Join(disk, "index [1"), index.Options{Identity: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if name == "from the beginning" {
				fill(0, 2)
			}
			_, err = x.Build(context.Background(), &r.Repository, r.Load(), index.BuildOptions{Progress: fill})
			if !errors.Is(err, unix.ENOSPC) {
				t.Errorf("built on a full disk: %v", err)
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			build(t, x, &r.Repository, r.Load())
			if got := paths(t, x.Snapshots()[1]); got != " a d d/b" {
				t.Errorf("with room it has %q", got)
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

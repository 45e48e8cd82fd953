package fusefs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hindsight/fusefs"
)

// TestPush counts the reads of a directory of small files, one of which is larger than
// what is pushed.
func TestPush(t *testing.T) {
	const large = 20
	for _, c := range []struct {
		held  bool
		reads int64
	}{
		{false, 41},
		{true, 2}, // the 1st, and the large one, whose end pushes on
	} {
		t.Run(fmt.Sprintf("held %v", c.held), func(t *testing.T) {
			src := t.TempDir()
			for i := range 41 {
				size := 100 + i
				if i == large {
					size = 70_000
				}
				err := os.WriteFile(filepath.Join(src, fmt.Sprintf("f%02d", i)), bytes.Repeat([]byte{byte(i)}, size), 0o600)
				if err != nil {
					t.Fatal(err)
				}
			}
			m := newModel()
			m.push.Store(c.held)
			m.add(t, src, first)
			dir, _ := mounted(t, m, fusefs.Options{Snapshot: 1})
			sh(t, dir, "ls -l >/dev/null")
			sh(t, dir, `for f in f*; do cmp "$f" "$1/$f"; done`, src)
			if n := m.read.Load(); n != c.reads {
				t.Errorf("%d reads, want %d", n, c.reads)
			}
		})
	}
}

// TestPushOn counts the reads of a tree whose directories have few files each, in the
// orders of those who enter a directory when they come to it, and of those who read the
// files of a directory first.
func TestPushOn(t *testing.T) {
	src := t.TempDir()
	for i := range 20 {
		dir := filepath.Join(src, fmt.Sprintf("d%d/e%d", i/4, i%4))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for k, name := range []string{dir + "/a", dir + "/b", dir + "z", filepath.Dir(dir) + fmt.Sprintf("/f%d", i)} {
			if err := os.WriteFile(name, fmt.Append(nil, i, k), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		list   string // of the 80 files
		listed string // directories that the kernel has seen all of
		reads  int64
	}{
		{"find . -type f | LC_ALL=C sort", ".", 3},
		{"for d in d?; do find $d -maxdepth 1 -type f; find $d/* -type f; done", ".", 3},
		{"find . -type f | LC_ALL=C sort", "d0", 2 + 64},
	} {
		m := newModel()
		m.push.Store(true)
		m.add(t, src, first)
		dir, _ := mounted(t, m, fusefs.Options{Snapshot: 1})
		list := sh(t, src, c.list)
		sh(t, dir, "ls -lR "+c.listed+" >/dev/null")
		sh(t, dir, `echo "$1" | while read f; do cmp "$f" "$2/$f"; done`, list, src)
		if n := m.read.Load(); n != c.reads {
			t.Errorf("%s, %s listed: %d reads, want %d", c.list, c.listed, n, c.reads)
		}
	}
}

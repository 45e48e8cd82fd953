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
		// The 1st and the 18th, the large one, whose end pushes on, and the first behind that.
		{true, 4},
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

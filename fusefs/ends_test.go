package fusefs_test

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/treetest"
	"hindsight/fusefs"
)

// TestFewLooks counts what is looked up for ls, which asks three times for attributes of
// each file: none of files that have none.
func TestFewLooks(t *testing.T) {
	src := t.TempDir()
	var nodes []treetest.Node
	for i := range 50 {
		nodes = append(nodes, treetest.File(fmt.Sprintf("d%d/file%02d", i%5, i), "content"))
	}
	treetest.Write(t, src, nodes...)
	m := newModel()
	m.add(t, src, first)
	dir, _ := mounted(t, m, fusefs.Options{Snapshot: 1})
	sh(t, dir, "ls -lR >/dev/null")
	if n := m.look.Load(); n > 1 { // the root
		t.Errorf("%d look-ups", n)
	}
	for range 3 {
		name := dir + "/d0/file00"
		if n, err := unix.Listxattr(name, nil); n != 0 || err != nil {
			t.Errorf("%d bytes of names, %v", n, err)
		}
		if _, err := unix.Getxattr(name, "user.other", nil); err != unix.ENODATA {
			t.Errorf("user.other: %v", err)
		}
		if n, err := unix.Getxattr(name, "user.hindsight.set", make([]byte, 100)); n == 0 || err != nil {
			t.Errorf("user.hindsight.set: %d bytes, %v", n, err)
		}
	}
}

// TestListedAgain lists directories in pieces, to their ends and anew.
func TestListedAgain(t *testing.T) {
	const files = 1500 // more than one answer holds
	src := t.TempDir()
	for i := range files {
		if err := os.WriteFile(fmt.Sprintf("%s/a file with a long name, for an answer to hold few of them, number %04d", src, i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(src+"/none", 0o700); err != nil {
		t.Fatal(err)
	}
	m := newModel()
	m.add(t, src, first)
	dir, _ := mounted(t, m, fusefs.Options{})
	for range 3 {
		if got := sh(t, dir, "ls latest | wc -l; ls latest/none | wc -l"); got != fmt.Sprintf("%d\n0", files+1) {
			t.Errorf("%q names, want %d and none", got, files+1)
		}
	}
}

package source_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/source"
)

// wide is a walked tree of more directories than are kept open, each with a file,
// and the items of the files. A walk leaves them in the order its workers finish:
// the files are read once in turn, so that the first directory is closed and the
// last one open.
func wide(t *testing.T) (tree *source.Tree, dir string, files []*source.Item) {
	t.Helper()
	dir = t.TempDir()
	for i := range source.MaxIdle + 40 {
		lay(t, dir, fmt.Sprintf("%03d/", i), fmt.Sprintf("%03d/f", i))
	}
	tree = open(t, source.Options{Root: dir})
	for it, err := range tree.Walk(t.Context()) {
		must(t, err)
		if it.Size > 0 {
			files = append(files, it)
		}
	}
	for _, it := range files {
		content(t, it)
	}
	return tree, dir, files
}

func TestOpenDirectoriesAreBounded(t *testing.T) {
	tree, _, files := wide(t)
	for _, it := range files {
		if got := content(t, it); got != it.Path {
			t.Errorf("%s holds %q", it.Path, got)
		}
	}
	if n := tree.Idle(); n != source.MaxIdle {
		t.Errorf("%d directories are kept open, want %d", n, source.MaxIdle)
	}
}

// TestReplacedDirectory replaces a directory that was walked and closed.
func TestReplacedDirectory(t *testing.T) {
	_, dir, files := wide(t)
	must(t, os.Rename(dir+"/000", dir+"/moved"))
	lay(t, dir, "000/", "000/f")
	if _, err := files[0].Open(t.Context()); !errors.Is(err, source.ErrReplaced) {
		t.Errorf("got %v, want ErrReplaced", err)
	}
	must(t, os.Rename(dir+"/000", dir+"/other"))
	must(t, os.Rename(dir+"/moved", dir+"/000"))
	if got := content(t, files[0]); got != "000/f" {
		t.Errorf("content %q", got)
	}
}

// TestFewDescriptors leaves no descriptors but those of idle directories.
func TestFewDescriptors(t *testing.T) {
	for name, which := range map[string]int{"directory is closed": 0, "directory is open": source.MaxIdle + 39} {
		t.Run(name, func(t *testing.T) {
			tree, _, files := wide(t)
			var limit unix.Rlimit
			must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
			spare, err := unix.Open("/", unix.O_PATH, 0)
			must(t, err)
			must(t, unix.Close(spare))
			few := limit
			few.Cur = uint64(spare) // the lowest number that is free: nothing more can be opened
			must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
			defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
			f, err := files[which].Open(t.Context())
			if err != nil {
				t.Fatalf("%v, with %d idle directories", err, tree.Idle())
			}
			must(t, f.Close())
			if n := tree.Idle(); n >= source.MaxIdle/2 {
				t.Errorf("%d directories are still open", n)
			}
		})
	}
}

package treetest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Scan records the tree at root without following symlinks; contents are hashed
// by as many workers as there are processors, in 64 KiB reads. Access times may
// change, nothing else does. Paths longer than PATH_MAX cannot be recorded. Do not
// scan a FUSE file system that the same process serves: see go-fuse's notes on
// deadlocks.
func Scan(root string) (Tree, error) {
	tree, err := appendTree(nil, root, "")
	if err != nil {
		return nil, fmt.Errorf("record tree %s: %w", root, err)
	}
	sortTree(tree)
	if err := hashFiles(root, tree); err != nil {
		return nil, fmt.Errorf("record tree %s: %w", root, err)
	}
	return tree, nil
}

// Record is Scan for a test: it ends the test on an error.
func Record(t testing.TB, root string) Tree {
	t.Helper()
	tree, err := Scan(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// appendTree appends the metadata of path, relative to root, and of all below it.
func appendTree(tree Tree, root, path string) (Tree, error) {
	entry, err := lstat(root, path)
	if err != nil {
		return nil, err
	}
	tree = append(tree, entry)
	if entry.Type != TypeDir {
		return tree, nil
	}
	children, err := os.ReadDir(join(root, path))
	if err != nil {
		return nil, err
	}
	for _, child := range children {
		name := child.Name()
		if path != "" {
			name = path + "/" + name
		}
		if tree, err = appendTree(tree, root, name); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// join does not clean as filepath.Join does: odd names must stay as they are.
func join(root, path string) string {
	if path == "" {
		return root
	}
	return root + "/" + path
}

func lstat(root, path string) (Entry, error) {
	full := join(root, path)
	var st unix.Stat_t
	if err := unix.Lstat(full, &st); err != nil {
		return Entry{}, &os.PathError{Op: "lstat", Path: full, Err: err}
	}
	e := Entry{
		Path: path, Mode: st.Mode & 0o7777, UID: int64(st.Uid), GID: int64(st.Gid),
		MTime: st.Mtim.Sec, MTimeNanos: st.Mtim.Nsec,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Type, e.Size = TypeFile, st.Size
	case unix.S_IFDIR:
		e.Type = TypeDir
	case unix.S_IFLNK:
		e.Type = TypeSymlink
		target, err := os.Readlink(full)
		if err != nil {
			return Entry{}, err
		}
		e.Target = target
	case unix.S_IFIFO:
		e.Type = TypeFifo
	case unix.S_IFSOCK:
		e.Type = TypeSocket
	case unix.S_IFCHR:
		e.Type, e.Major, e.Minor = TypeChar, unix.Major(st.Rdev), unix.Minor(st.Rdev)
	case unix.S_IFBLK:
		e.Type, e.Major, e.Minor = TypeBlock, unix.Major(st.Rdev), unix.Minor(st.Rdev)
	default:
		return Entry{}, fmt.Errorf("%s: unknown file type %o", full, st.Mode&unix.S_IFMT)
	}
	return e, nil
}

// hashFiles fills in the hashes of the tree's regular files.
func hashFiles(root string, tree Tree) error {
	var next atomic.Int64
	var group errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			buf := make([]byte, 64<<10)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(tree) {
					return nil
				}
				if tree[i].Type != TypeFile {
					continue
				}
				if err := hashFile(root, &tree[i], buf); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// hashFile reads one file through; that it is as long as lstat said is part of
// the record.
func hashFile(root string, e *Entry, buf []byte) error {
	f, err := os.OpenFile(join(root, e.Path), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	// The plain Reader keeps io.CopyBuffer from allocating a buffer per file.
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, buf)
	if err != nil {
		return err
	}
	if n != e.Size {
		return fmt.Errorf("%s: read %d bytes of a file of %d", filepath.Join(root, e.Path), n, e.Size)
	}
	h.Sum(e.SHA256[:0])
	return nil
}

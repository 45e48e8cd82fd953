package treetest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// BaseTime is the modification time, in Unix seconds, of nodes that say nothing
// else: 2023-11-14 22:13:20 UTC, that of the golden repositories' first backups.
const BaseTime = 1_700_000_000

// Node is one path to write. Make it with File, Dir, Symlink, Fifo, Socket, Char,
// Block or HardLink, and go on with Perm, Owner and At:
//
//	treetest.Write(t, dir,
//		treetest.File("bin/tool", "#!/bin/sh\n").Perm(0o755),
//		treetest.Symlink("latest", "bin/tool"),
//		treetest.Dir("empty").At(1_600_000_000))
type Node struct {
	path     string
	typ      Type
	hardLink bool
	data     string // content of a file, target of a link
	mode     uint32
	owned    bool
	uid, gid int
	mtime    unix.Timespec
	dev      uint64
}

func node(path string, typ Type, mode uint32) Node {
	return Node{path: path, typ: typ, mode: mode, mtime: unix.Timespec{Sec: BaseTime}}
}

// File is a regular file of mode 0644.
func File(path, content string) Node {
	n := node(path, TypeFile, 0o644)
	n.data = content
	return n
}

// Dir is a directory of mode 0755; "" is the root itself.
func Dir(path string) Node { return node(path, TypeDir, 0o755) }

// Symlink points at target, which need not exist.
func Symlink(path, target string) Node {
	n := node(path, TypeSymlink, 0o777)
	n.data = target
	return n
}

// Fifo is a named pipe of mode 0644.
func Fifo(path string) Node { return node(path, TypeFifo, 0o644) }

// Socket is a socket of mode 0755 that nobody listens on.
func Socket(path string) Node { return node(path, TypeSocket, 0o755) }

// Char is a character device of mode 0660. Making one needs root.
func Char(path string, major, minor uint32) Node {
	n := node(path, TypeChar, 0o660)
	n.dev = unix.Mkdev(major, minor)
	return n
}

// Block is a block device of mode 0660. Making one needs root.
func Block(path string, major, minor uint32) Node {
	n := node(path, TypeBlock, 0o660)
	n.dev = unix.Mkdev(major, minor)
	return n
}

// HardLink is another name of the file that an earlier node wrote at old. It has
// no metadata of its own.
func HardLink(path, old string) Node {
	n := node(path, TypeFile, 0)
	n.hardLink, n.data = true, old
	return n
}

// Perm sets the permission bits with setuid, setgid and sticky: 0..07777.
func (n Node) Perm(mode uint32) Node { n.mode = mode; return n }

// Owner sets user and group; without it they are the test's own. It needs root.
func (n Node) Owner(uid, gid int) Node { n.owned, n.uid, n.gid = true, uid, gid; return n }

// At sets the modification time in Unix seconds, which may be negative.
func (n Node) At(sec int64) Node { n.mtime = unix.Timespec{Sec: sec}; return n }

// AtNano adds nanoseconds, 0..999999999, to the modification time.
func (n Node) AtNano(nsec int64) Node { n.mtime.Nsec = nsec; return n }

// Write makes the nodes below root, and root itself if it is absent. Parents that
// are absent and not among the nodes are made with mode 0755 and BaseTime. What is
// already at a path is replaced, but a directory is kept for a Dir. Directories
// that were there before get the present as their modification time where
// something in them changes, as the kernel does it.
func Write(t testing.TB, root string, nodes ...Node) {
	t.Helper()
	if err := write(root, nodes); err != nil {
		t.Fatalf("write tree: %v", err)
	}
}

// write leaves the metadata of directories to the end, children first: a mode may
// forbid to write into them, and each write changes their times.
func write(root string, nodes []Node) error {
	dirs, err := missingDirs(root, nodes)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.typ == TypeDir {
			dirs[n.path] = n
		}
	}
	if err := makeDirs(root, dirs); err != nil {
		return err
	}
	for _, n := range nodes {
		if n.typ == TypeDir {
			continue
		}
		if err := n.make(root); err != nil {
			return fmt.Errorf("%q: %w", n.path, err)
		}
	}
	for _, name := range slices.Backward(sortedKeys(dirs)) {
		if err := dirs[name].setMeta(root); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

// missingDirs are the parents of the nodes that are not there yet, and root.
func missingDirs(root string, nodes []Node) (map[string]Node, error) {
	dirs := make(map[string]Node)
	for _, n := range nodes {
		if n.path != "" && path.Clean(n.path) != n.path || strings.HasPrefix(n.path, "/") {
			return nil, fmt.Errorf("%q is not a clean relative path", n.path)
		}
		for dir := n.path; dir != ""; {
			dir = parent(dir)
			if _, err := os.Lstat(join(root, dir)); errors.Is(err, os.ErrNotExist) {
				dirs[dir] = Dir(dir)
			}
		}
	}
	return dirs, nil
}

// parent is the directory of a path; that of a path without "/" is the root.
func parent(name string) string {
	dir, _, found := cutLast(name)
	if !found {
		return ""
	}
	return dir
}

func cutLast(name string) (dir, base string, found bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

func sortedKeys(dirs map[string]Node) []string {
	names := make([]string, 0, len(dirs))
	for name := range dirs {
		names = append(names, name)
	}
	slices.SortFunc(names, difftar.Compare)
	return names
}

func makeDirs(root string, dirs map[string]Node) error {
	for _, name := range sortedKeys(dirs) {
		full := join(root, name)
		info, err := os.Lstat(full)
		if err == nil && info.IsDir() {
			continue
		}
		if err == nil {
			if err := os.Remove(full); err != nil {
				return err
			}
		}
		if err := os.Mkdir(full, 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (n Node) make(root string) error {
	full := join(root, n.path)
	if err := os.RemoveAll(full); err != nil {
		return err
	}
	var err error
	switch {
	case n.hardLink:
		return os.Link(join(root, n.data), full)
	case n.typ == TypeFile:
		err = os.WriteFile(full, []byte(n.data), 0o600)
	case n.typ == TypeSymlink:
		err = os.Symlink(n.data, full)
	case n.typ == TypeFifo:
		err = unix.Mkfifo(full, 0o600)
	case n.typ == TypeSocket:
		err = unix.Mknod(full, unix.S_IFSOCK|0o600, 0)
	case n.typ == TypeChar:
		err = unix.Mknod(full, unix.S_IFCHR|0o600, int(n.dev))
	case n.typ == TypeBlock:
		err = unix.Mknod(full, unix.S_IFBLK|0o600, int(n.dev))
	}
	if err != nil {
		return err
	}
	return n.setMeta(root)
}

// setMeta sets the owner before the mode, as chown clears setuid and setgid.
func (n Node) setMeta(root string) error {
	full := join(root, n.path)
	if n.owned {
		if err := os.Lchown(full, n.uid, n.gid); err != nil {
			return err
		}
	}
	if n.typ != TypeSymlink {
		if err := unix.Chmod(full, n.mode); err != nil {
			return err
		}
	}
	return setTime(full, n.mtime)
}

// setTime sets both times of a path without following a symlink.
func setTime(full string, ts unix.Timespec) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, full, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

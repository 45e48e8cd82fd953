package extract

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// split separates a path into the directory that holds it and its name there.
func split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// maxDepth bounds the components of a path: twice what a system call takes as one
// path.
const maxDepth = 4096

// at calls f with the directory that holds path and the path's name in it. Unless
// create says so, a directory that is missing is an error.
func (d *Disk) at(path string, create bool, f func(dir *dirHandle, name string) error) error {
	if path == "" {
		return d.wrap(path, f(d.parent, d.base))
	}
	parent, name := split(path)
	dir, err := d.dir(parent, create)
	if err != nil {
		return d.wrap(path, err)
	}
	defer d.dirs.release(dir)
	return d.wrap(path, f(dir, name))
}

// dir opens a directory of the target, making those that are missing. It goes down
// from the nearest one that is open already, one component at a time.
func (d *Disk) dir(path string, create bool) (*dirHandle, error) {
	h, missing := d.nearest(path)
	if len(missing) > maxDepth {
		return nil, &os.PathError{Op: "open directory", Path: path[:200], Err: unix.ENAMETOOLONG}
	}
	for i := len(missing) - 1; i >= 0; i-- {
		next, err := d.step(h, missing[i], create)
		if h != nil {
			d.dirs.release(h)
		}
		if err != nil {
			return nil, err
		}
		h = next
	}
	return h, nil
}

// nearest returns the handle of the longest beginning of path that is open, nil if
// none is, and the directories to open from there, the deepest first.
func (d *Disk) nearest(path string) (h *dirHandle, missing []string) {
	for len(missing) <= maxDepth {
		if h = d.dirs.get(path); h != nil {
			return h, missing
		}
		missing = append(missing, path)
		if path == "" {
			break
		}
		path, _ = split(path)
	}
	return nil, missing
}

// step opens one directory in its parent, nil if it is the target itself.
func (d *Disk) step(parent *dirHandle, path string, create bool) (*dirHandle, error) {
	_, name := split(path)
	if parent == nil {
		parent, name = d.parent, d.base
	}
	made := false
	fd, err := -1, error(unix.ENOENT) // most likely, in a directory of our own
	if !create || !parent.made.Load() {
		fd, err = openDir(parent.fd, name)
	}
	if err == unix.ENOENT && create {
		d.touch(parent)
		fd, made, err = makeDir(parent.fd, name)
	}
	if (err == unix.ENOTDIR || err == unix.ELOOP) && create && d.opt.Replace {
		d.touch(parent)
		if err = unix.Unlinkat(parent.fd, name, 0); err == nil {
			fd, made, err = makeDir(parent.fd, name)
		}
	}
	if err != nil {
		return nil, &os.PathError{Op: "open directory", Path: name, Err: err}
	}
	h := d.dirs.put(path, fd)
	if made {
		h.made.Store(true)
		h.inherit.Store(d.inherits(parent, h))
	}
	return h, nil
}

// makeDir makes a directory, if nothing has its name, and opens it.
func makeDir(parent int, name string) (fd int, made bool, err error) {
	err = unix.Mkdirat(parent, name, 0o700)
	if made = err == nil; made || err == unix.EEXIST {
		fd, err = openDir(parent, name)
	}
	return fd, made, err
}

// maxDirs is how many directories are kept open though nobody uses them: three quarters
// of the descriptors there may be, within reason. A directory gets files when its volume is
// read, their names when that is proved right, and its own metadata at the end: to
// have it open still saves system calls each time.
func maxDirs() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 64
	}
	return int(min(max(limit.Cur/4*3, 64), 1<<14))
}

// inherits is what new objects get in a directory that was made just now: the same
// as it got itself, for set-group-id and default ACLs pass from directory to
// directory.
func (d *Disk) inherits(parent, dir *dirHandle) *inherit {
	if known := parent.inherit.Load(); known != nil {
		return known
	}
	known, _ := inheritance(dir, dir.fd)
	return known
}

// inheritance is what an object made in dir, open as fd, got from it; nil if that
// cannot be told.
func inheritance(dir *dirHandle, fd int) (*inherit, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	_, err := unix.Fgetxattr(dir.fd, "system.posix_acl_default", nil)
	return &inherit{uid: int(st.Uid), gid: int(st.Gid), acl: err != unix.ENODATA && err != unix.EOPNOTSUPP}, nil
}

func openDir(parent int, name string) (int, error) {
	for {
		fd, err := unix.Openat2(parent, name, &unix.OpenHow{
			Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

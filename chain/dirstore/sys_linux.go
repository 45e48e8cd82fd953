package dirstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hindsight/chain/store"
)

var errNotRegular = fmt.Errorf("%w: not a regular file", store.ErrNotExist)

// opError wraps err in a *store.Error of the kind that its errno tells.
func opError(op, name string, err error) error {
	var kind error
	var errno unix.Errno
	var body bodyError
	if !errors.As(err, &body) && errors.As(err, &errno) {
		switch errno {
		case unix.ENOENT:
			kind = store.ErrNotExist
		case unix.EEXIST:
			kind = store.ErrExist
		case unix.EACCES, unix.EPERM, unix.EROFS:
			kind = store.ErrPermission
		case unix.ENOSPC, unix.EDQUOT:
			kind = store.ErrNoSpace
		}
	}
	return &store.Error{Op: op, Name: name, Kind: kind, Err: err}
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func openat(dir int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

func fstatat(dir int, name string, st *unix.Stat_t) error {
	return retry(func() error { return unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW) })
}

func unlinkat(dir int, name string) error {
	return retry(func() error { return unix.Unlinkat(dir, name, 0) })
}

func renameat(dir int, from, to string) error {
	return retry(func() error { return unix.Renameat(dir, from, dir, to) })
}

// renameAbsent renames from unless there is a to already. Where the file system
// cannot do that at once (NFS), a link does.
func renameAbsent(dir int, from, to string) error {
	err := retry(func() error { return unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE) })
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP {
		return linkAbsent(dir, from, to)
	}
	return err
}

// linkAbsent does renameAbsent's work by linking to the new name and removing the
// old one.
func linkAbsent(dir int, from, to string) error {
	err := retry(func() error { return unix.Linkat(dir, from, dir, to, 0) })
	if err == unix.EEXIST && sameFile(dir, from, to) {
		err = nil // linked, but NFS lost the answer and asked again
	}
	if err != nil {
		return err
	}
	if err := unlinkat(dir, from); err != nil {
		// The put must be taken back, or it would have failed with its object visible.
		return errors.Join(err, unlinkat(dir, to))
	}
	return nil
}

func sameFile(dir int, a, b string) bool {
	var sa, sb unix.Stat_t
	return fstatat(dir, a, &sa) == nil && fstatat(dir, b, &sb) == nil && sa.Dev == sb.Dev && sa.Ino == sb.Ino
}

// syncDir makes the names in an open directory durable.
func syncDir(d *os.File) error {
	err := retry(func() error { return unix.Fsync(int(d.Fd())) })
	// File systems that cannot sync a directory (FUSE, SMB) have nothing to sync.
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// makeDir makes dir and its missing parents, durably.
func makeDir(dir string) error {
	if fi, err := os.Stat(dir); err == nil {
		if !fi.IsDir() {
			return unix.ENOTDIR
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return unix.ENOENT
	}
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	d, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

package source

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// Item is one object of the source as it was when the walk looked at it. It
// stays valid after the walk has gone on, until its Tree is closed. Items that
// were looked at together share memory, up to 256 of them: copy what is to be
// kept of a few for long.
type Item struct {
	Path string // raw bytes, components joined by "/"; the root is ""

	// Meta is what an archive keeps. MTime is in whole seconds, rounded down,
	// and 0 for times before 1970 (duplicity-format.md §3.2).
	difftar.Meta

	Size       int64     // bytes, of a regular file; 0 for all else
	StatSize   int64     // bytes that stat says, of any type: for statistics
	ModTime    time.Time // the true one, in UTC
	ChangeTime time.Time // of the inode (ctime), in UTC
	Dev        uint64    // with Ino: what tells hard links of one file
	Ino        uint64
	Nlink      uint64

	tree *Tree
	at   *dir   // the directory that holds it; nil for the root
	name string // in that directory
	link bool   // a link although links are followed
}

// Open opens the content of a regular file. It does not block on a fifo, follow
// a link or touch the access time where the system allows to leave it alone. If
// something else than a regular file is there by now the error is ErrNotRegular.
// Errors are *fs.PathError with the item's Path, or Options.Root if that is "".
func (it *Item) Open(ctx context.Context) (*File, error) {
	if it.Type != difftar.Regular {
		return nil, it.fail("open", ErrNotRegular)
	}
	dirfd, name, release, err := it.locate()
	if err != nil {
		return nil, it.fail("open", err)
	}
	defer release()
	var st unix.Stat_t
	fd, err := openFile(ctx, dirfd, name, it.follow(), &st)
	if it.tree.handles.relieve(err) {
		fd, err = openFile(ctx, dirfd, name, it.follow(), &st)
	}
	if err != nil {
		return nil, it.fail("open", err)
	}
	f := &File{fd: fd, item: *it}
	f.take(&st)
	return f, nil
}

// Xattrs returns the extended attributes of the object, sorted by name, POSIX
// ACLs (system.posix_acl_*) among them; none where the file system knows none.
// It needs /proc. Errors are *fs.PathError.
func (it *Item) Xattrs() ([]Xattr, error) {
	dirfd, name, release, err := it.locate()
	if err != nil {
		return nil, it.fail("read xattrs of", err)
	}
	defer release()
	path := name
	if dirfd != unix.AT_FDCWD {
		path = fmt.Sprintf("/proc/self/fd/%d/%s", dirfd, name)
	}
	attrs, err := readXattrs(path, it.follow())
	if err != nil {
		return nil, it.fail("read xattrs of", err)
	}
	return attrs, nil
}

// fail makes the error of an operation on the item.
func (it *Item) fail(op string, err error) error {
	path := it.Path
	if path == "" {
		path = it.tree.opt.Root
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// locate gives directory and name for the *at system calls, until release.
func (it *Item) locate() (dirfd int, name string, release func(), err error) {
	h := it.tree.handles
	if it.at == nil {
		return unix.AT_FDCWD, it.tree.opt.Root, func() {}, h.alive()
	}
	dirfd, err = h.pin(it.at)
	if err != nil {
		return -1, "", nil, err
	}
	return dirfd, it.name, func() { h.unpin(it.at) }, nil
}

// follow says whether a link in the object's place is to be followed.
func (it *Item) follow() bool {
	return it.at == nil || it.tree.opt.CopyLinks && !it.link
}

package source

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// File is the open content of a regular file. Not safe for concurrent use.
type File struct {
	fd   int // -1 once closed
	item Item
	was  stamp
}

var _ io.ReadCloser = (*File)(nil)

// stamp is what changes when a file is written.
type stamp struct {
	size         int64
	mtime, ctime unix.Timespec
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{size: st.Size, mtime: st.Mtim, ctime: st.Ctim}
}

// Item is the file's metadata at the time of Open or of the last Rewind: what
// belongs beside the content read since, which the Item of the walk may be too
// old for. Valid as long as that one.
func (f *File) Item() *Item {
	it := f.item
	return &it
}

// Read reads on, as io.Reader has it.
func (f *File) Read(p []byte) (int, error) {
	if f.fd < 0 {
		return 0, f.item.fail("read", os.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	err := retry(func() (err error) {
		n, err = unix.Read(f.fd, p)
		return err
	})
	switch {
	case err != nil:
		return 0, f.item.fail("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Changed reports whether the file was written, or its inode changed, since Open
// or the last Rewind: size, mtime and ctime are compared. Asked after the last
// Read, false means that what was read is one state of the file, as far as the
// clock of the file system can tell.
func (f *File) Changed() (bool, error) {
	var st unix.Stat_t
	if err := f.stat(&st); err != nil {
		return false, err
	}
	return stampOf(&st) != f.was, nil
}

// Xattrs returns the extended attributes as they are now; see Item.Xattrs.
func (f *File) Xattrs() ([]Xattr, error) {
	if f.fd < 0 {
		return nil, f.item.fail("read xattrs of", os.ErrClosed)
	}
	attrs, err := readOpenXattrs(f.fd)
	if err != nil {
		return nil, f.item.fail("read xattrs of", err)
	}
	return attrs, nil
}

// Rewind goes back to the first byte and takes the metadata anew, to read a file
// that has changed once more.
func (f *File) Rewind() error {
	if f.fd < 0 {
		return f.item.fail("rewind", os.ErrClosed)
	}
	if _, err := unix.Seek(f.fd, 0, io.SeekStart); err != nil {
		return f.item.fail("rewind", err)
	}
	return f.remember()
}

// Close closes the file.
func (f *File) Close() error {
	if f.fd < 0 {
		return f.item.fail("close", os.ErrClosed)
	}
	fd := f.fd
	f.fd = -1
	// Linux has released the descriptor even where close is interrupted.
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return f.item.fail("close", err)
	}
	return nil
}

func (f *File) stat(st *unix.Stat_t) error {
	if f.fd < 0 {
		return f.item.fail("stat", os.ErrClosed)
	}
	if err := retry(func() error { return unix.Fstat(f.fd, st) }); err != nil {
		return f.item.fail("stat", err)
	}
	return nil
}

// remember takes the metadata of the open file.
func (f *File) remember() error {
	var st unix.Stat_t
	if err := f.stat(&st); err != nil {
		return err
	}
	f.take(&st)
	return nil
}

func (f *File) take(st *unix.Stat_t) {
	f.item.fill(st, &f.item.tree.owners)
	f.was = stampOf(st)
}

// A file under a lease (Samba takes them) cannot be opened at once without
// blocking. The attempt asks the holder to let go.
const (
	leaseTries = 20
	leaseWait  = 50 * time.Millisecond
)

// openFile opens a regular file for reading and tells its metadata.
func openFile(ctx context.Context, dirfd int, name string, follow bool, st *unix.Stat_t) (int, error) {
	flags := unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	for try := 1; ; try++ {
		fd, err := openRegular(dirfd, name, flags, st)
		if err != unix.EWOULDBLOCK || try == leaseTries {
			return fd, err
		}
		select {
		case <-ctx.Done():
			return -1, ctx.Err()
		case <-time.After(leaseWait):
		}
	}
}

func openRegular(dirfd int, name string, flags int, st *unix.Stat_t) (int, error) {
	fd, err := openat(dirfd, name, flags)
	switch err {
	case nil:
	case unix.ELOOP, unix.ENXIO: // a link, a socket or a device without driver
		return -1, ErrNotRegular
	default:
		return -1, err
	}
	err = retry(func() error { return unix.Fstat(fd, st) })
	if err == nil && fileType(st.Mode) != difftar.Regular {
		err = ErrNotRegular
	}
	if err != nil {
		_ = unix.Close(fd) // nothing was written
		return -1, err
	}
	return fd, nil
}

// openat opens without changing the access time if that is allowed: it is to
// the owner and to root.
func openat(dirfd int, name string, flags int) (fd int, err error) {
	open := func(flags int) error {
		return retry(func() error {
			fd, err = unix.Openat(dirfd, name, flags, 0)
			return err
		})
	}
	if open(flags|unix.O_NOATIME) == unix.EPERM {
		err = open(flags)
	}
	if err != nil {
		return -1, err
	}
	return fd, nil
}

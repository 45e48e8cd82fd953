package extract

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

var _ Keeper = (*Disk)(nil)

// Kept implements Keeper. A file of the size and time that it should have counts as
// it, or, with DiskOptions.VerifyExisting, one of that content, whatever its time.
func (d *Disk) Kept(ctx context.Context, path string, m *difftar.Meta, k *Known) (kept Kept, err error) {
	err = d.at(path, false, func(dir *dirHandle, name string) error {
		var st unix.Stat_t
		if err := unix.Fstatat(dir.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG || !k.Fits(st.Size) {
			return nil
		}
		timely := st.Mtim.Sec == m.MTime && (m.Nanos == 0 || st.Mtim.Nsec == int64(m.Nanos))
		// Who restored without the portable index restored whole seconds.
		nearly := timely || st.Mtim.Sec == m.MTime && st.Mtim.Nsec == 0
		if d.opt.VerifyExisting {
			same, err := d.sameContent(ctx, dir, name, k)
			if err != nil || !same {
				return err
			}
		} else if !nearly {
			return nil
		}
		kept = Content
		if timely && d.sameOwner(&st, m) && st.Mode&0o7777 == m.Mode {
			kept = Same
		}
		return nil
	})
	var pe *PathError
	if errors.As(err, &pe) { // that it cannot be looked at will show when it is written
		return Differs, nil
	}
	return kept, err
}

// sameOwner reports whether an object has the owner that it should, as far as owners
// are restored.
func (d *Disk) sameOwner(st *unix.Stat_t, m *difftar.Meta) bool {
	if d.opt.NoOwnership {
		return true
	}
	uid, gid := d.owners.of(m, d.opt.NumericOwner)
	return int(st.Uid) == uid && int(st.Gid) == gid
}

// openRegular opens a file of a directory for reading, without waiting for a fifo.
func openRegular(dir *dirHandle, name string) (*os.File, error) {
	fd, err := unix.Openat2(dir.fd, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// sameContent reads a file and compares its content with what is known.
func (d *Disk) sameContent(ctx context.Context, dir *dirHandle, name string, k *Known) (bool, error) {
	if !k.HasHash && !k.HasBlocks {
		return false, nil
	}
	f, err := openRegular(dir, name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if d.opt.ReadBack {
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return false, err
		}
		_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // an advice
	}
	sum := newContentSum(k)
	buf := readers.Get().(*[difftar.PartSize]byte)
	defer readers.Put(buf)
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		n, err := f.Read(buf[:])
		sum.write(buf[:n])
		if err == io.EOF {
			return sum.matches(), nil
		}
		if err != nil {
			return false, err
		}
	}
}

// Fix implements Keeper.
func (d *Disk) Fix(path string, m *difftar.Meta) error {
	return d.at(path, false, func(dir *dirHandle, name string) error {
		f, err := openRegular(dir, name)
		if err != nil {
			return err
		}
		defer f.Close()
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return unix.EEXIST
		}
		return d.setMeta(int(f.Fd()), m, attributes{int(st.Uid), int(st.Gid), st.Mode & 0o7777, false})
	})
}

// sameObject reports whether what has a name is the symlink, fifo or device that is to
// be made there.
func (d *Disk) sameObject(dir *dirHandle, name string, m *difftar.Meta) bool {
	var st unix.Stat_t
	if unix.Fstatat(dir.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mtim.Sec != m.MTime || !d.sameOwner(&st, m) {
		return false
	}
	if m.Type != difftar.Symlink && st.Mode&0o7777 != m.Mode {
		return false
	}
	device := st.Rdev == unix.Mkdev(m.Major, m.Minor)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		buf := make([]byte, len(m.Linkname)+1)
		n, err := unix.Readlinkat(dir.fd, name, buf)
		return m.Type == difftar.Symlink && err == nil && string(buf[:n]) == m.Linkname
	case unix.S_IFIFO:
		return m.Type == difftar.Fifo
	case unix.S_IFCHR:
		return m.Type == difftar.CharDevice && device
	case unix.S_IFBLK:
		return m.Type == difftar.BlockDevice && device
	}
	return false
}

// Remove removes what has a path, a directory only if it is empty; what is not there
// is no error.
func (d *Disk) Remove(path string) error {
	return d.at(path, false, func(dir *dirHandle, name string) error {
		err := unix.Unlinkat(dir.fd, name, 0)
		if err == unix.EISDIR {
			d.dirs.forget(path)
			err = unix.Unlinkat(dir.fd, name, unix.AT_REMOVEDIR)
		}
		return ignoreMissing(err)
	})
}

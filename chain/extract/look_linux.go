package extract

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

var _ Keeper = (*Disk)(nil)

// Kept implements Keeper. A file of the size and time that it should have counts as
// it, or, with DiskOptions.VerifyExisting, one of that content, whatever its time.
func (d *Disk) Kept(ctx context.Context, list []Existing) error {
	l := looker{disk: d}
	root, err := d.dir("", false)
	if err == nil {
		defer d.dirs.release(root)
		l.held = append(l.held, heldDir{fd: root.fd})
	}
	return l.look(ctx, list)
}

// kept looks at one path.
func (l *looker) kept(ctx context.Context, x *Existing) (Kept, error) {
	var st unix.Stat_t
	if err := l.stat(x.Path, &st); err != nil {
		return Differs, err
	}
	timely := timely(&st, x.Meta)
	right := timely && st.Mode&0o7777 == x.Meta.Mode && l.sameOwner(&st, x.Meta)
	kind := st.Mode & unix.S_IFMT
	switch {
	case x.Meta.Type == difftar.Directory:
		if right && kind == unix.S_IFDIR {
			return Same, nil
		}
		return Differs, nil
	case kind != unix.S_IFREG || !x.Known.Fits(st.Size):
		return Differs, nil
	case l.disk.opt.VerifyExisting:
		if same, err := l.disk.sameContent(ctx, x.Path, x.Known); err != nil || !same {
			return Differs, err
		}
	case !timely && (st.Mtim.Sec != x.Meta.MTime || st.Mtim.Nsec != 0):
		return Differs, nil // whole seconds are what is restored without the portable index
	}
	if right {
		return Same, nil
	}
	return Content, nil
}

// timely reports whether an object has the time that it should, as far as that is known.
func timely(st *unix.Stat_t, m *difftar.Meta) bool {
	return st.Mtim.Sec == m.MTime && (m.Nanos == 0 || st.Mtim.Nsec == int64(m.Nanos))
}

// sameOwner is Disk's, and remembers the last owner.
func (l *looker) sameOwner(st *unix.Stat_t, m *difftar.Meta) bool {
	if l.disk.opt.NoOwnership {
		return true
	}
	o := &l.owner
	if o.Type == 0 || o.UID != m.UID || o.GID != m.GID || o.Uname != m.Uname || o.Gname != m.Gname {
		l.owner = *m
		l.uid, l.gid = l.disk.owners.of(m, l.disk.opt.NumericOwner)
	}
	return int(st.Uid) == l.uid && int(st.Gid) == l.gid
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
func (d *Disk) sameContent(ctx context.Context, path string, k *Known) (same bool, err error) {
	if !k.HasHash && !k.HasBlocks {
		return false, nil
	}
	err = d.at(path, false, func(dir *dirHandle, name string) error {
		f, err := openRegular(dir, name)
		if err != nil {
			return err
		}
		defer f.Close()
		same, err = d.hasContent(ctx, f, k)
		return err
	})
	return same, err
}

func (d *Disk) hasContent(ctx context.Context, f *os.File, k *Known) (bool, error) {
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

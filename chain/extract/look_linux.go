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
func (d *Disk) Kept(ctx context.Context, list []Existing) error {
	l := looker{disk: d}
	var err error
	if l.root, err = d.dir("", false); err == nil {
		defer d.dirs.release(l.root)
	}
	for i := range list {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		x := &list[i]
		if x.Kept, err = l.kept(ctx, x); err == nil {
			continue
		}
		var pe *PathError
		if err = d.wrap(x.Path, err); !errors.As(err, &pe) {
			return err
		}
		x.Kept = Differs // that it cannot be looked at will show when it is written
	}
	return nil
}

// looker looks at what a tree has, path after path, and needs one system call for each:
// paths are relative to the target, and nothing is asked below what was not seen to be a
// directory. Whoever exchanged one for a symbolic link in that moment could as well
// change what was found; to write, directories are opened one by one.
type looker struct {
	disk  *Disk
	root  *dirHandle // the target; nil: it is no directory
	above []string   // directories that were seen, each below the one before

	owner    difftar.Meta // whose owner was looked up last
	uid, gid int          // that it has here
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

// stat looks at a path, of which nothing is followed.
func (l *looker) stat(path string, st *unix.Stat_t) error {
	if path == "" {
		return unix.Fstatat(l.disk.parent.fd, l.disk.base, st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if l.root == nil {
		return unix.ENOENT
	}
	if len(path) >= unix.PathMax {
		return l.disk.at(path, false, func(dir *dirHandle, name string) error {
			return unix.Fstatat(dir.fd, name, st, unix.AT_SYMLINK_NOFOLLOW)
		})
	}
	parent, _ := split(path)
	for n := len(l.above); n > 0 && !difftar.Within(parent, l.above[n-1]); n-- {
		l.above = l.above[:n-1]
	}
	if err := l.descend(parent, st); err != nil {
		return err
	}
	if err := unix.Fstatat(l.root.fd, path, st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		l.above = append(l.above, path)
	}
	return nil
}

// descend sees to it that all of a path is directories.
func (l *looker) descend(path string, st *unix.Stat_t) error {
	var missing []string
	for path != "" && (len(l.above) == 0 || l.above[len(l.above)-1] != path) {
		missing = append(missing, path)
		path, _ = split(path)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := unix.Fstatat(l.root.fd, missing[i], st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return unix.ENOTDIR
		}
		l.above = append(l.above, missing[i])
	}
	return nil
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

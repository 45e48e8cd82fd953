package extract

import (
	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// sameOwner reports whether an object has the owner that it should, as far as owners
// are restored.
func (d *Disk) sameOwner(st *unix.Stat_t, m *difftar.Meta) bool {
	if d.opt.NoOwnership {
		return true
	}
	uid, gid := d.owners.of(m, d.opt.NumericOwner)
	return int(st.Uid) == uid && int(st.Gid) == gid
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
		d.touch(dir)
		err := unix.Unlinkat(dir.fd, name, 0)
		if err == unix.EISDIR {
			d.dirs.forget(path)
			err = unix.Unlinkat(dir.fd, name, unix.AT_REMOVEDIR)
		}
		return ignoreMissing(err)
	})
}

package extract

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"hindsight/chain/toc"
)

var _ ExtraSink = (*Disk)(nil)

// SetXattrs implements ExtraSink. What the target does not take is said once.
func (d *Disk) SetXattrs(path string, mode uint32, attrs []toc.Xattr) error {
	err := d.at(path, false, func(dir *dirHandle, name string) error {
		// By way of the open directory, since there is no such call with a descriptor;
		// the last component is not followed.
		return d.setXattrs("/proc/self/fd/"+strconv.Itoa(dir.fd)+"/"+name, mode, attrs)
	})
	return missing(err)
}

func (d *Disk) setXattrs(path string, mode uint32, attrs []toc.Xattr) error {
	for _, a := range attrs {
		err := unix.Lsetxattr(path, a.Name, a.Value, 0)
		if err == unix.EACCES && mode&unix.S_IWUSR == 0 { // an ordinary user's own file, to which nobody may write
			if err = unix.Chmod(path, mode|unix.S_IWUSR); err == nil {
				err = errors.Join(unix.Lsetxattr(path, a.Name, a.Value, 0), unix.Chmod(path, mode))
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EINVAL),
			errors.Is(err, unix.E2BIG), errors.Is(err, unix.ERANGE):
			d.note("some extended attributes are not restored: the target or this user's rights do not allow them")
		default:
			return err
		}
	}
	return nil
}

// Link implements ExtraSink. The file at path gives way when its other name is there.
func (d *Disk) Link(path, target string) error {
	err := d.at(target, false, func(from *dirHandle, old string) error {
		return d.at(path, false, func(dir *dirHandle, name string) error {
			if sameFile(from, old, dir, name) {
				return nil
			}
			d.touch(dir)
			temp := d.prefix + "link-" + strconv.FormatUint(d.objects.Add(1), 36)
			err := unix.Linkat(from.fd, old, dir.fd, temp, 0)
			if err == unix.EMLINK || err == unix.EPERM || err == unix.EXDEV || err == unix.ENOTSUP {
				d.note("some hard links are restored as files of their own: the target does not take them")
				return nil
			}
			if err != nil {
				return err
			}
			if err = unix.Renameat(dir.fd, temp, dir.fd, name); err != nil {
				return errors.Join(err, ignoreMissing(unix.Unlinkat(dir.fd, temp, 0)))
			}
			return nil
		})
	})
	return missing(err)
}

// sameFile reports whether two names are of one file.
func sameFile(a *dirHandle, nameA string, b *dirHandle, nameB string) bool {
	var x, y unix.Stat_t
	return unix.Fstatat(a.fd, nameA, &x, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		unix.Fstatat(b.fd, nameB, &y, unix.AT_SYMLINK_NOFOLLOW) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// missing is nil for what is not there: it was lost, and that was told.
func missing(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

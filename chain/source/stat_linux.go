package source

import (
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// retry calls fn until it is not interrupted by a signal: network and user space
// file systems may be.
func retry(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR {
			return err
		}
	}
}

func fstatat(dirfd int, name string, st *unix.Stat_t, flags int) error {
	for {
		if err := unix.Fstatat(dirfd, name, st, flags); err != unix.EINTR {
			return err
		}
	}
}

// fileType is 0 for what an archive cannot store: sockets, above all.
func fileType(mode uint32) difftar.Type {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return difftar.Regular
	case unix.S_IFDIR:
		return difftar.Directory
	case unix.S_IFLNK:
		return difftar.Symlink
	case unix.S_IFCHR:
		return difftar.CharDevice
	case unix.S_IFBLK:
		return difftar.BlockDevice
	case unix.S_IFIFO:
		return difftar.Fifo
	}
	return 0
}

// fill sets all that stat says of an item. Linkname is left alone.
func (it *Item) fill(st *unix.Stat_t, o *owners) {
	it.Type = fileType(st.Mode)
	it.Mode = st.Mode & 0o7777
	it.UID, it.GID = int64(st.Uid), int64(st.Gid)
	it.Uname, it.Gname = o.user(st.Uid), o.group(st.Gid)
	it.MTime = max(int64(st.Mtim.Sec), 0)
	it.ModTime = time.Unix(int64(st.Mtim.Sec), int64(st.Mtim.Nsec)).UTC()
	it.ChangeTime = time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec)).UTC()
	it.Dev, it.Ino, it.Nlink = uint64(st.Dev), st.Ino, uint64(st.Nlink)
	it.Size, it.StatSize, it.Major, it.Minor = 0, st.Size, 0, 0
	switch it.Type {
	case difftar.Regular:
		it.Size = st.Size
	case difftar.CharDevice, difftar.BlockDevice:
		it.Major, it.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	}
}

// maxLink bounds the target of a link: more than any Linux file system keeps.
const maxLink = 64 << 10

// readLink reads the target of a link whose length is said to be size; that may
// be 0 (in /proc) or out of date.
func readLink(dirfd int, name string, size int64) (string, error) {
	for n := min(max(size, 0), maxLink) + 1; ; n = max(2*n, 256) {
		buf := make([]byte, n)
		got := 0
		err := retry(func() (err error) {
			got, err = unix.Readlinkat(dirfd, name, buf)
			return err
		})
		switch {
		case err != nil:
			return "", err
		case got < len(buf):
			return string(buf[:got]), nil
		case n > maxLink:
			return "", unix.ENAMETOOLONG
		}
	}
}

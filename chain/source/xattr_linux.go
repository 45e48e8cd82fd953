package source

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Xattr is one extended attribute.
type Xattr struct {
	Name  string // with its namespace: "user.comment"
	Value []byte
}

// maxXattr bounds a list of names and a value: Linux's own limit for both.
const maxXattr = 64 << 10

// readXattrs reads the attributes of path, or of what a link there leads to.
func readXattrs(path string, follow bool) ([]Xattr, error) {
	list, get := unix.Llistxattr, unix.Lgetxattr
	if follow {
		list, get = unix.Listxattr, unix.Getxattr
	}
	return collectXattrs(
		func(b []byte) (int, error) { return list(path, b) },
		func(name string, b []byte) (int, error) { return get(path, name, b) })
}

// readOpenXattrs reads the attributes of an open file.
func readOpenXattrs(fd int) ([]Xattr, error) {
	return collectXattrs(
		func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
		func(name string, b []byte) (int, error) { return unix.Fgetxattr(fd, name, b) })
}

func collectXattrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]Xattr, error) {
	names, err := grow(list)
	if err == unix.ENOTSUP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var attrs []Xattr
	for name := range bytes.SplitSeq(names, []byte{0}) {
		if len(name) == 0 {
			continue // after the last
		}
		value, err := grow(func(b []byte) (int, error) { return get(string(name), b) })
		switch err {
		case nil:
			attrs = append(attrs, Xattr{Name: string(name), Value: value})
		case unix.ENODATA, unix.ENOTSUP: // gone since, or listed but out of reach
		default:
			return nil, err
		}
	}
	slices.SortFunc(attrs, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	// A file system in user space may list a name twice, and the portable index takes it
	// once.
	return slices.CompactFunc(attrs, func(a, b Xattr) bool { return a.Name == b.Name }), nil
}

// grow calls read with a buffer that is large enough.
func grow(read func([]byte) (int, error)) ([]byte, error) {
	var room [256]byte // most objects have no attribute, or short ones
	for buf := room[:]; ; buf = make([]byte, min(4*len(buf), maxXattr)) {
		n := 0
		err := retry(func() (err error) {
			n, err = read(buf)
			return err
		})
		if err == nil {
			return bytes.Clone(buf[:n]), nil
		}
		if err != unix.ERANGE || len(buf) == maxXattr {
			return nil, err
		}
	}
}

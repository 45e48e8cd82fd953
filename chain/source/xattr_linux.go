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
	names, err := grow(func(b []byte) (int, error) { return list(path, b) })
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
		value, err := grow(func(b []byte) (int, error) { return get(path, string(name), b) })
		switch err {
		case nil:
			attrs = append(attrs, Xattr{Name: string(name), Value: value})
		case unix.ENODATA, unix.ENOTSUP: // gone since, or listed but out of reach
		default:
			return nil, err
		}
	}
	slices.SortFunc(attrs, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	return attrs, nil
}

// grow calls read with a buffer that is large enough.
func grow(read func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, min(size, maxXattr))
		n := 0
		err := retry(func() (err error) {
			n, err = read(buf)
			return err
		})
		if err == nil {
			return buf[:n:n], nil
		}
		if err != unix.ERANGE || len(buf) == maxXattr {
			return nil, err
		}
	}
}

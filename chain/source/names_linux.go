package source

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// nameList is the names of one directory: one run of bytes and 16 bytes each, so
// that directories of millions of entries are no burden.
type nameList struct {
	text []byte // names, each ended by a NUL
	refs []nameRef
}

// nameRef is one name in a nameList.
type nameRef struct {
	head uint64 // eight bytes after what all names begin with, big endian; set by sort
	at   uint64 // offset in text << 16 | length
}

func (l *nameList) len() int { return len(l.refs) }

// get is the i-th name. The slice is valid as long as the list.
func (l *nameList) get(i int) []byte { return l.name(l.refs[i]) }

func (l *nameList) name(r nameRef) []byte {
	at, n := r.at>>16, r.at&0xffff
	return l.text[at : at+n : at+n]
}

// cost is what the list takes in memory, in bytes.
func (l *nameList) cost() int64 { return int64(cap(l.text)) + 16*int64(cap(l.refs)) }

// add appends a name of at most 65535 bytes.
func (l *nameList) add(name []byte) {
	at := uint64(len(l.text))<<16 | uint64(len(name))
	l.text = append(append(l.text, name...), 0)
	l.refs = append(l.refs, nameRef{at: at})
}

// sort puts the names in byte order and drops doubles: a directory that is
// written to while it is read may list a name twice.
func (l *nameList) sort() {
	skip := l.common()
	for i, r := range l.refs {
		var head [8]byte
		copy(head[:], l.name(r)[skip:])
		l.refs[i].head = binary.BigEndian.Uint64(head[:])
	}
	// The heads settle nearly all comparisons. A head that ends early is filled
	// up with NUL, which no name holds, and so comes first, as it must.
	compare := func(a, b nameRef) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return bytes.Compare(l.name(a), l.name(b))
	}
	slices.SortFunc(l.refs, compare)
	l.refs = slices.CompactFunc(l.refs, func(a, b nameRef) bool { return compare(a, b) == 0 })
}

// common is the number of bytes that all names begin with.
func (l *nameList) common() int {
	if len(l.refs) == 0 {
		return 0
	}
	first := l.get(0)
	n := len(first)
	for _, r := range l.refs {
		name := l.name(r)
		n = min(n, len(name))
		for i := range n {
			if name[i] != first[i] {
				n = i
				break
			}
		}
	}
	return n
}

// reset empties the list.
func (l *nameList) reset() { l.text, l.refs = l.text[:0], l.refs[:0] }

// read adds all names of the directory that is open as fd, and sorts. It reads
// into buf. Before an error, what can be read is added.
func (l *nameList) read(fd int, buf []byte) error {
	defer l.sort()
	for {
		n := 0
		err := retry(func() (err error) {
			n, err = unix.Getdents(fd, buf)
			return err
		})
		if err != nil || n <= 0 {
			return err
		}
		if err := l.parse(buf[:n]); err != nil {
			return err
		}
	}
}

// direntName is the offset of the name in Linux's struct linux_dirent64: inode
// (8 bytes), position (8), record length (2), type (1), name, NUL, padding.
const direntName = 19

// parse adds the names in buf, a run of linux_dirent64 records.
func (l *nameList) parse(buf []byte) error {
	for len(buf) > 0 {
		if len(buf) < direntName+1 {
			return unix.EBADMSG
		}
		n := int(binary.NativeEndian.Uint16(buf[16:]))
		if n < direntName+1 || n > len(buf) {
			return unix.EBADMSG
		}
		name, _, found := bytes.Cut(buf[direntName:n], []byte{0})
		if !found || len(name) == 0 || bytes.IndexByte(name, '/') >= 0 {
			return unix.EBADMSG
		}
		if s := string(name); s != "." && s != ".." {
			l.add(name)
		}
		buf = buf[n:]
	}
	return nil
}

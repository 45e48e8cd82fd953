package difftar

import (
	"cmp"
	"fmt"
	"strings"
)

// Kind says what an entry is about (duplicity-format.md §3.3, §4.1).
type Kind uint8

const (
	// Snapshot is the complete new state of a path; a regular file's content
	// follows. In a sigtar it is a header alone, of anything but a file.
	Snapshot Kind = iota + 1
	// Diff is a regular file; a librsync delta against its last content follows.
	Diff
	// Deleted says that the path is gone; it carries no metadata.
	Deleted
	// Signature is a regular file in a sigtar; its librsync signature follows.
	Signature
)

func (k Kind) String() string {
	switch k {
	case Snapshot:
		return "snapshot"
	case Diff:
		return "diff"
	case Deleted:
		return "deleted"
	case Signature:
		return "signature"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Type is the file type of an entry.
type Type uint8

const (
	Regular Type = iota + 1
	Directory
	Symlink
	CharDevice
	BlockDevice
	Fifo
)

func (t Type) String() string {
	switch t {
	case Regular:
		return "file"
	case Directory:
		return "directory"
	case Symlink:
		return "symlink"
	case CharDevice:
		return "character device"
	case BlockDevice:
		return "block device"
	case Fifo:
		return "fifo"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Meta is what a tar header keeps of a file system object. It is comparable.
type Meta struct {
	Type     Type
	Mode     uint32 // permission bits with setuid, setgid and sticky: 0..07777
	UID, GID int64  // 0..2^63-1
	Uname    string // empty if the writer knew none
	Gname    string
	MTime    int64  // Unix seconds; duplicity stores times before 1970 as 0
	Nanos    int32  // of MTime, 0..999999999; no archive keeps them: 0 unless somebody else knows
	Linkname string // of a symlink, raw bytes
	Major    uint32 // of a device
	Minor    uint32
}

// Entry is one entry of a difftar or a sigtar.
type Entry struct {
	Path string // raw bytes, components joined by "/"; the root is ""
	Kind Kind
	Meta // zero for Deleted

	// Part is the number, from 1, of this piece of a file that was cut into
	// parts (multivol_ entries, duplicity-format.md §3.4); 0 if it was not. The
	// Reader takes up to 2^46-1, so that Part*PartSize+Size does not overflow.
	Part int
	// Size is the number of bytes that follow the header, at most MaxSize. Of a
	// directory, link, device or fifo nothing follows, whatever its header says.
	Size int64
	// Offset is where those bytes begin in the tar. Set by Reader.
	Offset int64
}

// PartSize is the length in bytes of every part of a file but its last
// (duplicity-format.md §3.4).
const PartSize = 64 << 10

// Compare orders paths as both archives must be ordered: component by component
// as bytes, a parent before its children (duplicity-format.md §3.6). That is the
// order of the joined strings with "/" before every other byte.
func Compare[A, B ~string | ~[]byte](a A, b B) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return cmp.Compare(len(a), len(b))
}

// Within reports whether path is dir or lies below it. Everything is within "".
func Within(path, dir string) bool {
	if dir == "" || path == dir {
		return true
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && strings.HasPrefix(path, dir)
}

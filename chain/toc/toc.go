package toc

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
	"hindsight/chain/naming"
)

// Version is the version of the format that is written, and the newest that is read.
const Version = 1

// Limits on what is written and read. They are far beyond real sets and keep a hostile
// object from filling the memory.
const (
	MaxOps       = 1 << 20           // ops of an entry; one with more is written as OpsUnknown
	MaxStream    = extent.MaxExtents // extents of an entry's stream
	MaxXattrs    = 1 << 20           // bytes of all names and values of an entry's extended attributes
	MaxXattrName = 255               // bytes, as in Linux
	MaxOwner     = difftar.MaxPath   // bytes of user and group name together
	MaxVolume    = naming.MaxVolume  // the highest volume number
	MaxRecord    = 64 << 20          // bytes of a record
)

var (
	// ErrFormat says that bytes are no toc, or a damaged one.
	ErrFormat = errors.New("malformed portable index")
	// ErrVersion says that a toc needs a newer reader.
	ErrVersion = fmt.Errorf("portable index of a newer format than version %d", Version)
)

// Entry is what became of one path in the set.
type Entry struct {
	Path string       // raw bytes, components joined by "/"; the root is ""
	Kind difftar.Kind // Snapshot, Diff or Deleted

	// All of what follows is zero for Deleted.

	difftar.Meta // as the set stores it

	// Sec and Nsec are the exact time of modification: Unix seconds, negative before
	// 1970, and 0..999999999. Who knows no better says MTime and 0.
	Sec  int64
	Nsec int32

	// All but Xattrs and Link is zero of what is no regular file.

	Size    int64    // bytes of the content, -1 if unknown
	Hash    [32]byte // BLAKE3 of the content
	HasHash bool

	// Stream is where the stored stream lies, which is the content of a Snapshot or
	// the delta of a Diff. Place.Set is 0: the volumes are this set's own.
	Stream []extent.Extent
	// Ops are the delta of a Diff in output order; their lengths are positive. Who
	// does not know them sets OpsUnknown and leaves them out: they are to be read from
	// the stream.
	Ops        []librsync.Op
	OpsUnknown bool

	SigOffset int64 // where in the sigtar the file's signature begins; 0 if SigLen is
	SigLen    int64 // bytes; 0: there is none
	// SigShift is how much more than MTime the sigtar says, in seconds: what is stored
	// may not be one state of the file, and the next backup is to read it again. 0 if
	// SigLen is.
	SigShift int64

	Xattrs []Xattr // by name, ascending
	Link   Link
}

// Xattr is an extended attribute. An ACL is one too: system.posix_acl_access or
// system.posix_acl_default.
type Xattr struct {
	Name  string // 1..MaxXattrName bytes without NUL
	Value []byte
}

// Link is the identity of what has more than one name: entries with the same Link are
// hard links of one another. Zero: none.
type Link struct{ Dev, Ino uint64 }

// implied is the size that the rest of the entry speaks of.
func (e *Entry) implied() int64 {
	if e.Kind != difftar.Diff {
		return extent.Size(e.Stream)
	}
	if e.OpsUnknown {
		return -1
	}
	var n int64
	for _, op := range e.Ops {
		n += op.Len
	}
	return n
}

// check says why an entry cannot be one, whoever made it.
func (e *Entry) check() error {
	if len(e.Path) > difftar.MaxPath {
		return fmt.Errorf("path of %d bytes", len(e.Path))
	}
	if err := difftar.CheckPath(e.Path); err != nil {
		return err
	}
	switch {
	case e.Kind == difftar.Deleted:
		return e.checkDeleted()
	case e.Kind != difftar.Snapshot && e.Kind != difftar.Diff:
		return fmt.Errorf("entry of %v", e.Kind)
	case e.Nsec < 0 || e.Nsec > 999_999_999:
		return fmt.Errorf("time with %d nanoseconds", e.Nsec)
	}
	if err := checkMeta(&e.Meta); err != nil {
		return err
	}
	if err := checkXattrs(e.Xattrs); err != nil {
		return err
	}
	if e.Type != difftar.Regular {
		return e.checkObject()
	}
	return e.checkFile()
}

func (e *Entry) checkDeleted() error {
	if e.Meta != (difftar.Meta{}) || e.Sec != 0 || e.Nsec != 0 || len(e.Xattrs) > 0 || e.Link != (Link{}) || e.hasContent() {
		return errors.New("deleted path with more than its path")
	}
	return nil
}

// checkObject checks what has no content.
func (e *Entry) checkObject() error {
	if e.Kind == difftar.Diff || e.hasContent() {
		return fmt.Errorf("%v with content", e.Type)
	}
	return nil
}

// hasContent reports whether anything is said that is said of regular files alone.
func (e *Entry) hasContent() bool {
	return e.Size != 0 || e.HasHash || e.Hash != [32]byte{} || len(e.Stream) > 0 || len(e.Ops) > 0 || e.OpsUnknown ||
		e.SigOffset != 0 || e.SigLen != 0 || e.SigShift != 0
}

func (e *Entry) checkFile() error {
	switch {
	case e.Size < -1:
		return fmt.Errorf("size of %d bytes", e.Size)
	case !e.HasHash && e.Hash != [32]byte{}:
		return errors.New("hash that is none")
	case e.SigLen < 0 || e.SigLen > difftar.MaxSize || e.SigOffset < 0 || e.SigOffset > difftar.MaxSize || e.SigLen == 0 && (e.SigOffset != 0 || e.SigShift != 0):
		return fmt.Errorf("signature of %d bytes at %d", e.SigLen, e.SigOffset)
	case e.Kind == difftar.Snapshot && (len(e.Ops) > 0 || e.OpsUnknown):
		return errors.New("snapshot with ops")
	}
	if err := checkStream(e.Stream); err != nil {
		return err
	}
	return checkOps(e)
}

func checkMeta(m *difftar.Meta) error {
	device := m.Type == difftar.CharDevice || m.Type == difftar.BlockDevice
	switch {
	case m.Type < difftar.Regular || m.Type > difftar.Fifo:
		return fmt.Errorf("object of %v", m.Type)
	case m.Mode > 0o7777:
		return fmt.Errorf("mode %#o", m.Mode)
	case m.UID < 0 || m.GID < 0:
		return errors.New("negative id")
	case len(m.Uname)+len(m.Gname) > MaxOwner || len(m.Linkname) > difftar.MaxPath:
		return errors.New("link target or owner too long")
	case m.Linkname != "" && m.Type != difftar.Symlink || m.Major|m.Minor != 0 && !device:
		return fmt.Errorf("%v with a link target or a device number", m.Type)
	case strings.IndexByte(m.Linkname, 0) >= 0 || strings.IndexByte(m.Uname, 0) >= 0 || strings.IndexByte(m.Gname, 0) >= 0:
		return errors.New("NUL byte in a link target or an owner")
	}
	return nil
}

func checkXattrs(xattrs []Xattr) error {
	total := 0
	for i, x := range xattrs {
		if x.Name == "" || len(x.Name) > MaxXattrName || strings.IndexByte(x.Name, 0) >= 0 {
			return fmt.Errorf("extended attribute %.300q", x.Name)
		}
		if i > 0 && x.Name <= xattrs[i-1].Name {
			return fmt.Errorf("extended attribute %q after %q", x.Name, xattrs[i-1].Name)
		}
		if total += len(x.Name) + len(x.Value); total > MaxXattrs {
			return fmt.Errorf("extended attributes of more than %d bytes", MaxXattrs)
		}
	}
	return nil
}

func checkStream(stream []extent.Extent) error {
	if err := extent.Check(stream); err != nil {
		return err
	}
	for i := range stream {
		if s := &stream[i]; s.Set != 0 || s.Volume > MaxVolume || tarEnd(s) > maxTar {
			return fmt.Errorf("stream in volume %d of set %d, %d bytes from %d on", s.Volume, s.Set, s.Len, s.Tar)
		}
	}
	return nil
}

func checkOps(e *Entry) error {
	if e.OpsUnknown && len(e.Ops) > 0 {
		return errors.New("ops that are unknown")
	}
	var size int64
	for _, op := range e.Ops {
		if op.Pos < 0 || op.Len <= 0 || op.Pos > math.MaxInt64-op.Len || size > math.MaxInt64-op.Len {
			return fmt.Errorf("op of %d bytes from %d", op.Len, op.Pos)
		}
		size += op.Len
	}
	return nil
}

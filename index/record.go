package index

import (
	"encoding/binary"
	"math"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
)

// Flags of a dirent record, above the three bits of the file type, 0 of a deleted path.
const (
	typeMask = 1<<3 - 1

	hasHash = 1 << (iota + 2)
	hasXattrs
	hasLink
	hasExact     // seconds or nanoseconds that the archive does not tell
	hasSize      // else it is not known yet, of a regular file
	hasSignature // where it lies in the set's sigtar is known
	hasInline    // extents, in this record
	hasExtents   // extents, in a record of their own
	isImplied
	hasShift // of the signature's time
)

// record is the value of a dirent key: a version of a path, as the set stored it whose
// time the version is.
type record struct {
	id      ID
	deleted bool // all else is zero, then
	implied bool // a directory that no set tells of, only of what is below it
	user    uint32
	group   uint32 // numbers of owners in the meta file; Uname and Gname are not set here

	inode
	xattrs  bool
	link    uint64 // digest of a hard-linked inode; 0: none
	sigOff  int64
	sigLen  int64 // 0: unknown
	shift   int64 // toc.Entry.SigShift
	inline  []extent.Extent
	extents extentsAt
}

// inode is what is known of a file system object. It is comparable.
type inode struct {
	difftar.Meta
	// Sec and Nsec are the exact time of modification: Unix seconds, and
	// 0..999999999. Where no more is known they are MTime and 0.
	Sec  int64
	Nsec int32
	// Size in bytes: of a regular file's content, -1 if it is not known yet; of a
	// symlink's target; else 0.
	Size    int64
	HasHash bool
	Hash    [32]byte // BLAKE3 of the content
}

// extentsAt says where the extents of a version are.
type extentsAt uint8

const (
	extentsNone    extentsAt = iota // there are none: no content
	extentsInline                   // in the record
	extentsLarge                    // in a record of their own
	extentsUnknown                  // the volumes must be scanned for them
)

// appendRecord encodes a version that the set own stored.
func appendRecord(b []byte, own uint32, r *record) []byte {
	if r.deleted {
		return binary.AppendUvarint(binary.AppendUvarint(b, 0), uint64(r.id))
	}
	exact := r.Sec != r.MTime || r.Nsec != 0
	flags := uint64(r.Type)
	for _, f := range []struct {
		set bool
		bit uint64
	}{
		{r.HasHash, hasHash}, {r.xattrs, hasXattrs}, {r.link != 0, hasLink}, {exact, hasExact},
		{r.Type == difftar.Regular && r.Size >= 0, hasSize}, {r.sigLen > 0, hasSignature},
		{r.extents == extentsInline, hasInline}, {r.extents == extentsLarge, hasExtents}, {r.implied, isImplied},
		{r.shift != 0, hasShift},
	} {
		if f.set {
			flags |= f.bit
		}
	}
	b = binary.AppendUvarint(b, flags)
	b = binary.AppendUvarint(b, uint64(r.id))
	b = binary.AppendUvarint(b, uint64(r.Mode))
	b = binary.AppendUvarint(b, uint64(r.UID))
	b = binary.AppendUvarint(b, uint64(r.GID))
	b = binary.AppendUvarint(b, uint64(r.user))
	b = binary.AppendUvarint(b, uint64(r.group))
	b = binary.AppendVarint(b, r.MTime)
	if exact {
		b = binary.AppendVarint(b, r.Sec)
		b = binary.AppendUvarint(b, uint64(r.Nsec))
	}
	switch r.Type {
	case difftar.Symlink:
		b = appendText(b, r.Linkname)
	case difftar.CharDevice, difftar.BlockDevice:
		b = binary.AppendUvarint(b, uint64(r.Major))
		b = binary.AppendUvarint(b, uint64(r.Minor))
	}
	if flags&hasSize != 0 {
		b = binary.AppendUvarint(b, uint64(r.Size))
	}
	if flags&hasSignature != 0 {
		b = binary.AppendUvarint(b, uint64(r.sigOff))
		b = binary.AppendUvarint(b, uint64(r.sigLen))
	}
	if flags&hasShift != 0 {
		b = binary.AppendVarint(b, r.shift)
	}
	if flags&hasInline != 0 {
		b = appendExtents(b, own, r.inline)
	}
	if r.link != 0 {
		b = binary.LittleEndian.AppendUint64(b, r.link)
	}
	if r.HasHash {
		b = append(b, r.Hash[:]...)
	}
	return b
}

// parseRecord decodes what appendRecord wrote. Nothing of r shares memory with b.
func parseRecord(b []byte, own uint32, r *record) error {
	*r = record{}
	d := decoder{b: b}
	flags := d.uint("flags", hasShift<<1-1)
	r.id = ID(d.uint("id", uint64(maxID)))
	if r.id != Root && r.id < firstID {
		d.fail("id")
	}
	r.Type = difftar.Type(flags & typeMask)
	if r.deleted = r.Type == 0; r.deleted {
		if flags != 0 {
			d.fail("flags of a deleted path")
		}
		return d.end()
	}
	if r.Type > difftar.Fifo {
		d.fail("type")
	}
	r.implied = flags&isImplied != 0
	r.xattrs = flags&hasXattrs != 0
	r.Mode = uint32(d.uint("mode", 0o7777))
	r.UID = int64(d.uint("uid", math.MaxInt64))
	r.GID = int64(d.uint("gid", math.MaxInt64))
	r.user = uint32(d.uint("user", maxOwners))
	r.group = uint32(d.uint("group", maxOwners))
	r.MTime = d.int("mtime")
	r.Sec = r.MTime
	if flags&hasExact != 0 {
		r.Sec = d.int("exact time")
		r.Nsec = int32(d.uint("nanoseconds", 999_999_999))
	}
	r.parseContent(&d, flags, own)
	if flags&hasLink != 0 {
		if p := d.bytes("link", 8); p != nil {
			r.link = binary.LittleEndian.Uint64(p)
		}
	}
	if r.HasHash = flags&hasHash != 0; r.HasHash {
		copy(r.Hash[:], d.bytes("hash", len(r.Hash)))
	}
	return d.end()
}

// parseContent decodes what depends on the type.
func (r *record) parseContent(d *decoder, flags uint64, own uint32) {
	const ofFiles = hasHash | hasSize | hasSignature | hasInline | hasExtents | hasShift
	switch r.Type {
	case difftar.Symlink:
		r.Linkname = string(d.text("link target", difftar.MaxPath))
		r.Size = int64(len(r.Linkname))
	case difftar.CharDevice, difftar.BlockDevice:
		r.Major = uint32(d.uint("major number", math.MaxUint32))
		r.Minor = uint32(d.uint("minor number", math.MaxUint32))
	}
	if r.Type != difftar.Regular {
		if flags&ofFiles != 0 {
			d.fail("content of what is no file")
		}
		return
	}
	r.Size = -1
	if flags&hasSize != 0 {
		r.Size = int64(d.uint("size", math.MaxInt64))
	}
	if flags&hasSignature != 0 {
		r.sigOff = int64(d.uint("signature", difftar.MaxSize))
		if r.sigLen = int64(d.uint("signature", difftar.MaxSize)); r.sigLen == 0 {
			d.fail("signature of no bytes")
		}
	}
	if flags&hasShift != 0 {
		r.shift = d.int("time of the signature")
	}
	switch {
	case flags&hasInline != 0:
		r.extents = extentsInline
		r.inline = d.extents(own)
	case flags&hasExtents != 0:
		r.extents = extentsLarge
	case r.Size != 0:
		r.extents = extentsUnknown
	}
}

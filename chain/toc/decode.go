package toc

import (
	"encoding/binary"
	"errors"
	"math"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
)

// maxTar bounds offsets in tars; extent.Check has the last word.
const maxTar = 1 << 56

var errOrder = errors.New("path out of order")

// decoder takes payloads of entries apart.
type decoder struct {
	ctx  context
	path []byte
}

// decode makes e, whose slices are reused, from a payload. Values of extended
// attributes lie within it. rest is how many bytes follow what this version knows.
// After an error the decoder cannot go on.
func (c *decoder) decode(payload []byte, e *Entry) (rest int, err error) {
	*e = Entry{Stream: e.Stream[:0], Ops: e.Ops[:0], Xattrs: e.Xattrs[:0]}
	f := fields{b: payload}
	c.decodePath(&f, e)
	flags := f.number(flagsEnd - 1)
	e.Kind = difftar.Kind(flags & flagKind)
	if e.Kind == difftar.Deleted {
		if flags != int64(difftar.Deleted) {
			f.fail(errCanonical)
		}
	} else {
		c.decodeMeta(&f, e, flags)
		c.decodeContent(&f, e, flags)
		c.decodeExtras(&f, e, flags)
	}
	if f.err != nil {
		return 0, f.err
	}
	if err := e.check(); err != nil {
		return 0, err
	}
	c.ctx.advance(e)
	return len(f.b), nil
}

func (c *decoder) decodePath(f *fields, e *Entry) {
	shared := int(f.number(int64(len(c.path))))
	suffix := f.text(difftar.MaxPath)
	if f.err == nil && c.ctx.started {
		switch old := c.path[shared:]; {
		case len(suffix) == 0, len(old) > 0 && difftar.Compare(old, suffix) > 0:
			f.fail(errOrder)
		case len(old) > 0 && old[0] == suffix[0]:
			f.fail(errCanonical)
		}
	}
	c.path = append(c.path[:shared], suffix...)
	e.Path = string(c.path)
}

func (c *decoder) decodeMeta(f *fields, e *Entry, flags int64) {
	c.decodeOwner(f, &e.Meta)
	e.MTime = c.ctx.mtime + f.varint()
	e.Sec = e.MTime
	if flags&flagSec != 0 {
		e.Sec += f.varint()
		f.must(e.Sec != e.MTime)
	}
	if flags&flagNsec != 0 {
		if p := f.bytes(4); p != nil {
			e.Nsec = int32(binary.LittleEndian.Uint32(p))
		}
		f.must(e.Nsec != 0)
	}
	if flags&flagLinkname != 0 {
		e.Linkname = string(f.text(difftar.MaxPath))
		f.must(e.Linkname != "")
	}
	if flags&flagDevice != 0 {
		e.Major = uint32(f.number(math.MaxUint32))
		e.Minor = uint32(f.number(math.MaxUint32))
		f.must(e.Major|e.Minor != 0)
	}
}

func (c *decoder) decodeOwner(f *fields, m *difftar.Meta) {
	i := f.number(maxOwners)
	var w owner
	switch {
	case i == 0:
		w = newOwner(f)
		if _, known := c.ctx.owners.find(&w); known {
			f.fail(errCanonical)
		}
		if f.err == nil {
			c.ctx.owners.add(w)
		}
	case i > int64(len(c.ctx.owners.list)):
		f.fail(errNumber)
	default:
		w = c.ctx.owners.list[i-1]
	}
	m.Type, m.Mode, m.UID, m.GID, m.Uname, m.Gname = w.typ, w.mode, w.uid, w.gid, w.uname, w.gname
}

func newOwner(f *fields) owner {
	return owner{
		typ:   difftar.Type(f.number(math.MaxUint8)),
		mode:  uint32(f.number(0o7777)),
		uid:   f.size(),
		gid:   f.size(),
		uname: string(f.text(MaxOwner)),
		gname: string(f.text(MaxOwner)),
	}
}

// decodeContent decodes what only regular files have.
func (c *decoder) decodeContent(f *fields, e *Entry, flags int64) {
	if flags&flagExtent != 0 {
		s := extent.Extent{Place: extent.Place{Volume: c.ctx.place.volume}}
		c.decodeExtent(f, &s)
		e.Stream = append(e.Stream, s)
		f.must(flags&flagStream == 0)
	}
	if flags&flagStream != 0 {
		c.decodeStream(f, e)
	}
	if flags&flagOps != 0 {
		decodeOps(f, e)
		f.must(len(e.Ops) > 0)
	}
	e.OpsUnknown = flags&flagOpsUnknown != 0
	if e.Type == difftar.Regular {
		e.Size = e.implied()
	}
	if flags&flagSize != 0 {
		size := int64(f.uvarint() - 1)
		f.must(size != e.Size)
		e.Size = size
	}
	if flags&flagHash != 0 {
		e.HasHash = true
		copy(e.Hash[:], f.bytes(len(e.Hash)))
	}
	if flags&flagSignature != 0 {
		e.SigOffset = f.offset(expect(c.ctx.sig), difftar.MaxSize)
		e.SigLen = f.size()
		f.must(e.SigLen > 0)
	}
	if flags&flagSigShift != 0 {
		e.SigShift = f.varint()
		f.must(e.SigShift != 0)
	}
}

// offset is what codeOffset made.
func (f *fields) offset(expected, limit int64) int64 {
	off, ok := decodeOffset(f.uvarint(), expected, limit)
	if !ok {
		f.fail(errNumber)
	}
	return off
}

func (c *decoder) decodeExtent(f *fields, e *extent.Extent) {
	e.Tar = f.offset(c.ctx.place.at(e.Volume), maxTar)
	e.Len = f.number(maxTar)
	if e.Len == 0 {
		f.fail(errNumber)
	}
	if f.err == nil {
		c.ctx.place.behind(e)
	}
}

func (c *decoder) decodeStream(f *fields, e *Entry) {
	before := c.ctx.place.volume
	n := f.count(MaxStream)
	end := int64(0)
	for range n {
		s := extent.Extent{Off: end, Place: extent.Place{Volume: c.ctx.place.volume}}
		flags := f.number(extentFlagsEnd - 1)
		if flags&extentHole != 0 {
			hole := f.number(math.MaxInt64 - end)
			f.must(hole > 0)
			s.Off += hole
		}
		if flags&extentVolume != 0 {
			volume := uint32(f.number(MaxVolume))
			f.must(volume != s.Volume)
			s.Volume = volume
		}
		if flags&extentGap != 0 {
			s.Gap, s.Head = int32(f.number(extent.MaxGap)), extent.PartSize
			f.must(s.Gap > 0)
		}
		if flags&extentHead != 0 {
			s.Head = int32(f.number(extent.PartSize - 1))
			f.must(s.Gap > 0)
		}
		c.decodeExtent(f, &s)
		if f.err != nil {
			return
		}
		if s.Off > math.MaxInt64-s.Len {
			f.fail(errNumber)
			return
		}
		e.Stream = append(e.Stream, s)
		end = s.End()
	}
	f.must(n > 1 || n == 1 && (e.Stream[0].Off > 0 || e.Stream[0].Gap > 0 || e.Stream[0].Volume != before))
}

func decodeOps(f *fields, e *Entry) {
	var ends [2]int64
	for range f.count(MaxOps) {
		u := f.uvarint()
		kind := u & 1
		op := librsync.Op{Copy: kind == 1, Pos: ends[kind] + f.varint(), Len: int64(u >> 1)}
		if op.Pos < 0 || op.Pos > math.MaxInt64-op.Len {
			f.fail(errNumber)
		}
		if f.err != nil {
			return
		}
		e.Ops = append(e.Ops, op)
		ends[kind] = op.Pos + op.Len
	}
}

func (c *decoder) decodeExtras(f *fields, e *Entry, flags int64) {
	if flags&flagXattrs != 0 {
		for range f.count(MaxXattrs) {
			x := Xattr{Name: string(f.text(MaxXattrName)), Value: f.text(MaxXattrs)}
			if f.err != nil {
				return
			}
			e.Xattrs = append(e.Xattrs, x)
		}
		f.must(len(e.Xattrs) > 0)
	}
	if flags&flagLink != 0 {
		e.Link.Dev = c.ctx.link.Dev + uint64(f.varint())
		e.Link.Ino = c.ctx.link.Ino + uint64(f.varint())
		f.must(e.Link != Link{})
	}
}

// must is for what an encoder would say in another way.
func (f *fields) must(canonical bool) {
	if f.err == nil && !canonical {
		f.fail(errCanonical)
	}
}

package toc

import (
	"encoding/binary"
	"fmt"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
)

// encoder makes payloads of entries.
type encoder struct {
	ctx context
	buf []byte
}

// encode returns the payload of e, valid until the next call. An error leaves the
// encoder as it was.
func (c *encoder) encode(e *Entry) ([]byte, error) {
	if len(e.Ops) > MaxOps {
		known := *e
		known.Ops, known.OpsUnknown = nil, true
		e = &known
	}
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("entry %.200q: %w", e.Path, err)
	}
	if c.ctx.started && difftar.Compare(c.ctx.path, e.Path) >= 0 {
		return nil, fmt.Errorf("entry %.200q after %.200q", e.Path, c.ctx.path)
	}
	c.buf = c.appendEntry(c.buf[:0], e)
	c.ctx.advance(e)
	return c.buf, nil
}

func (c *encoder) appendEntry(b []byte, e *Entry) []byte {
	shared := commonPrefix(c.ctx.path, e.Path)
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendText(b, e.Path[shared:])
	flags := c.flags(e)
	b = binary.AppendUvarint(b, flags)
	if e.Kind == difftar.Deleted {
		return b
	}
	b = c.appendMeta(b, e, flags)
	if flags&flagExtent != 0 {
		b = c.appendExtent(b, &e.Stream[0])
	}
	if flags&flagStream != 0 {
		b = c.appendStream(b, e.Stream)
	}
	if flags&flagOps != 0 {
		b = appendOps(b, e.Ops)
	}
	if flags&flagSize != 0 {
		b = binary.AppendUvarint(b, uint64(e.Size+1))
	}
	if flags&flagHash != 0 {
		b = append(b, e.Hash[:]...)
	}
	if flags&flagSignature != 0 {
		b = binary.AppendUvarint(b, codeOffset(e.SigOffset, expect(c.ctx.sig)))
		b = binary.AppendUvarint(b, uint64(e.SigLen))
	}
	if flags&flagSigShift != 0 {
		b = binary.AppendUvarint(b, zigzag(e.SigShift))
	}
	if flags&flagXattrs != 0 {
		b = binary.AppendUvarint(b, uint64(len(e.Xattrs)))
		for _, x := range e.Xattrs {
			b = appendText(b, x.Name)
			b = appendText(b, x.Value)
		}
	}
	if flags&flagLink != 0 {
		b = binary.AppendUvarint(b, zigzag(int64(e.Link.Dev-c.ctx.link.Dev)))
		b = binary.AppendUvarint(b, zigzag(int64(e.Link.Ino-c.ctx.link.Ino)))
	}
	return b
}

func (c *encoder) flags(e *Entry) uint64 {
	flags := uint64(e.Kind)
	set := func(flag uint64, when bool) {
		if when {
			flags |= flag
		}
	}
	simple := c.ctx.simple(e.Stream)
	set(flagExtent, simple)
	set(flagStream, len(e.Stream) > 0 && !simple)
	set(flagHash, e.HasHash)
	set(flagNsec, e.Nsec != 0)
	set(flagSec, e.Sec != e.MTime)
	set(flagSignature, e.SigLen > 0)
	set(flagSize, e.Type == difftar.Regular && e.Size != e.implied())
	set(flagLinkname, e.Linkname != "")
	set(flagDevice, e.Major|e.Minor != 0)
	set(flagXattrs, len(e.Xattrs) > 0)
	set(flagLink, e.Link != Link{})
	set(flagOps, len(e.Ops) > 0)
	set(flagOpsUnknown, e.OpsUnknown)
	set(flagSigShift, e.SigShift != 0)
	return flags
}

// simple reports whether flagExtent can say all of a stream: one contiguous extent
// from 0 on, in the volume of the stream before.
func (c *context) simple(stream []extent.Extent) bool {
	if len(stream) != 1 {
		return false
	}
	e := &stream[0]
	return e.Off == 0 && e.Gap == 0 && e.Volume == c.place.volume
}

func (c *encoder) appendMeta(b []byte, e *Entry, flags uint64) []byte {
	b = c.appendOwner(b, ownerOf(&e.Meta))
	b = binary.AppendUvarint(b, zigzag(e.MTime-c.ctx.mtime))
	if flags&flagSec != 0 {
		b = binary.AppendUvarint(b, zigzag(e.Sec-e.MTime))
	}
	if flags&flagNsec != 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(e.Nsec))
	}
	if flags&flagLinkname != 0 {
		b = appendText(b, e.Linkname)
	}
	if flags&flagDevice != 0 {
		b = binary.AppendUvarint(b, uint64(e.Major))
		b = binary.AppendUvarint(b, uint64(e.Minor))
	}
	return b
}

func (c *encoder) appendOwner(b []byte, w owner) []byte {
	if i, ok := c.ctx.owners.find(&w); ok {
		return binary.AppendUvarint(b, uint64(i)+1)
	}
	c.ctx.owners.add(w)
	b = append(b, 0, byte(w.typ))
	b = binary.AppendUvarint(b, uint64(w.mode))
	b = binary.AppendUvarint(b, uint64(w.uid))
	b = binary.AppendUvarint(b, uint64(w.gid))
	b = appendText(b, w.uname)
	return appendText(b, w.gname)
}

// appendExtent appends where an extent begins in its tar, and its length.
func (c *encoder) appendExtent(b []byte, e *extent.Extent) []byte {
	b = binary.AppendUvarint(b, codeOffset(e.Tar, c.ctx.place.at(e.Volume)))
	b = binary.AppendUvarint(b, uint64(e.Len))
	c.ctx.place.behind(e)
	return b
}

func (c *encoder) appendStream(b []byte, stream []extent.Extent) []byte {
	b = binary.AppendUvarint(b, uint64(len(stream)))
	end := int64(0)
	for i := range stream {
		e := &stream[i]
		var flags byte
		if e.Off != end {
			flags |= extentHole
		}
		if e.Volume != c.ctx.place.volume {
			flags |= extentVolume
		}
		if e.Gap != 0 {
			flags |= extentGap
			if e.Head != extent.PartSize {
				flags |= extentHead
			}
		}
		b = append(b, flags)
		if flags&extentHole != 0 {
			b = binary.AppendUvarint(b, uint64(e.Off-end))
		}
		if flags&extentVolume != 0 {
			b = binary.AppendUvarint(b, uint64(e.Volume))
		}
		if flags&extentGap != 0 {
			b = binary.AppendUvarint(b, uint64(e.Gap))
		}
		if flags&extentHead != 0 {
			b = binary.AppendUvarint(b, uint64(e.Head))
		}
		b = c.appendExtent(b, e)
		end = e.End()
	}
	return b
}

// appendOps codes each op against the one before of its kind: copies and literals both
// go up, as a rule.
func appendOps(b []byte, ops []librsync.Op) []byte {
	b = binary.AppendUvarint(b, uint64(len(ops)))
	var ends [2]int64
	for _, op := range ops {
		kind := 0
		if op.Copy {
			kind = 1
		}
		b = binary.AppendUvarint(b, uint64(op.Len)<<1|uint64(kind))
		b = binary.AppendUvarint(b, zigzag(op.Pos-ends[kind]))
		ends[kind] = op.Pos + op.Len
	}
	return b
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

package toc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"hindsight/chain/codec"
	"hindsight/chain/naming"
)

// Header says which set a toc is of.
type Header struct {
	Inc   bool        // an incremental
	Start naming.Time // of the set that it builds on; 0 for a full
	End   naming.Time // of the set
}

func (h Header) check() error {
	if h.End == 0 || h.Inc != (h.Start != 0) {
		return fmt.Errorf("set from %v to %v, incremental: %v", h.Start, h.End, h.Inc)
	}
	return nil
}

// Object says what one of a set's objects is, and how it is read in the middle.
type Object struct {
	Size  int64        // bytes as stored
	SHA1  [20]byte     // of the stored bytes; zero: not known
	Table *codec.Table // nil: not known, the object is read from its beginning
}

func (o *Object) check() error {
	if o.Size < 0 {
		return fmt.Errorf("size of %d bytes", o.Size)
	}
	if o.Table == nil {
		return nil
	}
	return o.Table.Check()
}

// Volume is a volume of the set.
type Volume struct {
	Number int // 1..MaxVolume
	Object
}

func (v *Volume) check() error {
	if v.Number < 1 || v.Number > MaxVolume {
		return errors.New("number out of range")
	}
	return v.Object.check()
}

func appendHeader(b []byte, h Header) []byte {
	var flags byte
	if h.Inc {
		flags = 1
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, zigzag(int64(h.Start)))
	return binary.AppendUvarint(b, zigzag(int64(h.End)))
}

func (f *fields) header() Header {
	return Header{Inc: f.number(1) == 1, Start: naming.Time(f.varint()), End: naming.Time(f.varint())}
}

// appendObject appends o. A table that would take more than limit bytes in all is left
// out: a record has a bound, and the object can be read without.
func appendObject(b []byte, o *Object, limit int) []byte {
	b = binary.AppendUvarint(b, uint64(o.Size))
	b = append(b, o.SHA1[:]...)
	before := len(b)
	if b = AppendTable(b, o.Table); len(b) > limit {
		b = AppendTable(b[:before], nil)
	}
	return b
}

func (f *fields) object() (o Object) {
	o.Size = f.size()
	copy(o.SHA1[:], f.bytes(len(o.SHA1)))
	o.Table = f.table()
	return o
}

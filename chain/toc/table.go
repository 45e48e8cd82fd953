package toc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"hindsight/chain/codec"
	"hindsight/chain/pgp"
)

// The flags of a table.
const (
	tableDeflated = 1 << 0
	tableMessage  = 1 << 1
	tableNone     = 1 << 2 // and no other
)

// maxLengths is the most octets that the length of a chunk takes (RFC 4880 §4.2.2).
const maxLengths = 5

// AppendTable appends the form that tables have in a toc. t is one that passes its
// Check, or nil. A Sequential one is left out: it saves no reader a byte.
func AppendTable(b []byte, t *codec.Table) []byte {
	if t == nil || t.Sequential {
		return append(b, tableNone)
	}
	var flags byte
	if t.Deflated {
		flags |= tableDeflated
	}
	if t.Message != nil {
		flags |= tableMessage
	}
	b = append(b, flags)
	if t.Message != nil {
		b = appendMessage(b, t.Message)
	}
	b = binary.AppendUvarint(b, uint64(len(t.Blocks)))
	stored := int64(0)
	for i := range t.Blocks {
		k := &t.Blocks[i]
		b = binary.AppendUvarint(b, uint64(k.Len))
		b = binary.AppendUvarint(b, uint64(k.StoredLen))
		shift := zigzag(k.StoredOffset-stored) << 1
		if k.Resume != nil {
			shift |= 1
		}
		b = binary.AppendUvarint(b, shift)
		b = append(b, k.Sum[:]...)
		if k.Resume != nil {
			b = appendResume(b, k.Resume)
		}
		stored = k.StoredOffset + int64(k.StoredLen)
	}
	return b
}

func appendMessage(b []byte, m *codec.Message) []byte {
	b = appendText(b, m.ESK)
	b = appendText(b, m.Prefix)
	b = binary.AppendUvarint(b, uint64(m.Layout.Head))
	b = binary.AppendUvarint(b, uint64(m.Layout.Start))
	b = binary.AppendUvarint(b, uint64(m.Layout.Len))
	b = binary.AppendUvarint(b, uint64(len(m.Layout.Runs)))
	for _, r := range m.Layout.Runs {
		b = appendText(b, r.Lengths)
		b = binary.AppendUvarint(b, uint64(r.Count))
	}
	return b
}

func appendResume(b []byte, r *codec.Resume) []byte {
	b = append(b, r.Bit)
	b = binary.AppendUvarint(b, uint64(r.Skip))
	b = binary.AppendUvarint(b, uint64(r.Chunk))
	return appendText(b, r.Window)
}

// ParseTable is the opposite of AppendTable. It copies, and what it returns has passed
// Table.Check. The error wraps ErrFormat.
func ParseTable(b []byte) (*codec.Table, error) {
	f := fields{b: b}
	t := f.table()
	if f.err == nil && len(f.b) > 0 {
		f.fail(errors.New("more than a table"))
	}
	if f.err != nil {
		return nil, fmt.Errorf("%w: table: %w", ErrFormat, f.err)
	}
	return t, nil
}

func (f *fields) table() *codec.Table {
	flags := f.number(tableNone)
	if flags == tableNone {
		return nil
	}
	t := &codec.Table{Deflated: flags&tableDeflated != 0}
	if flags&tableMessage != 0 {
		t.Message = f.message()
	}
	var stored int64
	for range f.count(codec.MaxBlocks) {
		k := codec.Block{TarOffset: t.Size(), Len: int32(f.number(codec.MaxPlain)), StoredLen: int32(f.number(codec.MaxStored))}
		shift := f.uvarint()
		k.StoredOffset = stored + unzigzag(shift>>1)
		copy(k.Sum[:], f.bytes(len(k.Sum)))
		if shift&1 != 0 {
			k.Resume = f.resume()
		}
		if f.err != nil {
			return t
		}
		t.Blocks = append(t.Blocks, k)
		stored = k.StoredOffset + int64(k.StoredLen)
	}
	if err := t.Check(); f.err == nil && err != nil {
		f.fail(err)
	}
	return t
}

func (f *fields) message() *codec.Message {
	m := &codec.Message{ESK: f.clone(codec.MaxESK), Prefix: f.clone(pgp.PrefixSize)}
	m.Layout = pgp.Layout{Head: f.size(), Start: f.size(), Len: f.size()}
	for range f.count(pgp.MaxRuns) {
		r := pgp.Run{Lengths: f.clone(pgp.MaxChunks * maxLengths), Count: f.size()}
		if f.err != nil {
			return m
		}
		m.Layout.Runs = append(m.Layout.Runs, r)
	}
	return m
}

func (f *fields) resume() *codec.Resume {
	return &codec.Resume{
		Bit: uint8(f.number(7)), Skip: int32(f.number(codec.MaxSkip)), Chunk: f.size(), Window: f.clone(codec.MaxWindow),
	}
}

// clone is a text of its own, nil if it is empty.
func (f *fields) clone(limit int) []byte { return append([]byte(nil), f.text(limit)...) }

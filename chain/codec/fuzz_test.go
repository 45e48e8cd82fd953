package codec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"hindsight/chain/codec"
	"hindsight/chain/pgp"
)

// draws takes numbers from a fuzzer's bytes.
type draws struct{ b []byte }

func (d *draws) next() int64 {
	v, n := binary.Varint(d.b)
	d.b = d.b[max(n, min(1, len(d.b))):]
	return v
}

func (d *draws) bytes() []byte {
	n := int(uint64(d.next()) % 64)
	n = min(n, len(d.b))
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

// table makes some table of the bytes.
func (d *draws) table(message bool) *codec.Table {
	t := &codec.Table{Deflated: d.next()&1 == 0}
	if message {
		m := &codec.Message{Layout: pgp.Layout{Head: d.next(), Start: d.next(), Len: d.next()}}
		for range uint64(d.next()) % 5 {
			m.Layout.Runs = append(m.Layout.Runs, pgp.Run{Lengths: d.bytes(), Count: d.next()})
		}
		t.Message = m
	}
	for range uint64(d.next()) % 9 {
		b := codec.Block{TarOffset: t.Size(), StoredOffset: d.next(), StoredLen: int32(d.next()), Len: int32(d.next())}
		if d.next()&1 == 0 {
			b.Resume = &codec.Resume{Bit: uint8(d.next()), Skip: int32(d.next()), Chunk: d.next(), Window: d.bytes()}
		}
		t.Blocks = append(t.Blocks, b)
	}
	return t
}

// FuzzTable reads objects with tables that nobody gathered: never a panic, nor bytes
// that do not match, nor more memory than the limits allow.
func FuzzTable(f *testing.F) {
	seed := func(stored []byte, numbers ...int64) {
		var p []byte
		for _, v := range numbers {
			p = binary.AppendVarint(p, v)
		}
		f.Add(stored, p, len(numbers) > 10)
	}
	data := sample(3000, 1)
	stored, w := write(f, gz, codec.WriterOptions{}, data, 100)
	b := w.Table().Blocks[0]
	seed(stored, 0, 1, b.StoredOffset, int64(b.StoredLen), int64(b.Len), 1)
	seed(stored, 0, 1, b.StoredOffset, int64(b.StoredLen), 100, 0, 0, 7, 0, 0)
	stored, _ = write(f, plain, codec.WriterOptions{}, data, 100)
	seed(stored, 1, 1, 0, 3000, 3000, 1)
	kr := keyring()
	s := session(f, kr)
	stored, w = write(f, gpg, codec.WriterOptions{Session: s}, data, 100)
	l, b := w.Table().Message.Layout, w.Table().Blocks[0]
	p := []int64{0, l.Head, l.Start, l.Len, 1, int64(len(l.Runs[0].Lengths))}
	var raw []byte
	for _, v := range p {
		raw = binary.AppendVarint(raw, v)
	}
	raw = append(raw, l.Runs[0].Lengths...)
	for _, v := range []int64{1, 1, b.StoredOffset, int64(b.StoredLen), int64(b.Len), 0, 0, int64(b.Resume.Skip), b.Resume.Chunk, 0} {
		raw = binary.AppendVarint(raw, v)
	}
	f.Add(stored, raw, true)
	whole := stored
	f.Fuzz(func(t *testing.T, stored, draw []byte, message bool) {
		d := draws{draw}
		table := d.table(message)
		if message {
			fuzzReadByTable(t, whole, kr, table)
		}
		if table.Check() != nil {
			return
		}
		for i := range table.Blocks {
			off, n := table.Range(i, len(table.Blocks)-1)
			if off < 0 || n < 0 || off+n < off {
				t.Fatalf("range of block %d is %d+%d", i, off, n)
			}
			if off > int64(len(stored)) {
				off = int64(len(stored))
			}
			got, err := table.Decode([]int{i}, stored[off:], off, s.Key())
			if err == nil {
				t.Fatalf("%d bytes decoded though no sum matches", len(got[0]))
			}
			if be := (*codec.BlockError)(nil); !errors.As(err, &be) || !errors.Is(err, codec.ErrCorrupt) {
				t.Fatalf("error is %v", err)
			}
		}
	})
}

// fuzzReadByTable reads a good message by a table of another, or of none.
func fuzzReadByTable(t *testing.T, stored []byte, kr *pgp.Keyring, table *codec.Table) {
	table.Deflated = true
	r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), gpg, codec.ReaderOptions{Keyring: kr, Table: table, Ahead: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if n > 0 || err == nil && len(table.Blocks) > 0 || err != nil && !errors.Is(err, codec.ErrTable) {
		t.Fatalf("%d bytes of %d blocks, %v", n, len(table.Blocks), err)
	}
}

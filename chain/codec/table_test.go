package codec_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"hindsight/chain/codec"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// checkTable sees that a table covers the data without a gap, and that every block of
// it, and some runs of blocks, are decoded from nothing but their range.
func checkTable(t testing.TB, table *codec.Table, stored, data []byte, key pgp.SessionKey) {
	t.Helper()
	if table == nil {
		t.Fatal("no table")
	}
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
	if table.Size() != int64(len(data)) {
		t.Fatalf("table of %d bytes, want %d", table.Size(), len(data))
	}
	n := len(table.Blocks)
	for i := range n {
		for _, last := range []int{i, min(i+3, n-1)} {
			decodeRun(t, table, stored, data, key, i, last)
		}
	}
}

func decodeRun(t testing.TB, table *codec.Table, stored, data []byte, key pgp.SessionKey, first, last int) {
	t.Helper()
	var want []int
	for i := first; i <= last; i++ {
		want = append(want, i)
	}
	off, n := table.Range(first, last)
	raw := bytes.Clone(stored[off : off+n])
	got, err := table.Decode(want, raw, off, key)
	if err != nil {
		t.Fatalf("blocks %d to %d: %v", first, last, err)
	}
	for k, p := range got {
		b := table.Blocks[first+k]
		if !bytes.Equal(p, data[b.TarOffset:b.TarOffset+int64(b.Len)]) {
			t.Fatalf("block %d: wrong bytes", first+k)
		}
	}
	if !bytes.Equal(raw, stored[off:off+n]) {
		t.Fatal("stored bytes were changed")
	}
}

// gather reads a whole object with its table.
func gather(t testing.TB, stored []byte, f codec.Format, opt codec.ReaderOptions) ([]byte, *codec.Table) {
	t.Helper()
	opt.Gather = true
	r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), f, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var data bytes.Buffer
	_, err = io.CopyN(&data, r, int64(len(stored)/9))
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if err == nil && r.Table() != nil {
		t.Error("a table before the end")
	}
	if _, err := io.Copy(&data, r); err != nil {
		t.Fatal(err)
	}
	table := r.Table()
	if err := r.Finish(); err != nil || r.Table() != table {
		t.Errorf("after Finish: %v, or another table", err)
	}
	return data.Bytes(), table
}

// A table that is gathered while an object of ours is read says where the same bytes lie.
func TestGatherOurs(t *testing.T) {
	kr := keyring()
	s := session(t, kr)
	sizes := []int{0, 1, 600, 3 << 20}
	if treetest.Short() {
		sizes = []int{600, 900 << 10}
	}
	for _, f := range formats {
		for _, n := range sizes {
			data := sample(n, 11)
			stored, w := write(t, f, codec.WriterOptions{Session: s}, data, 7000)
			for _, ahead := range []int{0, 3} {
				got, table := gather(t, stored, f, codec.ReaderOptions{Keyring: kr, Ahead: ahead})
				if !bytes.Equal(got, data) {
					t.Fatalf("%v: read %d bytes, want %d", f, len(got), n)
				}
				checkTable(t, table, stored, data, s.Key())
				for i, b := range table.Blocks {
					if b.Resume != nil && len(b.Resume.Window) > 0 {
						t.Errorf("%v: block %d has a window though it refers to nothing", f, i)
					}
				}
				if f == gz && len(table.Blocks) != len(w.Table().Blocks) {
					t.Errorf("%d blocks gathered, %d written", len(table.Blocks), len(w.Table().Blocks))
				}
			}
		}
	}
}

// A message whose table is known is read in parallel, to the same bytes.
func TestReadByTable(t *testing.T) {
	kr := keyring()
	s := session(t, kr)
	sizes := []int{0, 1, 600, 3 << 20}
	if treetest.Short() {
		sizes = []int{0, 1, 600, 1 << 20}
	}
	for _, n := range sizes {
		data := sample(n, 12)
		stored, w := write(t, gpg, codec.WriterOptions{Session: s}, data, 7000)
		_, gathered := gather(t, stored, gpg, codec.ReaderOptions{Keyring: kr})
		for _, table := range []*codec.Table{w.Table(), gathered} {
			r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), gpg, codec.ReaderOptions{Keyring: kr, Table: table, Ahead: 3})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("read %d bytes, %v, want %d", len(got), err, n)
			}
			if r.Table() != table {
				t.Error("the table in use is not returned")
			}
			r.Close()
		}
	}
}

func TestReadByTableDamage(t *testing.T) {
	kr := keyring()
	s := session(t, kr)
	data := sample(1<<20, 13)
	stored, w := write(t, gpg, codec.WriterOptions{Session: s}, data, 7000)
	_, other := write(t, gpg, codec.WriterOptions{Session: s}, sample(1<<20, 14), 7000)
	longer := *w.Table()
	longer.Message = &codec.Message{Layout: longer.Message.Layout}
	longer.Message.Layout.Len += 1 << 20
	longer.Message.Layout.Runs = append([]pgp.Run{{Lengths: []byte{0xE0 | 20}, Count: 1}}, longer.Message.Layout.Runs...)
	longer.Blocks = append(longer.Blocks[:len(longer.Blocks):len(longer.Blocks)], codec.Block{
		TarOffset: longer.Size(), StoredOffset: longer.Message.Layout.Len - 1000, StoredLen: 1000, Len: 5,
	})
	for _, tt := range []struct {
		name   string
		stored []byte
		table  *codec.Table
		want   error
	}{
		{"other object's table", stored, other.Table(), codec.ErrTable},
		{"of a longer message", stored, &longer, codec.ErrTable},
		{"changed in a block", flip(stored, len(stored)/2), w.Table(), codec.ErrTable},
		{"changed at the end", flip(stored, len(stored)-1), w.Table(), pgp.ErrIntegrity},
		{"cut", stored[:len(stored)-30], w.Table(), pgp.ErrIntegrity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := codec.NewReader(t.Context(), bytes.NewReader(tt.stored), gpg, codec.ReaderOptions{Keyring: kr, Table: tt.table, Ahead: 3})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if !errors.Is(err, tt.want) || !bytes.HasPrefix(data, got) {
				t.Errorf("got %d bytes, right: %v, %v; want %v", len(got), bytes.HasPrefix(data, got), err, tt.want)
			}
		})
	}
}

// One changed byte anywhere in what a block is stored as gives an error that says where,
// or the right bytes.
func TestBlockDamage(t *testing.T) {
	treetest.Sequential(t)
	kr := keyring()
	s := session(t, kr)
	data := sample(900<<10, 15)
	for _, f := range formats {
		stored, w := write(t, f, codec.WriterOptions{Session: s}, data, 7000)
		_, gathered := gather(t, stored, f, codec.ReaderOptions{Keyring: kr})
		for _, table := range []*codec.Table{w.Table(), gathered} {
			damageBlocks(t, table, stored, data, s.Key(), 300)
		}
	}
}

func damageBlocks(t *testing.T, table *codec.Table, stored, data []byte, key pgp.SessionKey, rounds int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(len(stored)), 3))
	for range rounds {
		i := rnd.IntN(len(table.Blocks))
		b := table.Blocks[i]
		off, n := table.Range(i, i)
		at := rnd.Int64N(n)
		raw := flip(stored[off:off+n], int(at))
		got, err := table.Decode([]int{i}, raw, off, key)
		if err == nil {
			if !bytes.Equal(got[0], data[b.TarOffset:b.TarOffset+int64(b.Len)]) {
				t.Fatalf("byte %d changed: wrong bytes of block %d", at, i)
			}
			continue
		}
		var be *codec.BlockError
		if !errors.As(err, &be) || !errors.Is(err, codec.ErrCorrupt) || be.TarOffset != b.TarOffset || be.Offset != off {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
}

// The beginning of a block is that, however long, and what lies behind it in the block may
// be damaged.
func TestDecodeHeads(t *testing.T) {
	kr := keyring()
	s := session(t, kr)
	data := sample(900<<10, 16)
	rnd := rand.New(rand.NewPCG(1, 16))
	for _, f := range formats {
		stored, w := write(t, f, codec.WriterOptions{Session: s}, data, 7000)
		_, gathered := gather(t, stored, f, codec.ReaderOptions{Keyring: kr})
		for _, table := range []*codec.Table{w.Table(), gathered} {
			all := make([]int, len(table.Blocks))
			for i := range all {
				all[i] = i
			}
			off, n := table.Range(0, len(all)-1)
			for range 20 {
				heads := make([]int32, len(all))
				for i := range heads {
					heads[i] = 1 + rnd.Int32N(table.Blocks[i].Len+10)
				}
				got, err := table.DecodeHeads(all, heads, stored[off:off+n], off, s.Key())
				if err != nil {
					t.Fatalf("%v: %v", f, err)
				}
				for i, p := range got {
					b := table.Blocks[i]
					if want := data[b.TarOffset : b.TarOffset+int64(min(heads[i], b.Len))]; !bytes.Equal(p, want) {
						t.Fatalf("%v: the first %d of %d bytes of block %d are not right", f, len(want), b.Len, i)
					}
				}
			}
		}
		off, n := w.Table().Range(0, 0)
		raw := flip(stored[off:off+n], int(n)/2)
		if _, err := w.Table().DecodeHeads([]int{0}, []int32{w.Table().Blocks[0].Len}, raw, off, s.Key()); err == nil {
			t.Errorf("%v: a whole block is not compared with its sum", f)
		}
	}
}

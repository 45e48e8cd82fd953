package toc_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"testing"

	"hindsight/chain/codec"
	"hindsight/chain/pgp"
	"hindsight/chain/toc"
	"hindsight/chain/treetest"
)

// sameTable fails the test where got differs from want.
func sameTable(t testing.TB, got, want *codec.Table) {
	t.Helper()
	sameContent(t, &content{Signatures: &toc.Object{Table: got}}, &content{Signatures: &toc.Object{Table: want}})
}

func TestTable(t *testing.T) {
	g := generator{rng: treetest.Rand(t, 17)}
	for range 200 {
		want := g.table()
		data := toc.AppendTable([]byte("before"), want)[len("before"):]
		got, err := toc.ParseTable(data)
		if err != nil {
			t.Fatal(err)
		}
		sameTable(t, got, want)
		if _, err := toc.ParseTable(append(data, 0)); !errors.Is(err, toc.ErrFormat) {
			t.Fatalf("a byte more: %v", err)
		}
		if _, err := toc.ParseTable(data[:len(data)-1]); !errors.Is(err, toc.ErrFormat) {
			t.Fatalf("a byte less: %v", err)
		}
	}
}

// A table cannot be written that would not be read.
func TestBadTable(t *testing.T) {
	block := codec.Block{Len: 10, StoredLen: 10}
	for name, table := range map[string]codec.Table{
		"gap":     {Blocks: []codec.Block{block, block}},
		"empty":   {Blocks: []codec.Block{{StoredLen: 1}}},
		"long":    {Deflated: true, Blocks: []codec.Block{{Len: codec.MaxPlain + 1, StoredLen: 1}}},
		"offset":  {Blocks: []codec.Block{{Len: 1, StoredLen: 1, StoredOffset: -1}}},
		"window":  {Deflated: true, Blocks: []codec.Block{{Len: 1, StoredLen: 1, Resume: &codec.Resume{Window: make([]byte, codec.MaxWindow+1)}}}},
		"message": {Message: &codec.Message{Layout: pgp.Layout{Start: 19, Len: 5}}},
	} {
		if err := toc.NewWriter(io.Discard, toc.Header{End: 1}).Volume(&toc.Volume{Number: 1, Object: toc.Object{Table: &table}}); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// A table that is too large for a record is left out.
func TestLargeTable(t *testing.T) {
	table, window := codec.Table{Deflated: true}, make([]byte, codec.MaxWindow)
	for i := range int64(toc.MaxRecord / codec.MaxWindow) {
		table.Blocks = append(table.Blocks, codec.Block{
			TarOffset: i, Len: 1, StoredOffset: i, StoredLen: 1,
			Resume: &codec.Resume{Window: window},
		})
	}
	fits := len(table.Blocks) - 3
	for _, blocks := range []int{fits, len(table.Blocks)} {
		want := &content{Header: toc.Header{End: 1}, Volumes: []toc.Volume{{Number: 1, Object: toc.Object{Size: 9, Table: &codec.Table{Deflated: true, Blocks: table.Blocks[:blocks]}}}}}
		got, _, err := read(bytes.NewReader(write(t, want)))
		if err != nil {
			t.Fatal(err)
		}
		if blocks > fits {
			want.Volumes[0].Table = nil
		}
		sameContent(t, got, want)
	}
}

// Tables of real objects, written by us and gathered from what another wrote.
func TestRealTables(t *testing.T) {
	rng := treetest.Rand(t, 18)
	var plain bytes.Buffer
	for plain.Len() < 3<<20 {
		fmt.Fprintln(&plain, rng.Int64(), "the quick brown fox", rng.Int32())
	}
	keyring := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte("secret")), S2KCount: 1024, GPG: "/no/gpg"})
	session, err := keyring.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]*codec.Table{"foreign gzip": foreign(t, plain.Bytes())}
	for name, f := range map[string]codec.Format{"plain": {}, "gzip": {Compressed: true}, "gpg": {Compressed: true, Encrypted: true}} {
		w, err := codec.NewWriter(t.Context(), io.Discard, f, codec.WriterOptions{Session: session})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		tables[name] = w.Table()
	}
	for name, want := range tables {
		if want == nil || len(want.Blocks) < 2 || want.Size() != int64(plain.Len()) {
			t.Fatalf("%s: table %+v", name, want)
		}
		data := toc.AppendTable(nil, want)
		t.Logf("%s: %d bytes for %d blocks", name, len(data), len(want.Blocks))
		got, err := toc.ParseTable(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameTable(t, got, want)
	}
}

// foreign is the table of plain in a gzip stream that cannot be read in the middle
// without one.
func foreign(t *testing.T, plain []byte) *codec.Table {
	var stored bytes.Buffer
	z := gzip.NewWriter(&stored)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := codec.NewReader(t.Context(), &stored, codec.Format{Compressed: true}, codec.ReaderOptions{Gather: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	return r.Table()
}

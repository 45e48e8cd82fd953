package toc_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/codec"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/toc"
)

// content is all that a toc says.
type content struct {
	Header     toc.Header
	Volumes    []toc.Volume
	Signatures *toc.Object
	Entries    []toc.Entry
}

// write is the bytes of a toc.
func write(t testing.TB, c *content) []byte {
	t.Helper()
	var out bytes.Buffer
	w := toc.NewWriter(&out, c.Header)
	writeObjects(t, w, c)
	for i := range c.Entries {
		if err := w.Entry(&c.Entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func writeObjects(t testing.TB, w *toc.Writer, c *content) {
	t.Helper()
	for i := range c.Volumes {
		if err := w.Volume(&c.Volumes[i]); err != nil {
			t.Fatal(err)
		}
	}
	if c.Signatures != nil {
		if err := w.Signatures(c.Signatures); err != nil {
			t.Fatal(err)
		}
	}
}

// read is all that r says, up to an error if there is one.
func read(src io.Reader) (*content, *toc.Reader, error) {
	r, err := toc.NewReader(src)
	if err != nil {
		return nil, nil, err
	}
	c := &content{Header: r.Header()}
	for {
		v, err := r.NextVolume()
		if err == io.EOF {
			break
		}
		if err != nil {
			return c, r, err
		}
		c.Volumes = append(c.Volumes, *v)
	}
	if c.Signatures, err = r.Signatures(); err != nil {
		return c, r, err
	}
	for {
		e, err := r.NextEntry()
		if err == io.EOF {
			return c, r, nil
		}
		if err != nil {
			return c, r, err
		}
		c.Entries = append(c.Entries, clone(e))
	}
}

// sameContent fails the test where got differs from want.
func sameContent(t testing.TB, got, want *content) {
	t.Helper()
	a, b := content{want.Header, want.Volumes, want.Signatures, nil}, content{got.Header, got.Volumes, got.Signatures, nil}
	if !reflect.DeepEqual(a, b) { // far sooner than cmp
		t.Fatalf("(-want +got):\n%s", cmp.Diff(a, b))
	}
	sameEntries(t, got.Entries, want.Entries)
}

// toc is a random toc.
func (g *generator) toc(volumes, entries int) *content {
	c := &content{Header: toc.Header{End: naming.Time(1 + g.number(32))}, Entries: g.entries(entries)}
	if g.chance(2) {
		c.Header.Inc, c.Header.Start = true, naming.Time(1+g.number(32))
	}
	number := 0
	for range volumes {
		number += 1 + int(g.number(3))
		c.Volumes = append(c.Volumes, toc.Volume{Number: number, Object: g.object()})
	}
	if !g.chance(3) {
		o := g.object()
		c.Signatures = &o
	}
	return c
}

func (g *generator) object() toc.Object {
	o := toc.Object{Size: g.number(50), Table: g.table()}
	if !g.chance(4) {
		binary.LittleEndian.PutUint64(o.SHA1[:], g.rng.Uint64())
	}
	return o
}

// table is a random table as it could be.
func (g *generator) table() *codec.Table {
	if g.chance(8) {
		return nil
	}
	t := &codec.Table{Deflated: g.chance(2)}
	if g.chance(2) {
		t.Message = &codec.Message{ESK: []byte("esk of the set"), Prefix: make([]byte, pgp.PrefixSize), Layout: g.layout(1 << 40)}
		binary.LittleEndian.PutUint64(t.Message.Prefix, g.rng.Uint64())
	}
	stored := g.number(10)
	for range g.rng.IntN(20) {
		b := codec.Block{TarOffset: t.Size(), Len: 1 + g.rng.Int32N(codec.MaxPlain), StoredOffset: stored}
		b.StoredLen = min(codec.MaxStored, b.Len+g.rng.Int32N(1000))
		binary.LittleEndian.PutUint64(b.Sum[:], g.rng.Uint64())
		if g.chance(3) {
			b.Resume = &codec.Resume{Skip: g.rng.Int32N(b.StoredLen)}
			if t.Message != nil {
				b.Resume.Chunk = g.number(40)
			}
			if t.Deflated {
				b.Resume.Bit = uint8(g.rng.IntN(8))
				b.Resume.Window = append([]byte(nil), bytes.Repeat([]byte{byte(g.rng.Uint32())}, g.rng.IntN(50))...)
			}
		}
		stored += int64(b.StoredLen) - int64(g.rng.Int32N(min(b.StoredLen, 100)))
		t.Blocks = append(t.Blocks, b)
	}
	return t
}

// layout is that of a message with a content of n bytes in chunks of 1 GiB and a last
// one of what is left.
func (g *generator) layout(n int64) pgp.Layout {
	const start, mdc, chunk = 19, 22, 1 << 30
	body := start + n + mdc
	last := binary.BigEndian.AppendUint32([]byte{0xff}, uint32(body%chunk))
	l := pgp.Layout{Head: g.number(20), Start: start, Len: n, Runs: []pgp.Run{{Lengths: []byte{0xe0 | 30}, Count: body / chunk}, {Lengths: last, Count: 1}}}
	if g.chance(2) { // the same in two runs
		l.Runs = append([]pgp.Run{{Lengths: []byte{0xe0 | 30, 0xe0 | 30}, Count: 1}}, l.Runs...)
		l.Runs[1].Count -= 2
	}
	return l
}

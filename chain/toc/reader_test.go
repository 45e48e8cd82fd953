package toc_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/zeebo/blake3"

	"hindsight/chain/difftar"
	"hindsight/chain/toc"
	"hindsight/chain/treetest"
)

func TestRoundTrip(t *testing.T) {
	rng := treetest.Rand(t, 11)
	for i := range 60 {
		g := generator{rng: rng}
		want := g.toc(i%7, 1+i*3)
		data := write(t, want)
		src := io.Reader(bytes.NewReader(data))
		if i%3 == 0 {
			src = iotest.OneByteReader(src)
		}
		got, _, err := read(src)
		if err != nil {
			t.Fatal(err)
		}
		sameContent(t, got, want)
		if again := write(t, got); !bytes.Equal(again, data) {
			t.Fatal("what was read is written in another way")
		}
	}
}

func TestEmpty(t *testing.T) {
	want := &content{Header: toc.Header{End: 1}}
	got, _, err := read(bytes.NewReader(write(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	sameContent(t, got, want)
}

// Entries that were spooled make the same toc as those that were not.
func TestCopyEntries(t *testing.T) {
	g := generator{rng: treetest.Rand(t, 12)}
	c := g.toc(3, 500)
	spool := writeEntries(t, c.Entries)
	var out bytes.Buffer
	w := toc.NewWriter(&out, c.Header)
	writeObjects(t, w, c)
	if err := w.CopyEntries(iotest.HalfReader(bytes.NewReader(spool)), int64(len(c.Entries))); err != nil {
		t.Fatal(err)
	}
	if err := w.CopyEntries(bytes.NewReader(nil), 0); err == nil {
		t.Error("entries twice")
	}
	if err := w.Entry(&toc.Entry{Path: "zz", Kind: difftar.Deleted}); err == nil {
		t.Error("one more entry")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), write(t, c)) {
		t.Error("a different toc")
	}
}

// A wrong count of copied entries does not go unnoticed.
func TestCopyEntriesCount(t *testing.T) {
	g := generator{rng: treetest.Rand(t, 13)}
	c := g.toc(0, 5)
	var out bytes.Buffer
	w := toc.NewWriter(&out, c.Header)
	if err := w.CopyEntries(bytes.NewReader(writeEntries(t, c.Entries)), 6); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(&out); !errors.Is(err, toc.ErrFormat) {
		t.Errorf("got %v", err)
	}
}

func TestWriterErrors(t *testing.T) {
	broken := errors.New("broken")
	e := file("a", 1, 512, 5)
	v := toc.Volume{Number: 2}
	t.Run("order", func(t *testing.T) {
		w := toc.NewWriter(io.Discard, toc.Header{End: 1})
		steps := []struct {
			name string
			do   func() error
			ok   bool
		}{
			{"volume 2", func() error { return w.Volume(&v) }, true},
			{"volume 2 again", func() error { return w.Volume(&v) }, false},
			{"volume 0", func() error { return w.Volume(&toc.Volume{}) }, false},
			{"far volume", func() error { return w.Volume(&toc.Volume{Number: toc.MaxVolume + 1}) }, false},
			{"negative size", func() error { return w.Volume(&toc.Volume{Number: 3, Object: toc.Object{Size: -1}}) }, false},
			{"signatures", func() error { return w.Signatures(&toc.Object{}) }, true},
			{"signatures again", func() error { return w.Signatures(&toc.Object{}) }, false},
			{"late volume", func() error { return w.Volume(&toc.Volume{Number: 3}) }, false},
			{"entry", func() error { return w.Entry(&e) }, true},
			{"late signatures", func() error { return w.Signatures(&toc.Object{}) }, false},
			{"copy behind an entry", func() error { return w.CopyEntries(strings.NewReader(""), 0) }, false},
			{"close", w.Close, true},
			{"close again", w.Close, false},
			{"entry behind the end", func() error { return w.Entry(&toc.Entry{Path: "b", Kind: difftar.Deleted}) }, false},
		}
		for _, s := range steps {
			if err := s.do(); (err == nil) != s.ok {
				t.Errorf("%s: %v", s.name, err)
			}
		}
	})
	t.Run("header", func(t *testing.T) {
		for _, h := range []toc.Header{{}, {End: 1, Start: 1}, {End: 1, Inc: true}, {Inc: true, Start: 1}} {
			if toc.NewWriter(io.Discard, h).Close() == nil {
				t.Errorf("%+v was written", h)
			}
		}
	})
	t.Run("destination", func(t *testing.T) {
		w := toc.NewWriter(failing{broken}, toc.Header{End: 1})
		err := w.Close()
		if !errors.Is(err, broken) {
			t.Errorf("Close: %v", err)
		}
		ew := toc.NewEntryWriter(failing{broken})
		if err := ew.Write(&e); err != nil {
			t.Error(err)
		}
		if err := ew.Flush(); !errors.Is(err, broken) {
			t.Errorf("Flush: %v", err)
		}
		if err := ew.Write(&e); !errors.Is(err, broken) {
			t.Errorf("Write: %v", err)
		}
	})
	t.Run("spool", func(t *testing.T) {
		w := toc.NewWriter(io.Discard, toc.Header{End: 1})
		if err := w.CopyEntries(iotest.ErrReader(broken), 1); !errors.Is(err, broken) {
			t.Errorf("CopyEntries: %v", err)
		}
		if err := w.Close(); !errors.Is(err, broken) {
			t.Errorf("Close: %v", err)
		}
	})
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Whatever is not asked for is passed over, and checked all the same.
func TestReaderSkips(t *testing.T) {
	g := generator{rng: treetest.Rand(t, 14)}
	want := g.toc(4, 10)
	o := g.object()
	want.Signatures = &o
	data := write(t, want)
	r, err := toc.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for err == nil {
		if _, err = r.NextEntry(); err == nil {
			n++
		}
	}
	if err != io.EOF || n != len(want.Entries) {
		t.Errorf("%d entries of %d, %v", n, len(want.Entries), err)
	}
	if v, err := r.NextVolume(); err != io.EOF {
		t.Errorf("late volume %v, %v", v, err)
	}
	if s, err := r.Signatures(); err != nil || s == nil || s.Size != o.Size {
		t.Errorf("late signatures %v, %v", s, err)
	}
}

// A toc cut off anywhere is never taken for a whole one.
func TestTruncated(t *testing.T) {
	g := generator{rng: treetest.Rand(t, 15)}
	data := write(t, g.toc(3, 20))
	for n := range data {
		if _, _, err := read(bytes.NewReader(data[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(data), err)
		}
	}
}

// One flipped bit anywhere is an error.
func TestFlippedBit(t *testing.T) {
	g := generator{rng: treetest.Rand(t, 16)}
	data := write(t, g.toc(3, 20))
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << g.rng.IntN(8)
		_, _, err := read(bytes.NewReader(bad))
		if !errors.Is(err, toc.ErrFormat) && !errors.Is(err, toc.ErrVersion) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("byte %d of %d, %#x for %#x: %v", i, len(data), bad[i], data[i], err)
		}
	}
}

func TestNoToc(t *testing.T) {
	good := write(t, &content{Header: toc.Header{End: 1}})
	version := len("hindsight-toc\n")
	newer := bytes.Clone(good)
	newer[version]++
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, io.ErrUnexpectedEOF},
		{"newer", newer, toc.ErrVersion},
		{"much newer", append(good[:version:version], 0xff, 0xff, 1), toc.ErrVersion},
		{"version 0", append(good[:version:version], 0), toc.ErrFormat},
		{"tar", make([]byte, 10240), toc.ErrFormat},
		{"short", []byte("x"), toc.ErrFormat},
		{"more", append(good[:len(good):len(good)], 0), toc.ErrFormat},
		{"no header", seal(good[:version+1]), toc.ErrFormat},
		{"two headers", seal(append(body(good), body(good)[version+1:]...)), toc.ErrFormat},
		{"short trailer", append(body(good), 'z', 2, 0, 0), toc.ErrFormat},
	} {
		if _, _, err := read(bytes.NewReader(c.data)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	broken := errors.New("broken")
	if _, err := toc.NewReader(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken source: %v", err)
	}
}

// body is a toc without its trailer, if that counts fewer than 128 of each.
func body(data []byte) []byte {
	n := len(data) - 36
	return data[:n:n]
}

// seal ends a toc that has no volumes and no entries.
func seal(body []byte) []byte { return sealCounts(body, 0, 0) }

func sealCounts(body []byte, volumes, entries byte) []byte {
	data := append(bytes.Clone(body), 'z', 34, volumes, entries)
	sum := blake3.Sum256(data)
	return append(data, sum[:]...)
}

// Records of the wrong order are refused, and unknown ones and longer ones taken.
func TestSequence(t *testing.T) {
	header := body(write(t, &content{Header: toc.Header{End: 1}}))
	object := append(make([]byte, 21), 4)
	volume := append([]byte{'v', byte(1 + len(object)), 1}, object...)
	signatures := append([]byte{'s', byte(len(object))}, object...)
	entry := writeEntries(t, []toc.Entry{{Path: "a", Kind: difftar.Deleted}})
	unknown := []byte{'x', 1, 0}
	for _, c := range []struct {
		name             string
		records          [][]byte
		volumes, entries byte
		ok, skipped      bool
	}{
		{"all", [][]byte{volume, signatures, entry}, 1, 1, true, false},
		{"unknown", [][]byte{unknown, volume, unknown, signatures, unknown, entry, unknown}, 1, 1, true, true},
		{"longer signatures", [][]byte{append(append([]byte{'s', byte(len(object) + 1)}, object...), 9)}, 0, 0, true, true},
		{"volume twice", [][]byte{volume, volume}, 2, 0, false, false},
		{"signatures twice", [][]byte{signatures, signatures}, 0, 0, false, false},
		{"volume behind signatures", [][]byte{signatures, volume}, 1, 0, false, false},
		{"volume behind an entry", [][]byte{entry, volume}, 1, 1, false, false},
		{"signatures behind an entry", [][]byte{entry, signatures}, 0, 1, false, false},
		{"a volume is missing", nil, 1, 0, false, false},
		{"an entry is missing", [][]byte{volume}, 1, 1, false, false},
	} {
		data := sealCounts(append(header, bytes.Join(c.records, nil)...), c.volumes, c.entries)
		_, r, err := read(bytes.NewReader(data))
		if c.ok && (err != nil || r.Skipped() != c.skipped) {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.ok && !errors.Is(err, toc.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", c.name, err)
		}
	}
}

// A later trailer says more between counts and digest.
func TestLongerTrailer(t *testing.T) {
	data := append(body(write(t, &content{Header: toc.Header{End: 1}})), 'z', 36, 0, 0, 7, 7)
	sum := blake3.Sum256(data)
	if _, r, err := read(bytes.NewReader(append(data, sum[:]...))); err != nil || !r.Skipped() {
		t.Errorf("got %v", err)
	}
}

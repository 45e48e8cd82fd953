package inflate_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"hindsight/chain/inflate"
)

func TestReader(t *testing.T) {
	sources := map[string]func(io.Reader) io.Reader{
		"plain":    func(r io.Reader) io.Reader { return r },
		"buffered": func(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 1024) },
		"tiny":     func(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 16) },
		"half":     iotest.HalfReader,
		"data+err": iotest.DataErrReader,
	}
	for _, s := range append(streams(t), goldenStreams(t)...) {
		for name, wrap := range sources {
			for _, small := range []bool{false, true} {
				r := &inflate.Reader{Small: small}
				r.Reset(wrap(bytes.NewReader(s.raw)))
				got, err := io.ReadAll(struct{ io.Reader }{r})
				if err != nil {
					t.Fatalf("%s from %s: %v", s.name, name, err)
				}
				same(t, got, s.plain)
				if r.Used() != int64(len(s.raw)) {
					t.Fatalf("%s from %s: used %d bytes of %d", s.name, name, r.Used(), len(s.raw))
				}
			}
		}
	}
}

// TestReaderSlow: input byte by byte, output by small reads.
func TestReaderSlow(t *testing.T) {
	for _, p := range plains() {
		s := stream{p.name, p.plain[:min(len(p.plain), 5000)], nil}
		s.raw = compress(t, s.plain)
		r := inflate.NewReader(iotest.OneByteReader(bytes.NewReader(s.raw)))
		if err := iotest.TestReader(r, s.plain); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

func compress(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w, err := newWriter(&buf)
	writeAll(tb, w, err, plain)
	return buf.Bytes()
}

// TestReaderFollow: streams and what stands between them are read from one source,
// in memory and not.
func TestReaderFollow(t *testing.T) {
	const between = "a trailer, and a header"
	var all []byte
	list := streams(t)
	for _, s := range list {
		all = append(append(all, s.raw...), between...)
	}
	src := bufio.NewReader(bytes.NewReader(all))
	var streamed, inMemory inflate.Reader
	for _, s := range list {
		var got bytes.Buffer
		streamed.Reset(src)
		if _, err := streamed.WriteTo(&got); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		same(t, got.Bytes(), s.plain)
		follows := make([]byte, len(between))
		if _, err := io.ReadFull(streamed.Source(), follows); err != nil || string(follows) != between {
			t.Fatalf("%s is followed by %q, %v", s.name, follows, err)
		}

		inMemory.ResetBytes(all)
		got.Reset()
		if _, err := inMemory.WriteTo(&got); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		same(t, got.Bytes(), s.plain)
		all = inMemory.Rest()
		if !bytes.HasPrefix(all, []byte(between)) {
			t.Fatalf("%s is not followed by what follows it", s.name)
		}
		all = all[len(between):]
	}
}

// TestReaderErrors: what precedes an error is delivered, then the error, for good.
func TestReaderErrors(t *testing.T) {
	errSource := errors.New("the store is gone")
	for _, s := range streams(t) {
		if len(s.raw) < 100 {
			continue
		}
		cut := s.raw[:len(s.raw)*2/3]
		var r inflate.Reader
		for want, src := range map[error]io.Reader{
			io.ErrUnexpectedEOF: bytes.NewReader(cut),
			errSource:           io.MultiReader(bytes.NewReader(cut), iotest.ErrReader(errSource)),
		} {
			r.Reset(src)
			got, err := io.ReadAll(&r)
			if err != want {
				t.Fatalf("%s: error %v, want %v", s.name, err, want)
			}
			if len(got) < len(s.plain)/8 {
				t.Fatalf("%s: %d bytes of %d before the error", s.name, len(got), len(s.plain))
			}
			same(t, got, s.plain[:len(got)])
			if _, again := r.Next(); again != err {
				t.Fatalf("%s: then %v", s.name, again)
			}
		}
		r.ResetBytes(cut)
		if _, err := io.ReadAll(&r); err != io.ErrUnexpectedEOF {
			t.Fatalf("%s in memory: error %v", s.name, err)
		}
	}
}

// TestReaderCorruptPlace: the error says where, counted over all of the input.
func TestReaderCorruptPlace(t *testing.T) {
	good := compress(t, plains()[4].plain) // ends by an empty stored or fixed block
	raw := append(good[:len(good):len(good)], 0)
	var d inflate.Decoder
	d.StopAtBlocks = true
	dst := make([]byte, 1<<20)
	n, used, last := 0, 0, int64(0)
	for {
		var in int
		var err error
		n, in, err = d.Decode(dst, n, raw[used:])
		used += in
		if err == io.EOF {
			break
		}
		if err != inflate.ErrBlock {
			t.Fatal(err)
		}
		last, _ = d.Block()
	}
	for bit := last + 1; bit < last+3; bit++ {
		raw[bit>>3] |= 1 << (bit & 7) // type 3
	}
	var corrupt *inflate.CorruptError
	if _, err := io.ReadAll(inflate.NewReader(bytes.NewReader(raw))); !errors.As(err, &corrupt) || corrupt.Bit != last {
		t.Fatalf("got %v, want an error at bit %d", err, last)
	}
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

func TestReaderWriteTo(t *testing.T) {
	raw := compress(t, plains()[4].plain)
	if _, err := inflate.NewReader(bytes.NewReader(raw)).WriteTo(shortWriter{}); err != io.ErrShortWrite {
		t.Errorf("short write: error %v", err)
	}
	closed, w := io.Pipe()
	closed.Close()
	if _, err := inflate.NewReader(bytes.NewReader(raw)).WriteTo(w); err != io.ErrClosedPipe {
		t.Errorf("closed pipe: error %v", err)
	}
}

// TestReaderAllocs: a Reader in use again allocates nothing.
func TestReaderAllocs(t *testing.T) {
	raw := compress(t, plains()[8].plain)
	src := bytes.NewReader(raw)
	r := inflate.NewReader(src)
	if n := testing.AllocsPerRun(5, func() {
		src.Reset(raw)
		r.Reset(src)
		if _, err := r.WriteTo(io.Discard); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

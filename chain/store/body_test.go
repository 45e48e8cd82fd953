package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"hindsight/chain/store"
)

// collect reads a body to its end and returns the parts' lengths and all content.
func collect(t *testing.T, b store.Body) (lens []int, data []byte, err error) {
	t.Helper()
	for {
		p, err := b.Next(t.Context())
		if err != nil {
			if _, again := b.Next(t.Context()); again != err {
				t.Errorf("after %v the body says %v", err, again)
			}
			if err == io.EOF {
				err = nil
			}
			return lens, data, err
		}
		lens = append(lens, len(p.Data))
		data = append(data, p.Data...)
		p.Release()
	}
}

func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

func TestBodyParts(t *testing.T) {
	const p = store.PartSize
	data := content(2*p + 5)
	for n, want := range map[int][]int{
		0: nil, 1: {1}, 64 << 10: {64 << 10}, 64<<10 + 1: {64<<10 + 1},
		p: {p}, p + 1: {p, 1}, 2*p + 5: {p, p, 5},
	} {
		for kind, body := range map[string]store.Body{
			"bytes":          store.Bytes(data[:n]),
			"reader":         store.FromReader(bytes.NewReader(data[:n])),
			"EOF with data":  store.FromReader(iotest.DataErrReader(bytes.NewReader(data[:n]))),
			"halves":         store.FromReader(iotest.HalfReader(bytes.NewReader(data[:n]))),
			"reads of zero":  store.FromReader(&lazyReader{r: bytes.NewReader(data[:n])}),
			"short at first": store.FromReader(io.MultiReader(bytes.NewReader(data[:min(n, 3)]), bytes.NewReader(data[min(n, 3):n]))),
		} {
			lens, got, err := collect(t, body)
			if err != nil || !slices.Equal(lens, want) {
				t.Errorf("%s of %d bytes: parts %v, error %v; want %v", kind, n, lens, err, want)
			} else if !bytes.Equal(got, data[:n]) {
				t.Errorf("%s of %d bytes: content differs", kind, n)
			}
		}
	}
}

// lazyReader gives nothing at every other read.
type lazyReader struct {
	r    io.Reader
	lazy bool
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.lazy = !l.lazy; l.lazy {
		return 0, nil
	}
	return l.r.Read(p)
}

func TestFromReaderErrors(t *testing.T) {
	errSource := errors.New("source broke")
	for _, want := range []error{errSource, io.ErrUnexpectedEOF} {
		for _, n := range []int{0, 1, 64 << 10, 100_000, store.PartSize, store.PartSize + 1} {
			r := io.MultiReader(bytes.NewReader(make([]byte, n)), iotest.ErrReader(want))
			_, _, err := collect(t, store.FromReader(r))
			if err != want {
				t.Errorf("reader failing after %d bytes: error %v, want %v", n, err, want)
			}
			// The error may also come with the last bytes.
			_, _, err = collect(t, store.FromReader(iotest.DataErrReader(
				io.MultiReader(bytes.NewReader(make([]byte, n)), iotest.ErrReader(want)))))
			if err != want {
				t.Errorf("reader failing with byte %d: error %v, want %v", n, err, want)
			}
		}
	}
	_, _, err := collect(t, store.FromReader(stuckReader{}))
	if err != io.ErrNoProgress {
		t.Errorf("reader that gives nothing for ever: error %v", err)
	}
}

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

// TestFromReaderHeldParts keeps parts while others are read: their memory must not be
// shared before the release.
func TestFromReaderHeldParts(t *testing.T) {
	data := content(4*store.PartSize + 10)
	body := store.FromReader(bytes.NewReader(data))
	var held []store.Part
	for {
		p, err := body.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if held = append(held, p); len(held) == 2 { // a second release must do no harm
			held[0].Release()
			held[0].Release()
		}
	}
	for i, p := range held[1:] {
		off := (i + 1) * store.PartSize
		if !bytes.Equal(p.Data, data[off:off+len(p.Data)]) {
			t.Errorf("part %d has changed while it was held", i+2)
		}
		p.Release()
	}
}

// scripted gives parts of the lengths in it, and counts releases.
type scripted struct {
	lens     []int
	released int
}

func (s *scripted) Next(context.Context) (store.Part, error) {
	if len(s.lens) == 0 {
		return store.Part{}, io.EOF
	}
	n := s.lens[0]
	s.lens = s.lens[1:]
	return store.NewPart(make([]byte, n), func() { s.released++ }), nil
}

func TestEachPart(t *testing.T) {
	const p = store.PartSize
	errFn := errors.New("write failed")
	for _, c := range []struct {
		lens   []int
		failAt int // call of the function that fails, from 1
		calls  int
		ok     bool
	}{
		{nil, 0, 0, true},
		{[]int{5}, 0, 1, true},
		{[]int{p, p, 5}, 0, 3, true},
		{[]int{p, 5}, 1, 1, false},
		{[]int{0}, 0, 0, false},
		{[]int{p, 0}, 0, 1, false},
		{[]int{5, 5}, 0, 2, true}, // a store may have asked for them
		{[]int{5, 6}, 0, 1, false},
		{[]int{5, 4, 4}, 0, 2, false},
		{[]int{p + 1}, 0, 0, false},
	} {
		s := &scripted{lens: slices.Clone(c.lens)}
		calls := 0
		err := store.EachPart(t.Context(), s, func([]byte) error {
			if calls++; calls == c.failAt {
				return errFn
			}
			return nil
		})
		if (err == nil) != c.ok || calls != c.calls {
			t.Errorf("parts %v: %d calls, error %v; want %d calls, success %v", c.lens, calls, err, c.calls, c.ok)
		}
		if taken := len(c.lens) - len(s.lens); s.released != taken {
			t.Errorf("parts %v: %d released of %d taken", c.lens, s.released, taken)
		}
	}
}

func TestZeroPart(t *testing.T) {
	store.Part{}.Release()
	store.NewPart([]byte("x"), nil).Release()
}

func BenchmarkFromReader(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 20} {
		b.Run(fmt.Sprintf("size=%dK", size>>10), func(b *testing.B) {
			data := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				err := store.EachPart(b.Context(), store.FromReader(bytes.NewReader(data)), func([]byte) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

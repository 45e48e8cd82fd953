package codec_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"hindsight/chain/codec"
	"hindsight/chain/treetest"
)

// readAhead is read with goroutines.
func readAhead(t testing.TB, stored []byte, f codec.Format, opt codec.ReaderOptions) ([]byte, error) {
	t.Helper()
	opt.Ahead = 3
	r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), f, opt)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// TestAheadEqualsSerial reads whole, cut and damaged objects of our own and others
// both ways: bytes and kinds of errors must be the same.
func TestAheadEqualsSerial(t *testing.T) {
	kr := keyring()
	s := session(t, kr)
	size := 3 << 20
	if treetest.Short() {
		size = 900 << 10
	}
	data := sample(size, 7)
	objects := map[string][]byte{"stock": gzipped(t, data, stdgzip.Header{}), "empty": gzipped(t, nil, stdgzip.Header{})}
	for _, f := range formats {
		objects[f.String()], _ = write(t, f, codec.WriterOptions{Session: s}, data, 5000)
	}
	objects["mixed"] = bytes.Join([][]byte{objects["gz"], objects["stock"], objects["gz"]}, nil)
	for name, stored := range objects {
		f := codec.Format{Compressed: true}
		for _, g := range formats {
			if g.String() == name {
				f = g
			}
		}
		variants := map[string][]byte{"whole": stored}
		for i, at := range []int{0, 5, 19, 23, 100, len(stored) / 2, len(stored) - 9, len(stored) - 1} {
			if at < 0 || at >= len(stored) || treetest.Short() && i%3 != 2 {
				continue
			}
			variants[fmt.Sprintf("cut at %d", at)] = stored[:at]
			variants[fmt.Sprintf("flipped at %d", at)] = flip(stored, at)
		}
		for what, v := range variants {
			want, wantErr := read(t, v, f, kr)
			got, err := readAhead(t, v, f, codec.ReaderOptions{Keyring: kr})
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
				t.Errorf("%s, %s: %d bytes, %v; serially %d bytes, %v", name, what, len(got), err, len(want), wantErr)
			}
			for _, kind := range []error{codec.ErrCorrupt, io.ErrUnexpectedEOF} {
				if errors.Is(wantErr, kind) && !errors.Is(err, codec.ErrCorrupt) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s, %s: %v; serially %v", name, what, err, wantErr)
				}
			}
		}
	}
}

// TestAheadFinish gives up at different places: what is stored must have been read
// to its end, and no goroutine may stay.
func TestAheadFinish(t *testing.T) {
	kr := keyring()
	size := 4 << 20
	if treetest.Short() {
		size = 2 << 20
	}
	data := sample(size, 9)
	for _, f := range formats {
		stored, _ := write(t, f, codec.WriterOptions{Session: session(t, kr)}, data, 5000)
		for _, n := range []int{0, 1, size / 4, size} {
			src := bytes.NewReader(stored)
			r, err := codec.NewReader(t.Context(), src, f, codec.ReaderOptions{Keyring: kr, Ahead: 2})
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, n)
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, data[:n]) {
				t.Fatalf("%s: first %d bytes: %v", f, n, err)
			}
			if err := r.Finish(); err != nil || src.Len() != 0 {
				t.Errorf("%s: finish after %d bytes: %v, %d stored bytes not read", f, n, err, src.Len())
			}
		}
	}
}

// TestMemberTooLong refuses a member that claims more than a block holds.
func TestMemberTooLong(t *testing.T) {
	stored, _ := write(t, codec.Format{Compressed: true}, codec.WriterOptions{}, sample(1000, 1), 1000)
	stored[len(stored)-2] = 0xff
	if _, err := readAhead(t, stored, codec.Format{Compressed: true}, codec.ReaderOptions{}); !errors.Is(err, codec.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}

// touched notes whether it was read from.
type touched struct {
	io.Reader
	reads atomic.Int64
}

func (r *touched) Read(p []byte) (int, error) {
	r.reads.Add(1)
	return r.Reader.Read(p)
}

// TestLater reads nothing of an object that is decoded later, until it is started or read.
func TestLater(t *testing.T) {
	data := sample(900<<10, 8)
	f := codec.Format{Compressed: true}
	stored, _ := write(t, f, codec.WriterOptions{}, data, 5000)
	for _, start := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			src := &touched{Reader: bytes.NewReader(stored)}
			r, err := codec.NewReader(t.Context(), src, f, codec.ReaderOptions{Ahead: 3, Later: true})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			synctest.Wait()
			if n := src.reads.Load(); n > 0 {
				t.Errorf("%d reads before it is started", n)
			}
			if start {
				r.Start()
				r.Start()
				synctest.Wait()
				if src.reads.Load() == 0 {
					t.Error("it was started, and nothing is read")
				}
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v, want %d", len(got), err, len(data))
			}
		})
	}
	src := &touched{Reader: bytes.NewReader(stored)}
	r, err := codec.NewReader(t.Context(), src, f, codec.ReaderOptions{Ahead: 3, Later: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Finish(); err != nil || src.reads.Load() == 0 {
		t.Errorf("finish: %v after %d reads, want all of it", err, src.reads.Load())
	}
	r, err = codec.NewReader(t.Context(), src, f, codec.ReaderOptions{Ahead: 3, Later: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Error("a closed reader can be read")
	}
}

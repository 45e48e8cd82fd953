package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// countedBody gives parts, then fail or io.EOF, and counts what becomes of the parts.
type countedBody struct {
	parts [][]byte
	fail  error
	then  func() // called when the parts are used up

	taken    int
	released []atomic.Int32
}

func newCountedBody(fail error, parts ...[]byte) *countedBody {
	return &countedBody{parts: parts, fail: fail, released: make([]atomic.Int32, len(parts))}
}

func (b *countedBody) Next(ctx context.Context) (store.Part, error) {
	if b.taken == len(b.parts) {
		if b.then != nil {
			b.then()
		}
		if b.fail != nil {
			return store.Part{}, b.fail
		}
		return store.Part{}, io.EOF
	}
	i := b.taken
	b.taken++
	// A copy that is wiped at its release shows a store that uses parts too long.
	data := bytes.Clone(b.parts[i])
	return store.NewPart(data, func() {
		b.released[i].Add(1)
		clear(data)
	}), nil
}

// check fails the test unless every part that was taken was released once.
func (b *countedBody) check(t *testing.T) {
	t.Helper()
	for i := range b.released {
		want := int32(0)
		if i < b.taken {
			want = 1
		}
		if n := b.released[i].Load(); n != want {
			t.Errorf("part %d of %d was released %d times, want %d", i+1, len(b.parts), n, want)
		}
	}
}

func checkPutGet(t *testing.T, s store.Store) {
	for _, n := range []int{0, 1, 512, 65536, 1<<20 + 1} {
		name := fmt.Sprintf("object.%d", n)
		data := pattern(n, n)
		var parts [][]byte
		if n > 0 {
			parts = append(parts, data)
		}
		body := newCountedBody(nil, parts...)
		if err := s.Put(t.Context(), name, body, store.PutOptions{}); err != nil {
			t.Fatalf("put %s: %v", name, err)
		}
		body.check(t)
		wantObject(t, s, name, data)
		if o := list(t, s, name)[name]; o.Size != int64(n) {
			t.Errorf("list shows %d bytes for %s", o.Size, name)
		}
	}
}

func checkMultiPart(t *testing.T, s store.Store) {
	checkParts(t, s, store.PartSize)
	if size := store.PartSizeOf(s); size != store.PartSize {
		checkParts(t, s, size)
	}
}

func checkParts(t *testing.T, s store.Store, size int) {
	data := pattern(7, 2*size+1)
	sizes := []int{size - 1, size, size + 1, 2 * size, len(data)}
	if treetest.Short() {
		sizes = []int{size + 1000}
	}
	for _, n := range sizes {
		var parts [][]byte
		for rest := data[:n]; len(rest) > 0; rest = rest[min(len(rest), size):] {
			parts = append(parts, rest[:min(len(rest), size)])
		}
		body := newCountedBody(nil, parts...)
		if err := s.Put(t.Context(), "big", body, store.PutOptions{}); err != nil {
			t.Fatalf("put of %d bytes: %v", n, err)
		}
		body.check(t)
		wantObject(t, s, "big", data[:n])
	}
	// A range across the seam of two parts.
	off := int64(size - 100)
	got, err := get(t.Context(), s, "big", off, 200)
	if err != nil || !bytes.Equal(got, data[off:off+200]) {
		t.Errorf("range across parts: %d bytes, error %v; want 200 right ones", len(got), err)
	}
}

func checkFromReader(t *testing.T, s store.Store) {
	data := pattern(11, store.PartSize+70000)
	sizes := []int{0, 1, 70000, store.PartSize, len(data)}
	if treetest.Short() {
		sizes = sizes[:3]
	}
	for _, n := range sizes {
		r := iotest.HalfReader(bytes.NewReader(data[:n]))
		if err := s.Put(t.Context(), "object", store.FromReader(r), store.PutOptions{}); err != nil {
			t.Fatalf("put of %d bytes: %v", n, err)
		}
		wantObject(t, s, "object", data[:n])
	}
	broken := io.MultiReader(bytes.NewReader(data[:sizes[len(sizes)-1]]), iotest.ErrReader(io.ErrUnexpectedEOF))
	err := s.Put(t.Context(), "broken", store.FromReader(broken), store.PutOptions{})
	wantErr(t, "put from a reader that breaks off", err, io.ErrUnexpectedEOF)
	wantNames(t, s, "", "object")
}

func checkOverwrite(t *testing.T, s store.Store) {
	for i, n := range []int{1000, 10, 0, 2000} {
		data := pattern(i, n)
		put(t, s, "object", data)
		wantObject(t, s, "object", data)
	}
	wantNames(t, s, "", "object")
}

func checkIfAbsent(t *testing.T, s store.Store) {
	opt := store.PutOptions{IfAbsent: true}
	if err := s.Put(t.Context(), "object", store.Bytes([]byte("first")), opt); err != nil {
		t.Fatalf("put if absent where nothing is: %v", err)
	}
	body := newCountedBody(nil, []byte("second"))
	wantErr(t, "put if absent over an object", s.Put(t.Context(), "object", body, opt), store.ErrExist)
	body.check(t)
	wantObject(t, s, "object", []byte("first"))

	big := pattern(3, store.PartSize+1)
	body = newCountedBody(nil, big[:store.PartSize], big[store.PartSize:])
	wantErr(t, "put of two parts over an object", s.Put(t.Context(), "object", body, opt), store.ErrExist)
	body.check(t)
	wantObject(t, s, "object", []byte("first"))

	if err := s.Delete(t.Context(), "object"); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "object", store.Bytes([]byte("third")), opt); err != nil {
		t.Fatalf("put if absent after a delete: %v", err)
	}
	wantObject(t, s, "object", []byte("third"))
}

func checkIfAbsentRace(t *testing.T, s store.Store) {
	const racers = 8
	for round := range 5 {
		name := fmt.Sprintf("object.%d", round)
		errs := make([]error, racers)
		bodies := make([]*countedBody, racers)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range racers {
			bodies[i] = newCountedBody(nil, pattern(i, 1000+i))
			wg.Go(func() {
				<-start
				errs[i] = s.Put(t.Context(), name, bodies[i], store.PutOptions{IfAbsent: true})
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range errs {
			bodies[i].check(t)
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("puts %d and %d of %s both succeeded", winner, i, name)
			case err == nil:
				winner = i
			default:
				wantErr(t, "put that lost the race", err, store.ErrExist)
			}
		}
		if winner < 0 {
			t.Fatalf("no put of %s succeeded", name)
		}
		wantObject(t, s, name, pattern(winner, 1000+winner))
	}
}

func checkFailingBody(t *testing.T, s store.Store) {
	errBody := errors.New("source is gone")
	part := pattern(5, store.PartSize)
	put(t, s, "old", []byte("old"))
	for _, name := range []string{"new", "old"} {
		for _, opt := range []store.PutOptions{{}, {IfAbsent: true}} {
			if opt.IfAbsent && name == "old" {
				continue // fails with either error
			}
			for n := range 3 {
				if treetest.Short() && (n == 1 || n == 2 && name == "old") {
					continue
				}
				parts := [][]byte{part, part}
				body := newCountedBody(errBody, parts[:n]...)
				what := fmt.Sprintf("put %s, body failing after %d parts", name, n)
				wantErr(t, what, s.Put(t.Context(), name, body, opt), errBody)
				body.check(t)
			}
		}
	}
	wantNames(t, s, "", "old")
	wantObject(t, s, "old", []byte("old"))
}

func checkCancelledPut(t *testing.T, s store.Store) {
	put(t, s, "old", []byte("old"))
	part := pattern(5, store.PartSize)
	for _, parts := range [][][]byte{{}, {part[:100]}, {part, part}} {
		for _, name := range []string{"new", "old"} {
			for _, end := range []error{nil, context.Canceled} { // the body may not notice
				if treetest.Short() && len(parts) > 1 && (name == "old" || end == nil) {
					continue
				}
				ctx, cancel := context.WithCancel(t.Context())
				body := newCountedBody(end, parts...)
				body.then = cancel
				what := fmt.Sprintf("put %s, cancelled after %d parts", name, len(parts))
				wantErr(t, what, s.Put(ctx, name, body, store.PutOptions{}), context.Canceled)
				body.check(t)
				cancel()
			}
		}
	}
	wantNames(t, s, "", "old")
	wantObject(t, s, "old", []byte("old"))
}

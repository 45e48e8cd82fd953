package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// noise is n bytes that do not compress.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// idle checks that memory of n bytes is given back.
func idle(t *testing.T, b chain.PartBuffers, n int64) {
	t.Helper()
	if !b.Idle(n) {
		t.Error("the memory is not given back")
	}
}

func TestUpload(t *testing.T) {
	all := noise(2*store.PartSize+5, 1)
	for _, n := range []int{0, 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, store.PartSize - 1, store.PartSize, store.PartSize + 1, 2*store.PartSize + 5} {
		data := all[:n]
		if treetest.Short() && n > 256<<10 && n != store.PartSize+1 {
			continue
		}
		for _, piece := range []int{100_001, 40 << 20} {
			st := storetest.NewMem()
			budget := chain.NewPartBuffers(st, store.PartSize)
			up := chain.StartUpload(t.Context(), st, "object", budget)
			for rest := data; len(rest) > 0; {
				k, err := up.Write(rest[:min(piece, len(rest))])
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[k:]
			}
			if err := up.Close(); err != nil {
				t.Fatal(err)
			}
			if got := get(t, st, "object"); !bytes.Equal(got, data) {
				t.Errorf("%d bytes in pieces of %d: %d are stored, or others", n, piece, len(got))
			}
			idle(t, budget, store.PartSize)
		}
	}
}

// Parts have the length that the store wants.
func TestUploadShortParts(t *testing.T) {
	for _, size := range []int{1, 64 << 10, 256 << 10, 1 << 20} {
		st := shortParts{storetest.NewMem(), size}
		data := noise(5*size/2, 3)
		b := chain.NewPartBuffers(st, int64(2*size))
		up := chain.StartUpload(t.Context(), st, "object", b)
		for rest := data; len(rest) > 0; rest = rest[min(1000, len(rest)):] {
			if _, err := up.Write(rest[:min(1000, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := up.Close(); err != nil {
			t.Fatal(err)
		}
		if got := get(t, st, "object"); !bytes.Equal(got, data) {
			t.Errorf("parts of %d: %d bytes are stored, or others", size, len(got))
		}
		idle(t, b, int64(2*size))
	}
}

// shortParts is a store that wants parts of a length, and takes no others.
type shortParts struct {
	store.Store
	size int
}

func (s shortParts) PartSize() int { return s.size }

func (s shortParts) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	return s.Store.Put(ctx, name, sized{body, s.size}, opt)
}

// sized is a body whose parts may not be longer.
type sized struct {
	store.Body
	size int
}

func (b sized) Next(ctx context.Context) (store.Part, error) {
	p, err := b.Body.Next(ctx)
	if err == nil && len(p.Data) > b.size {
		return p, fmt.Errorf("a part of %d bytes", len(p.Data))
	}
	return p, err
}

// Whatever breaks, the error is the Put's, nothing is stored and the budget is whole.
func TestUploadFails(t *testing.T) {
	cause := errors.New("cause")
	all := noise(2*store.PartSize+100, 2)
	for _, n := range []int{0, 100, 300 << 10, store.PartSize, 2*store.PartSize + 100} {
		for name, tt := range map[string]struct {
			rule storetest.Rule
			end  func(u chain.Upload, cancel context.CancelFunc) error
			want error
		}{
			"put":   {rule: storetest.Rule{Op: storetest.Put}, want: storetest.ErrFault},
			"cut":   {rule: storetest.Rule{Op: storetest.Put, Effect: storetest.Cut, At: store.PartSize}, want: storetest.ErrFault},
			"abort": {end: func(u chain.Upload, _ context.CancelFunc) error { u.Abort(cause); return cause }, want: cause},
			"no cause": {end: func(u chain.Upload, _ context.CancelFunc) error {
				u.Abort(nil)
				return cause
			}, want: cause},
			"cancel": {end: func(u chain.Upload, cancel context.CancelFunc) error {
				cancel()
				return u.Close()
			}, want: context.Canceled},
			"stall": {rule: storetest.Rule{Op: storetest.Put, Effect: storetest.Stall}, want: context.Canceled},
		} {
			mem := storetest.NewMem()
			var st store.Store = mem
			if tt.rule.Op != "" {
				st = storetest.NewFault(mem, tt.rule)
			}
			budget := chain.NewPartBuffers(st, store.PartSize)
			ctx, cancel := context.WithCancel(t.Context())
			if name == "stall" {
				time.AfterFunc(5*time.Millisecond, cancel)
			}
			up := chain.StartUpload(ctx, st, "object", budget)
			_, err := up.Write(all[:n])
			switch {
			case err != nil:
				up.Abort(err)
			case tt.end != nil:
				err = tt.end(up, cancel)
			default:
				err = up.Close()
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%s, %d bytes: error %v, want %v", name, n, err, tt.want)
			}
			if got := mem.Names(); len(got) > 0 {
				t.Errorf("%s, %d bytes: %q is stored", name, n, got)
			}
			up.Abort(nil) // again does nothing
			idle(t, budget, store.PartSize)
			cancel()
		}
	}
}

// Several uploads never hold more than the budget.
func TestUploadBudget(t *testing.T) {
	const parts = 2
	st := &gauge{Store: storetest.NewMem()}
	budget := chain.NewPartBuffers(st, parts*store.PartSize)
	errs := make(chan error)
	for i := range 2 {
		go func() {
			up := chain.StartUpload(t.Context(), st, fmt.Sprint(i), budget)
			_, err := up.Write(noise(3*store.PartSize+1000, byte(i)))
			errs <- errors.Join(err, up.Close())
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	idle(t, budget, parts*store.PartSize)
}

// gauge is a store whose puts take their time.
type gauge struct{ store.Store }

func (g *gauge) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	return g.Store.Put(ctx, name, slowBody{body}, opt)
}

type slowBody struct{ store.Body }

func (b slowBody) Next(ctx context.Context) (store.Part, error) {
	p, err := b.Body.Next(ctx)
	if err != io.EOF {
		time.Sleep(time.Millisecond)
	}
	return p, err
}

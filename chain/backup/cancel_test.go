package backup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindsight/chain/backup"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// countStore calls at when the n-th Put begins.
type countStore struct {
	store.Store
	n  int
	at func()
}

func (c *countStore) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	if c.n--; c.n == 0 {
		c.at()
	}
	return c.Store.Put(ctx, name, body, opt)
}

// TestCancelAtPut cancels a run when an object begins to be put: it ends soon, with
// the reason, and leaves nothing behind.
func TestCancelAtPut(t *testing.T) {
	b := newFaultBench(t, backup.Incremental)
	stop := errors.New("stop")
	for n := 1; ; n++ {
		o := outcome{store: b.store.Clone(), cache: b.cache.Clone()}
		ctx, cancel := context.WithCancelCause(t.Context())
		cs := &countStore{Store: o.store, n: n, at: func() { cancel(stop) }}
		_, o.err = placeOn(t, cs, o.cache).run(t, ctx, b.src, b.at, b.opt)
		if cs.n > 0 {
			if o.err != nil || n < 3 {
				t.Errorf("run of less than %d puts: %v", n, o.err)
			}
			break
		}
		if o.err != nil && !errors.Is(o.err, stop) && !errors.Is(o.err, context.Canceled) {
			t.Errorf("canceled at put %d: %v", n, o.err)
		}
		b.check(t, o)
	}
}

// TestCancelAnytime cancels runs after random times, with little memory, so that
// every stage waits for another one.
func TestCancelAnytime(t *testing.T) {
	b := newFaultBench(t, backup.Full)
	b.opt.Memory = 64 << 10
	p := placeOn(t, b.store, b.cache)
	start := time.Now()
	p.backup(t, b.src, b.at, b.opt)
	usual := time.Since(start)
	before := goleak.IgnoreCurrent()
	rng := treetest.Rand(t, 3)
	canceled, runs := 0, 60
	if testing.Short() {
		runs = 20
	}
	for i := range runs {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.Int64N(int64(usual)+1)))
		_, err := p.run(t, ctx, b.src, b.at+1000*int64(i+1), b.opt)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			canceled++
		} else if err != nil {
			t.Errorf("run %d: %v", i, err)
		}
	}
	goleak.VerifyNone(t, before)
	if canceled == 0 {
		t.Error("no run was canceled")
	}
	t.Logf("%d runs were canceled", canceled)
	p.backup(t, b.src, b.at+100_000, b.opt)
	p.wantState(t, b.at+100_000, b.states[b.at])
	if n := len(p.load(t).Incomplete); n > 0 {
		t.Errorf("%d incomplete sets are left", n)
	}
}

// TestCancelWhileStoreStalls cancels a run whose store does not answer.
func TestCancelWhileStoreStalls(t *testing.T) {
	b := newFaultBench(t, backup.Full)
	for _, op := range []storetest.Op{storetest.List, storetest.Put} {
		faulty := storetest.NewFault(b.store.Clone(), storetest.Rule{Op: op, Effect: storetest.Stall})
		p := placeOn(t, faulty, b.cache.Clone())
		before := goleak.IgnoreCurrent()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := p.run(t, ctx, b.src, b.at, b.opt)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s stalls: %v", op, err)
		}
		goleak.VerifyNone(t, before)
	}
}

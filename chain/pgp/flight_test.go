package pgp_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"hindsight/chain/pgp"
)

func TestFlightComputesOnce(t *testing.T) {
	f := pgp.NewFlight(10)
	var runs atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			v, _, err := f.Get(t.Context(), 1, func() (int, error) { runs.Add(1); return 7, nil })
			if v != 7 || err != nil {
				t.Errorf("got %d, %v", v, err)
			}
		})
	}
	wg.Wait()
	if runs.Load() != 1 {
		t.Errorf("computed %d times", runs.Load())
	}
}

func TestFlightForgetsErrorsAndTheOldest(t *testing.T) {
	f := pgp.NewFlight(2)
	broken := errors.New("broken")
	if _, _, err := f.Get(t.Context(), 1, func() (int, error) { return 0, broken }); err != broken {
		t.Fatalf("got %v", err)
	}
	for _, step := range []struct {
		key   int
		fresh bool
	}{{1, true}, {1, false}, {2, true}, {1, false}, {3, true}, {2, false}, {1, true}} {
		_, fresh, err := f.Get(t.Context(), step.key, func() (int, error) { return step.key, nil })
		if err != nil || fresh != step.fresh {
			t.Errorf("key %d: fresh is %v, want %v (%v)", step.key, fresh, step.fresh, err)
		}
	}
}

// Who waits is let go by his own context, and not hurt by another's failure.
func TestFlightWaiters(t *testing.T) {
	f := pgp.NewFlight(2)
	started, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		f.Get(t.Context(), 1, func() (int, error) { close(started); <-end; return 0, errors.New("mine alone") })
	})
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := f.Get(ctx, 1, func() (int, error) { return 1, nil })
	wantErr(t, err, context.Canceled)
	wg.Go(func() {
		if v, _, err := f.Get(t.Context(), 1, func() (int, error) { return 5, nil }); v != 5 || err != nil {
			t.Errorf("waiter got %d, %v", v, err)
		}
	})
	close(end)
	wg.Wait()
}

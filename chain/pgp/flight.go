package pgp

import (
	"context"
	"sync"
)

// flight remembers up to limit results by key and computes each once, however many
// goroutines ask at a time. Only success is remembered or shared: after an error
// the next one who waits computes for itself, since the error may speak of the
// first one's message or context alone.
type flight[K comparable, V any] struct {
	mu    sync.Mutex
	limit int
	done  map[K]V
	order []K // of done, oldest first
	busy  map[K]chan struct{}
}

func newFlight[K comparable, V any](limit int) *flight[K, V] {
	return &flight[K, V]{limit: limit, done: map[K]V{}, busy: map[K]chan struct{}{}}
}

// get returns the remembered value, or that of fn.
func (f *flight[K, V]) get(ctx context.Context, key K, fn func() (V, error)) (v V, fresh bool, err error) {
	for {
		f.mu.Lock()
		if v, ok := f.done[key]; ok {
			f.mu.Unlock()
			return v, false, nil
		}
		wait, ok := f.busy[key]
		if !ok {
			break
		}
		f.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return v, false, ctx.Err()
		}
	}
	mine := make(chan struct{})
	f.busy[key] = mine
	f.mu.Unlock()
	defer func() { // also when fn panics
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.busy, key)
		close(mine)
	}()
	v, err = fn()
	if err == nil {
		f.remember(key, v)
	}
	return v, true, err
}

func (f *flight[K, V]) remember(key K, v V) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.order) >= f.limit {
		delete(f.done, f.order[0])
		f.order = append(f.order[:0], f.order[1:]...)
	}
	f.done[key] = v
	f.order = append(f.order, key)
}

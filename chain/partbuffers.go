package chain

import (
	"context"
	"math"
	"sync"

	"golang.org/x/sync/semaphore"

	"hindsight/chain/store"
)

// partBuffers is the memory for the parts of any number of uploads to one store. It is
// safe for concurrent use.
type partBuffers struct {
	size   int                 // of a part
	budget *semaphore.Weighted // counts bytes

	mu   sync.Mutex
	free [][]byte
}

// newPartBuffers allows for so many bytes (0: any number), but for one part at least.
// Each upload may hold a part that it is still filling: with less than one for each they
// could wait for each other for ever.
func newPartBuffers(st store.Store, memory int64) *partBuffers {
	b := &partBuffers{size: store.PartSizeOf(st)}
	if memory == 0 {
		memory = math.MaxInt64
	}
	b.budget = semaphore.NewWeighted(max(memory, int64(b.size)))
	return b
}

// get waits for room for one more part and returns its empty buffer.
func (b *partBuffers) get(ctx context.Context) ([]byte, error) {
	if err := b.budget.Acquire(ctx, int64(b.size)); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		buf := b.free[n-1]
		b.free = b.free[:n-1]
		return buf, nil
	}
	return make([]byte, 0, b.size), nil
}

// put gives a part's buffer back.
func (b *partBuffers) put(buf []byte) {
	b.mu.Lock()
	b.free = append(b.free, buf[:0])
	b.mu.Unlock()
	b.budget.Release(int64(b.size))
}

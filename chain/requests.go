package chain

import (
	"context"
	"sync"
)

// Small requests, of scattered blocks that is, are made several at a time: each waits for
// the store, and has too few blocks to decode for all processors. So many of them, and of
// so many bytes each, stored and plain, take less than a large one does.
const (
	requestsAtOnce = 4
	smallRequest   = 1 << 20
)

// requests are those of one call of RangeReader.EachHead that are under way.
type requests struct {
	from   *RangeReader
	ctx    context.Context
	cancel context.CancelFunc
	under  []*request // in the order of their blocks
	wg     sync.WaitGroup
}

// request is one request for blocks, and what it brought.
type request struct {
	want        []int
	heads       []int32 // nil: they are wanted whole
	off, length int64
	small       bool

	ready chan struct{} // closed when the fields below are set
	plain [][]byte
	err   error
}

func newRequests(ctx context.Context, r *RangeReader) *requests {
	q := &requests{from: r}
	q.ctx, q.cancel = context.WithCancel(ctx)
	return q
}

// next is the request for the first blocks of want; room says whether it can be made now.
func (q *requests) next(want []int) (next *request, room bool) {
	if len(q.under) == requestsAtOnce {
		return nil, false
	}
	n, off, length := q.from.request(want)
	next = &request{want: want[:n], off: off, length: length, ready: make(chan struct{})}
	plain := int64(0)
	for _, b := range next.want {
		plain += int64(q.from.table.Blocks[b].Len)
	}
	next.small = plain <= smallRequest && length <= smallRequest
	return next, len(q.under) == 0 || next.small && q.under[0].small
}

func (q *requests) start(r *request) {
	q.under = append(q.under, r)
	q.wg.Go(func() {
		defer close(r.ready)
		r.plain, r.err = q.from.fetch(q.ctx, r.want, r.heads, r.off, r.length)
	})
}

// wait is the first request, which is no longer under way.
func (q *requests) wait() *request {
	r := q.under[0]
	q.under = q.under[1:]
	<-r.ready
	return r
}

// close ends what is under way.
func (q *requests) close() {
	q.cancel()
	q.wg.Wait()
}

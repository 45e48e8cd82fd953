package fusefs

import (
	"context"
	"sync"
	"time"
)

// grace is how long a request goes on after its caller got a signal. The kernel
// tells of every signal, also of those that mean nothing, such as SIGCHLD and
// SIGWINCH, and an EINTR from reading a file is more than most programs expect. What
// is in the cache or comes within this time is delivered; of what takes longer
// Ctrl-C is rid soon.
const grace = 500 * time.Millisecond

// request is the context of one request of the kernel: it is done when the caller
// has been interrupted for as long as grace, or when the request is over, which end
// tells. Requests that are answered from memory never ask for Done, and cost
// nothing. It must not be used after end, as the library reuses the channel.
type request struct {
	interrupted <-chan struct{}

	mu    sync.Mutex
	done  chan struct{} // made by the first Done
	over  chan struct{} // closed by end, if done was made
	ended bool
}

var _ context.Context = (*request)(nil)

func newRequest(interrupted <-chan struct{}) *request { return &request{interrupted: interrupted} }

// end releases the goroutine that waits for an interrupt, if there is one.
func (r *request) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.over != nil {
		close(r.over)
		r.over = nil
	}
}

func (r *request) Deadline() (time.Time, bool) { return time.Time{}, false }
func (r *request) Value(any) any               { return nil }

func (r *request) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = make(chan struct{})
		if r.ended {
			close(r.done)
			return r.done
		}
		r.over = make(chan struct{})
		go watch(r.interrupted, r.over, r.done)
	}
	return r.done
}

// watch closes done when the request was interrupted, or is over: whatever derives
// from it ends then, too.
func watch(interrupted, over <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	select {
	case <-over:
		return
	case <-interrupted:
	}
	wait := time.NewTimer(grace)
	defer wait.Stop()
	select {
	case <-over:
	case <-wait.C:
	}
}

func (r *request) Err() error {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return context.Canceled
	default:
		return nil
	}
}

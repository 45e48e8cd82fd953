package chain

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/semaphore"

	"hindsight/chain/store"
)

// upload is one Put in progress: an io.Writer whose bytes go up in parts while
// more are being written. It is written by one goroutine.
type upload struct {
	parts  chan store.Part
	cause  error         // why the content ends early; set before parts is closed
	done   chan struct{} // closed when the Put has returned
	err    error         // of the Put
	part   []byte
	budget *semaphore.Weighted // counts parts' bytes; nil: unbounded
	ctx    context.Context
	cancel context.CancelFunc
	ended  bool
}

// partBuffers are buffers of store.PartSize bytes.
var partBuffers = sync.Pool{New: func() any { b := make([]byte, 0, store.PartSize); return &b }}

// smallPart is as much as an upload gathers before it takes a whole part's memory.
const smallPart = 256 << 10

// startUpload begins a Put. Its parts are counted against budget, if there is one,
// which must hold at least one part.
func startUpload(ctx context.Context, st store.Store, name string, opt store.PutOptions, budget *semaphore.Weighted) *upload {
	ctx, cancel := context.WithCancel(ctx)
	u := &upload{parts: make(chan store.Part), done: make(chan struct{}), budget: budget, ctx: ctx, cancel: cancel}
	go func() {
		defer close(u.done)
		u.err = st.Put(ctx, name, u, opt)
		cancel() // whoever waits to hand over a part need not any more
	}()
	return u
}

// Next hands the Put its next part. It is store.Body's.
func (u *upload) Next(ctx context.Context) (store.Part, error) {
	select {
	case p, ok := <-u.parts:
		switch {
		case ok:
			return p, nil
		case u.cause != nil:
			return store.Part{}, u.cause
		}
		return store.Part{}, io.EOF
	case <-ctx.Done():
		return store.Part{}, context.Cause(ctx)
	}
}

// Write takes content. It fails as soon as the Put has failed.
func (u *upload) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		if err := u.grow(len(p)); err != nil {
			return n, err
		}
		k := min(len(p), cap(u.part)-len(u.part))
		u.part = append(u.part, p[:k]...)
		p = p[k:]
		n += k
		if len(u.part) == store.PartSize {
			if err := u.send(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// grow makes room: little at first, for most objects are small.
func (u *upload) grow(n int) error {
	if len(u.part) < cap(u.part) {
		return nil
	}
	if len(u.part) == 0 && n < smallPart {
		u.part = make([]byte, 0, smallPart)
		return nil
	}
	if u.budget != nil {
		if err := u.budget.Acquire(u.ctx, store.PartSize); err != nil {
			return u.failure(err)
		}
	}
	u.part = append(*partBuffers.Get().(*[]byte), u.part...)
	return nil
}

func (u *upload) send() error {
	part := u.take()
	select {
	case u.parts <- part:
		return nil
	case <-u.ctx.Done():
		part.Release()
		return u.failure(context.Cause(u.ctx))
	}
}

// take makes a part of what was gathered.
func (u *upload) take() store.Part {
	data := u.part
	u.part = nil
	if cap(data) < store.PartSize {
		return store.NewPart(data, func() {})
	}
	return store.NewPart(data, func() {
		data = data[:0]
		partBuffers.Put(&data)
		if u.budget != nil {
			u.budget.Release(store.PartSize)
		}
	})
}

// failure is the Put's own error where it has one, for that is the reason.
func (u *upload) failure(err error) error {
	select {
	case <-u.done:
		if u.err != nil {
			return u.err
		}
	default:
	}
	return err
}

// close ends the content and waits until the object is durable.
func (u *upload) close() error {
	if len(u.part) > 0 {
		if err := u.send(); err != nil {
			u.abort(err)
			return err
		}
	}
	return u.end(nil)
}

// abort makes the Put fail, so that nothing of it stays.
func (u *upload) abort(cause error) {
	if cause == nil {
		cause = errors.New("upload given up")
	}
	if u.part != nil {
		part := u.take()
		part.Release()
	}
	_ = u.end(cause)
}

func (u *upload) end(cause error) error {
	if !u.ended {
		u.ended = true
		u.cause = cause
		close(u.parts)
	}
	<-u.done
	u.cancel()
	return u.err
}

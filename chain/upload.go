package chain

import (
	"context"
	"errors"
	"io"

	"hindsight/chain/store"
)

// upload is one Put in progress: an io.Writer whose bytes go up in parts while
// more are being written. It is written by one goroutine.
type upload struct {
	parts   chan store.Part
	cause   error         // why the content ends early; set before parts is closed
	done    chan struct{} // closed when the Put has returned
	err     error         // of the Put
	part    []byte
	begun   bool // a part was taken of it
	buffers *partBuffers
	ctx     context.Context
	cancel  context.CancelFunc
	ended   bool
}

// smallPart is as much as an upload gathers before it takes a whole part's memory.
const smallPart = 256 << 10

// startUpload begins a Put whose parts are of buffers, or of its own if that is nil.
func startUpload(ctx context.Context, st store.Store, name string, opt store.PutOptions, buffers *partBuffers) *upload {
	if buffers == nil {
		buffers = newPartBuffers(st, 0)
	}
	ctx, cancel := context.WithCancel(ctx)
	u := &upload{parts: make(chan store.Part), done: make(chan struct{}), buffers: buffers, ctx: ctx, cancel: cancel}
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
		if len(u.part) == u.buffers.size {
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
	if len(u.part) == 0 && n < smallPart && !u.begun && u.buffers.size > smallPart {
		u.part = make([]byte, 0, smallPart)
		return nil
	}
	buf, err := u.buffers.get(u.ctx)
	if err != nil {
		return u.failure(err)
	}
	u.part = append(buf, u.part...)
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
	u.part, u.begun = nil, true
	if cap(data) < u.buffers.size {
		return store.NewPart(data, func() {})
	}
	return store.NewPart(data, func() { u.buffers.put(data) })
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

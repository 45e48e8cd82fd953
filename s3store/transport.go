package s3store

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"time"
)

// errStalled says that nothing moved on a request for the time allowed.
var errStalled = errors.New("the connection stalled")

// patient is the context key of requests that servers take long to answer.
type patient struct{}

// withPatience marks requests that may be answered late: ten times the timeout.
func withPatience(ctx context.Context) context.Context {
	return context.WithValue(ctx, patient{}, true)
}

// wanted is the context key of requests whose answer is the content of an object, as
// long as that may be.
type wanted struct{}

func withContent(ctx context.Context) context.Context { return context.WithValue(ctx, wanted{}, true) }

// maxAnswer bounds all other answers, in bytes, as they are taken apart in memory. A
// page of a list has a thousand keys of up to 3 KiB each as they are encoded.
const maxAnswer = 4 << 20

// errLongAnswer says that an answer is none that any server gives.
var errLongAnswer = errors.New("the answer has no end")

// watchdog breaks off requests on which nothing moves: neither is any of the body
// taken, nor do headers come, nor bytes of an answer that is being read. How long a
// whole request takes has no limit.
type watchdog struct {
	base     http.RoundTripper
	patience time.Duration
}

// RoundTrip is http.RoundTripper's.
func (d *watchdog) RoundTrip(req *http.Request) (*http.Response, error) {
	patience := d.patience
	if req.Context().Value(patient{}) != nil {
		patience *= 10
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{ctx: ctx, cancel: cancel, patience: patience}
	w.timer = time.AfterFunc(patience, func() { cancel(errStalled) })
	out := req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		out.Body = &watchedUpload{ReadCloser: req.Body, w: w}
	}
	resp, err := d.base.RoundTrip(out)
	w.timer.Stop()
	if err != nil {
		err = w.explain(err)
		cancel(nil)
		return nil, err
	}
	down := &watchedDownload{ReadCloser: resp.Body, w: w, left: maxAnswer}
	if req.Context().Value(wanted{}) != nil && resp.StatusCode < http.StatusMultipleChoices {
		down.left = math.MaxInt64
	}
	resp.Body = down
	return resp, nil
}

// watch is the timer of one request.
type watch struct {
	ctx      context.Context // of the request
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	patience time.Duration
}

// explain is errStalled where that is why err came.
func (w *watch) explain(err error) error {
	if err != nil && err != io.EOF && context.Cause(w.ctx) == errStalled {
		return errStalled
	}
	return err
}

// watchedUpload takes every read for progress. It has no WriteTo, so that the
// transport reads it in small pieces.
type watchedUpload struct {
	io.ReadCloser
	w *watch
}

func (u *watchedUpload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	// A timer that has been stopped since, as the answer came early, starts again and
	// is stopped by the next read of the answer.
	if u.w.ctx.Err() == nil {
		u.w.timer.Reset(u.w.patience)
	}
	return n, err
}

// watchedDownload is timed while it is being read, and not while its reader is slow.
type watchedDownload struct {
	io.ReadCloser
	w    *watch
	left int64 // bytes that it may have yet
}

func (d *watchedDownload) Read(p []byte) (int, error) {
	if d.left <= 0 {
		return 0, errLongAnswer
	}
	d.w.timer.Reset(d.w.patience)
	n, err := d.ReadCloser.Read(p[:min(int64(len(p)), d.left)])
	d.w.timer.Stop()
	d.left -= int64(n)
	return n, d.w.explain(err)
}

func (d *watchedDownload) Close() error {
	d.w.timer.Stop()
	err := d.ReadCloser.Close()
	d.w.cancel(nil)
	return err
}

// partReader is the body of a request: bytes that are not touched any more once it is
// cut, for the transport may go on reading after a request has failed.
type partReader struct {
	mu   sync.Mutex
	data []byte
	pos  int64
	gone bool
}

func (r *partReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gone:
		return 0, errors.New("the request has ended")
	case r.pos >= int64(len(r.data)):
		return 0, io.EOF
	}
	n := copy(p, r.data[r.pos:])
	r.pos += int64(n)
	return n, nil
}

// Seek is io.Seeker's: the SDK asks for the length, and rewinds after hashing.
func (r *partReader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += int64(len(r.data))
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	r.pos = offset
	return offset, nil
}

// cut ends the use of the bytes.
func (r *partReader) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone, r.data = true, nil
}

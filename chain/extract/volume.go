package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/zeebo/blake3"

	"hindsight/chain/difftar"
)

// volumeReader takes one volume apart. It is used by one goroutine, but for what
// the writers do on its behalf.
type volumeReader struct {
	*engine
	plan   *setPlan
	number int // of the volume, as a position in the plan
	vr     volumeSource
	view   *ledgerView // nil before the first entry
	known  *runCursor  // of plan.known; nil until it is needed
	extras *runCursor  // of plan.extras; likewise
	out    *runWriter
	buf    []byte
	batch  batch
	// What the content of the file that is being sighted must be.
	content promise
	work    sync.WaitGroup // tasks with the writers

	first    string // path of the first entry
	last     string // path of the entry before
	lastPart int    // its part
	cur      current

	mu     sync.Mutex
	failed map[Handle]error // files that are lost
	fatal  error            // why the run must end
}

// promise is the BLAKE3 of a content, if it is known.
type promise struct {
	known bool
	hash  [32]byte
}

// kept reports whether a content is the one promised, if any was.
func (p *promise) kept(content []byte) bool {
	return !p.known || blake3.Sum256(content) == p.hash
}

// maxFailed bounds the files of one volume that are given up one by one: more mean
// that the target takes nothing.
const maxFailed = 1 << 18

// dataError is an error in what the volume holds, as opposed to one of the target.
type dataError struct{ error }

func (e dataError) Unwrap() error { return e.error }

// volume reads one volume and returns what it says of the paths in it. The files that are
// whole get their names while the engine goes on, until the plan's commits are done.
func (e *engine) volume(ctx context.Context, p *setPlan, number int) (*run, error) {
	if gap := p.volumes[number].gap; gap != nil {
		return e.salvage(ctx, p, number, gap)
	}
	w := &volumeReader{engine: e, plan: p, number: number, out: newRunWriter(&e.blocks), failed: make(map[Handle]error)}
	err := w.read()
	w.flush()
	if c := &w.cur; c.file != nil && c.straddle == nil { // not recorded yet
		w.Sink.Discard(c.file.handle, c.file.path)
	}
	r, ferr := w.out.finish()
	if err == nil {
		err = ferr
	}
	if err == nil {
		err = w.endStraddles(p, number)
	}
	if err == nil {
		e.commits.add(p, func() error { return w.commit(r) })
		return r, nil
	}
	w.work.Wait()
	if w.fatal != nil {
		err = w.fatal
	}
	w.discard(r)
	var damage dataError
	if ctx.Err() == nil && errors.As(err, &damage) {
		if err = damage.error; e.IgnoreErrors {
			return e.salvage(ctx, p, number, err)
		}
	}
	return nil, err
}

// discard drops a run and all files in it.
func (w *volumeReader) discard(r *run) {
	w.discardRun(r, func(*record) bool { return true })
	r.close()
}

// read takes in the volume. It returns nil only if all of it was proved right.
func (w *volumeReader) read() error {
	vr, done, err := w.fetch.take(&w.plan.volumes[w.number])
	defer done()
	if err != nil {
		return dataError{err}
	}
	defer vr.Close()
	w.vr = vr
	for {
		en, err := vr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return dataError{err}
		}
		if err := w.entry(en); err != nil {
			var damage dataError
			if errors.As(err, &damage) {
				return dataError{vr.Fail(damage.error)}
			}
			return err
		}
	}
	if err := w.end(true); err != nil {
		return err
	}
	w.Progress.Volumes.Add(1)
	w.checkRange()
	return nil
}

// entry takes in one entry.
func (w *volumeReader) entry(en *difftar.Entry) error {
	if w.view == nil {
		view, err := w.ledger.view(en.Path)
		if err != nil {
			return err
		}
		w.view, w.first = view, en.Path
	} else if order := difftar.Compare(en.Path, w.last); order == 0 && en.Part > 0 && w.lastPart > 0 {
		w.lastPart = en.Part
		return w.part(en)
	} else if order <= 0 {
		return dataError{fmt.Errorf("%w: %q comes after %q", difftar.ErrFormat, en.Path, w.last)}
	}
	if err := w.end(false); err != nil {
		return err
	}
	w.last, w.lastPart = en.Path, en.Part
	if en.Part <= 1 {
		w.plan.paths.Add(1)
	}
	if err := w.begin(en); err != nil {
		return err
	}
	return w.part(en)
}

// fail gives a file up once its volume is proved right, and goes on.
func (w *volumeReader) fail(f *file, err error) error {
	w.failure(f.handle, err)
	return w.record(f.path, &record{state: done, handle: f.handle})
}

// failure notes why a file is lost.
func (w *volumeReader) failure(h Handle, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failed) < maxFailed {
		w.failed[h] = err
		return
	}
	w.abandon(fmt.Errorf("too many files cannot be restored: %w", err))
}

// abandon ends the run. The lock is held.
func (w *volumeReader) abandon(err error) {
	if w.fatal == nil {
		w.fatal = err
		w.writers.cancel(err)
	}
}

// outcome sorts an error that a task or the sink gave.
func (w *volumeReader) outcome(h Handle, err error) {
	var pe *PathError
	switch {
	case err == nil:
	case errors.As(err, &pe):
		w.failure(h, pe.Err)
	default:
		w.mu.Lock()
		w.abandon(err)
		w.mu.Unlock()
	}
}

func (w *volumeReader) record(path string, r *record) error {
	w.buf = r.append(w.buf[:0])
	return w.out.add(path, w.buf)
}

// commitBatch is how many names a writer gives at a time.
const commitBatch = 128

// commit, once the volume is proved right, makes what it holds visible. When it fails what
// has no name yet is dropped, but for what the ledger has as open.
func (w *volumeReader) commit(r *run) error {
	w.work.Wait() // for what has failed
	err := w.fatal
	if err == nil {
		err = w.commitRun(r)
	}
	if err != nil {
		w.discardRun(r, func(rec *record) bool { return rec.state != open })
	}
	return err
}

func (w *volumeReader) commitRun(r *run) error {
	var list []commitment
	flush := func() {
		b := list
		list = nil
		w.work.Add(1)
		w.writers.do(func() {
			defer w.work.Done()
			w.commitAll(b)
		})
	}
	c, err := newCursor(r, "")
	for err == nil && c.ok {
		var rec record
		if rec, err = decodeRecord(c.payload); err != nil {
			break
		}
		if rec.state != open && (rec.state != done || rec.handle != 0) {
			rec.demands = nil
			list = append(list, commitment{string(c.path), rec})
		}
		if len(list) == commitBatch {
			flush()
		}
		err = c.advance()
	}
	if len(list) > 0 {
		flush()
	}
	w.work.Wait()
	if err == nil {
		err = w.fatal
	}
	return err
}

// commitment is a path that gets its place in the target.
type commitment struct {
	path string
	record
}

func (w *volumeReader) commitAll(list []commitment) {
	for i := range list {
		c := &list[i]
		if w.writers.ctx.Err() != nil {
			w.outcome(0, context.Cause(w.writers.ctx))
			return
		}
		if reason := w.reason(c.handle); reason != nil {
			w.lose(c.path, c.handle, reason)
			continue
		}
		if err := w.make(c.path, &c.record); err != nil {
			w.outcome(0, err)
			return
		}
	}
}

// reason is why a file is lost, or nil.
func (w *volumeReader) reason(h Handle) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed[h]
}

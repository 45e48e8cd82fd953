package extract

import (
	"errors"
	"fmt"
	"io"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
)

// ErrMissingPart says that a part of a file is not where it should be, as when a
// volume between others is missing.
var ErrMissingPart = errors.New("a part of it is missing")

// file is a file of the target that is getting bytes.
type file struct {
	path    string
	handle  Handle
	meta    difftar.Meta    // that it will have
	size    int64           // in bytes, once its newest version was read
	demands []extent.Demand // on the version being read
	fresh   bool            // first sighted in this set
	check   *contentCheck   // of its content; nil: none is made
}

// current is the path whose entries are being read.
type current struct {
	file     *file // nil: nothing is wanted of the path
	straddle *straddle
	kind     difftar.Kind
	delta    *delta
	snapshot *extent.Resolver
	pos      int64 // of a snapshot
	first    int   // part, 0 if there is but one entry
	next     int   // part
	lastSize int64 // of the part before
	err      error // the path is lost
}

// begin decides what to do with a path.
func (w *volumeReader) begin(en *difftar.Entry) error {
	w.cur = current{}
	if !w.Filter.Touches(en.Path, en.Path) {
		return nil
	}
	payload, known, err := w.view.decided(en.Path)
	if err != nil {
		return err
	}
	if known && state(payload[0]) != open {
		return nil
	}
	if st := w.plan.volumes[w.number].straddling(en.Path); st != nil && en.Part > 0 {
		return w.join(st, en, payload, known)
	}
	if !known {
		return w.sight(en)
	}
	f, err := w.openFile(en.Path, payload)
	if err != nil {
		return err
	}
	if en.Kind != difftar.Diff && (en.Kind != difftar.Snapshot || en.Type != difftar.Regular) {
		return w.fail(f, fmt.Errorf("%w: the older version is %v", ErrNoBasis, what(en)))
	}
	w.start(en, f)
	return nil
}

// what names an entry that cannot be the basis of a delta.
func what(en *difftar.Entry) string {
	if en.Kind == difftar.Snapshot {
		return "a " + en.Type.String()
	}
	return en.Kind.String()
}

// openFile is a file that a newer set left with demands.
func (e *engine) openFile(path string, payload []byte) (*file, error) {
	r, err := decodeRecord(payload)
	if err != nil {
		return nil, err
	}
	return &file{path: path, handle: r.handle, size: r.size, meta: r.meta, demands: r.demands, check: e.checkOf(r.handle)}, nil
}

// sight meets a path for the first time: it decides what the path is.
func (w *volumeReader) sight(en *difftar.Entry) error {
	rec := record{state: done}
	w.content = promise{}
	verdict := Skip
	if en.Kind != difftar.Deleted {
		verdict = w.wants(en.Path, &en.Meta)
	}
	var k *knownPath
	if verdict != Skip && w.plan.known != nil {
		var err error
		if k, err = w.look(en); err != nil {
			if err := w.forgive(en.Path, 0, err); err != nil {
				return err
			}
			return w.record(en.Path, &rec)
		}
	}
	if verdict != Skip {
		if err := w.enrich(en); err != nil {
			return err
		}
	}
	switch {
	case verdict == Skip:
	case en.Type == difftar.Directory && verdict == TakeOpen:
		rec = record{state: dirOpen, meta: en.Meta}
	case en.Type == difftar.Directory:
		rec = record{state: dir, meta: en.Meta}
	case en.Type != difftar.Regular:
		rec = record{state: object, meta: en.Meta}
	case en.Kind == difftar.Snapshot && en.Part == 0 && en.Size <= difftar.PartSize:
		return w.small(en, k)
	default:
		return w.create(en, k)
	}
	return w.record(en.Path, &rec)
}

// create begins a file of the target.
func (w *volumeReader) create(en *difftar.Entry, k *knownPath) error {
	f := w.newFile(en, k)
	err := w.Sink.Create(f.handle, f.path)
	var pe *PathError
	switch {
	case err == nil:
		w.start(en, f)
		return nil
	case errors.As(err, &pe):
		return w.fail(f, pe.Err)
	}
	return err
}

// newFile is a file of the target that is sighted first in this set.
func (e *engine) newFile(en *difftar.Entry, k *knownPath) *file {
	h := e.newHandle()
	return &file{path: en.Path, handle: h, meta: en.Meta, demands: extent.Whole(), fresh: true, check: e.newCheck(h, k)}
}

// start prepares for the bytes of a version of a file.
func (w *volumeReader) start(en *difftar.Entry, f *file) {
	w.cur = current{file: f, kind: en.Kind}
	if en.Part > 0 {
		w.cur.first, w.cur.next = 1, 1
	}
	if en.Kind == difftar.Diff {
		w.cur.delta = newDelta(f.demands)
		return
	}
	w.cur.snapshot = extent.NewResolver(f.demands)
	if en.Part > 1 {
		w.cur.pos = int64(en.Part-1) * difftar.PartSize
	}
}

// part takes in the bytes of an entry, which belong to the current path.
func (w *volumeReader) part(en *difftar.Entry) error {
	c := &w.cur
	if c.file == nil || c.err != nil {
		return nil
	}
	if c.err = c.continues(en); c.err != nil {
		return nil
	}
	c.next, c.lastSize = c.next+1, en.Size
	for {
		p, err := w.vr.Chunk(difftar.PartSize)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return dataError{err}
		}
		if err := w.bytes(p); err != nil {
			var te *targetError
			if errors.As(err, &te) {
				return te.err
			}
			c.err = err
			return nil
		}
	}
}

// continues says what is wrong with an entry as the next part of the current path.
func (c *current) continues(en *difftar.Entry) error {
	switch {
	case en.Kind != c.kind || en.Type != difftar.Regular:
		return fmt.Errorf("%w: its parts are of different kinds", difftar.ErrFormat)
	case en.Part != c.next:
		return fmt.Errorf("%w: part %d stands where part %d should be", ErrMissingPart, en.Part, c.next)
	case c.straddle != nil && c.next > c.first && c.lastSize != difftar.PartSize:
		return fmt.Errorf("%w: a part of %d bytes", difftar.ErrFormat, c.lastSize)
	}
	return nil
}

// targetError is an error of the target that ends the run.
type targetError struct{ err error }

func (e *targetError) Error() string { return e.err.Error() }

// bytes takes the next bytes of the current version.
func (w *volumeReader) bytes(p []byte) error {
	c := &w.cur
	write := func(p []byte, to int64) error {
		err := w.Sink.WriteAt(c.file.handle, c.file.path, p, to)
		var pe *PathError
		switch {
		case err == nil:
			w.Progress.Bytes.Add(int64(len(p)))
			if c.file.check == nil {
				return nil
			}
			if err = c.file.check.add(p, to); err == nil || errors.Is(err, ErrContent) {
				return err
			}
		case errors.As(err, &pe):
			return pe.Err
		}
		return &targetError{err}
	}
	if c.delta != nil {
		return c.delta.write(p, write)
	}
	pos := c.pos
	c.pos += int64(len(p))
	return c.snapshot.Literal(pos, p, write)
}

// end finishes the current path; atEnd says that the volume ends here too.
func (w *volumeReader) end(atEnd bool) error {
	c := w.cur
	if c.file != nil && c.straddle == nil {
		rec, err := w.finish(&c, atEnd)
		var pe *PathError
		if errors.As(err, &pe) {
			err = w.fail(c.file, pe.Err)
		} else if err == nil {
			err = w.record(c.file.path, rec)
		}
		if err != nil {
			return err
		}
	}
	if c.straddle != nil {
		w.leave(&c, atEnd)
	}
	w.cur = current{}
	return nil
}

// finish decides about a file of which a version was read.
func (w *volumeReader) finish(c *current, atEnd bool) (*record, error) {
	err := c.err
	r := c.snapshot
	if c.delta != nil {
		r = c.delta.resolver
		if err == nil {
			err = c.delta.ops.Close()
		}
	}
	if err == nil && atEnd && c.first > 0 && c.lastSize == difftar.PartSize {
		err = ErrMissingPart // it does not end here (duplicity-format.md §3.4)
	}
	if err != nil {
		return nil, &PathError{c.file.path, err}
	}
	return w.settle(c.file, r)
}

// version is what settle needs to know of a version that was read.
type version interface {
	Served() int64          // bytes of demands met
	End() int64             // its length
	Older() []extent.Demand // on the version before
}

// settle decides, when a version was read, whether the file is whole. A *PathError
// means that it is lost.
func (e *engine) settle(f *file, v version) (*record, error) {
	switch {
	case f.fresh && v.Served() != v.End():
		return nil, &PathError{f.path, ErrMissingPart}
	case !f.fresh && v.Served() != extent.Total(f.demands):
		return nil, &PathError{f.path, extent.ErrShort}
	}
	if f.fresh {
		f.size = v.End()
	}
	if older := v.Older(); len(older) > 0 {
		if err := e.Sink.Release(f.handle, f.path); err != nil {
			return nil, err
		}
		return &record{state: open, handle: f.handle, size: f.size, meta: f.meta, demands: older}, nil
	}
	if f.check != nil {
		if err := f.check.finish(f.size); err != nil {
			return nil, &PathError{f.path, err}
		}
		e.forgetCheck(f.handle)
	}
	if err := e.Sink.Finish(f.handle, f.path, &f.meta); err != nil {
		return nil, err
	}
	e.Progress.Files.Add(1)
	return &record{state: done, handle: f.handle, size: f.size}, nil
}

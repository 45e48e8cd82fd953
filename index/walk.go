package index

import (
	"bytes"
	"context"
	"errors"
	"io"

	"hindsight/chain/difftar"
)

// ErrSkipDir, returned by what Walk calls, leaves out what is in a directory.
var ErrSkipDir = errors.New("index: skip this directory")

// Walk calls f with a path and all that is below it, in path order: a directory before
// what is in it. It ends with the first error of f that is not ErrSkipDir. It shows one
// generation, and holds it until it ends.
func (s *Snapshot) Walk(ctx context.Context, id ID, f func(path string, e Entry) error) error {
	v, err := s.view()
	if err != nil {
		return err
	}
	defer v.release()
	w, err := newWalker(v, id)
	if err != nil {
		return err
	}
	defer w.close()
	for {
		found, err := w.next()
		if err == io.EOF {
			return nil
		}
		var e Entry
		if err == nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			e, err = v.entry(found)
		}
		if err != nil {
			return err
		}
		switch err := f(w.path, e); err {
		case nil:
		case ErrSkipDir:
			w.skip()
		default:
			return err
		}
	}
}

// walkStep is how many entries of a directory a walker reads at once.
const walkStep = 512

// walker goes through what is below a path, in path order. It holds no more than
// walkStep entries of each directory above what it is at.
type walker struct {
	v     *view
	c     *cursor
	top   *stored // where it begins, until that was handed out
	stack []listing
	path  string // of what was handed out last
	key   []byte
}

// listing is a directory that is being listed.
type listing struct {
	dir   ID
	path  string // what the names in it are appended to
	batch []stored
	next  int  // in batch
	ended bool // there is nothing behind batch
}

func newWalker(v *view, id ID) (*walker, error) {
	w := &walker{v: v, top: new(stored)}
	if err := v.find(id, w.top); err != nil {
		return nil, err
	}
	var err error
	if w.path, err = v.fullPath(id); err != nil {
		return nil, err
	}
	w.c = newCursor(v.g, v.chain, v.txn.ReadTs())
	return w, nil
}

func (w *walker) close() { w.c.close() }

// next returns what comes next, whose path is w.path; valid until the call after.
// io.EOF comes at the end.
func (w *walker) next() (*stored, error) {
	if s := w.top; s != nil {
		w.top = nil
		w.enter(s)
		return s, nil
	}
	for len(w.stack) > 0 {
		l := &w.stack[len(w.stack)-1]
		if l.next < len(l.batch) {
			s := &l.batch[l.next]
			l.next++
			w.path = l.path + s.name
			w.enter(s)
			return s, nil
		}
		if l.ended {
			w.stack = w.stack[:len(w.stack)-1]
			continue
		}
		if err := w.fill(l); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

// enter has what is in a directory come next.
func (w *walker) enter(s *stored) {
	if s.Type != difftar.Directory {
		return
	}
	l := listing{dir: s.id, path: w.path}
	if l.path != "" {
		l.path += "/"
	}
	if n := len(w.stack); n < cap(w.stack) {
		l.batch = w.stack[:n+1][n].batch[:0] // its memory
	}
	w.stack = append(w.stack, l)
}

// skip leaves out what is in the directory that was handed out last.
func (w *walker) skip() {
	if n := len(w.stack) - 1; n >= 0 {
		if l := &w.stack[n]; l.next == 0 && len(l.batch) == 0 && !l.ended {
			w.stack = w.stack[:n]
		}
	}
}

// fill reads on in a directory.
func (w *walker) fill(l *listing) error {
	w.key = appendDirent(w.key[:0], w.v.chain, l.dir, "")
	prefix := len(w.key)
	if n := len(l.batch); n > 0 {
		w.key = append(append(w.key, l.batch[n-1].name...), 0)
	}
	l.batch, l.next = l.batch[:0], 0
	for w.c.seek(w.key); w.c.it.Valid() && bytes.HasPrefix(w.c.it.Item().Key(), w.key[:prefix]); w.c.next() {
		if len(l.batch) == walkStep {
			return nil
		}
		l.batch = append(l.batch, stored{})
		s := &l.batch[len(l.batch)-1]
		if err := w.v.load(w.c.it.Item(), s); err != nil {
			return err
		}
		if s.deleted {
			l.batch = l.batch[:len(l.batch)-1]
			continue
		}
	}
	l.ended = true
	return nil
}

package extract

import (
	"errors"
)

// ledger is what is known of every path that was sighted in the sets read so far:
// a list of runs, the newest knowledge last. A run is merged into the one before it
// unless that is more than twice as large, so that there are few however many sets
// there were, and a record is copied few times. That is done when the next one comes:
// the last one, a full set's, is the largest, and nobody looks paths up afterwards.
type ledger struct {
	store *blockStore
	runs  []*run
}

// add takes over a run that supersedes what was known of its paths.
func (l *ledger) add(r *run) error {
	if len(r.index) == 0 {
		return nil
	}
	var err error
	for n := len(l.runs); err == nil && n > 1 && l.runs[n-2].size <= 2*l.runs[n-1].size; n = len(l.runs) {
		err = l.merge(n-2, nil)
	}
	l.runs = append(l.runs, r)
	return err
}

// compact makes one run of all, where there are several, with only the records of which
// which says so.
func (l *ledger) compact(which func(payload []byte) bool) error { return l.merge(0, which) }

// merge makes one run of those from the i-th on.
func (l *ledger) merge(i int, which func(payload []byte) bool) error {
	if len(l.runs)-i < 2 {
		return nil
	}
	newer := ledger{l.store, l.runs[i:]}
	w := newRunWriter(l.store)
	if err := newer.each(which, w.add); err != nil {
		w.abort()
		return err
	}
	merged, err := w.finish()
	if err != nil {
		merged.close()
		return err
	}
	newer.close()
	l.runs = append(l.runs[:i], merged)
	return nil
}

// each calls f with every path, in order, and the newest payload of it, if which says so
// of that; nil: of all. Neither may keep the payload.
func (l *ledger) each(which func(payload []byte) bool, f func(path string, payload []byte) error) error {
	if which == nil {
		which = func([]byte) bool { return true }
	}
	if len(l.runs) == 1 {
		return l.runs[0].each(which, f)
	}
	view, err := l.view("")
	if err != nil {
		return err
	}
	for {
		c, until, err := view.least()
		if err != nil || c == nil {
			return err
		}
		for c.ok && c.compare(until) < 0 {
			if which(c.payload) {
				if err := f(string(c.path), c.payload); err != nil {
					return err
				}
			}
			if err := c.advance(); err != nil {
				return err
			}
		}
	}
}

func (l *ledger) close() {
	for _, r := range l.runs {
		r.close()
	}
	l.runs = nil
}

// ledgerView looks paths up in ascending order. Any number of views may be used at
// once while the ledger is not changed.
type ledgerView struct{ cursors []*runCursor }

func (l *ledger) view(from string) (*ledgerView, error) {
	v := &ledgerView{}
	for _, r := range l.runs {
		c, err := newCursor(r, from)
		if err != nil {
			return nil, err
		}
		v.cursors = append(v.cursors, c)
	}
	return v, nil
}

// find returns what is known of a path, valid until the next call. Paths must not
// descend.
func (v *ledgerView) find(path string) (payload []byte, ok bool, err error) {
	for _, c := range v.cursors {
		if err := c.seek(path); err != nil {
			return nil, false, err
		}
		if c.ok && string(c.path) == path {
			payload, ok = c.payload, true
		}
	}
	return payload, ok, nil
}

// decided is find, but what an inspection left to be extracted is not known.
func (v *ledgerView) decided(path string) (payload []byte, ok bool, err error) {
	payload, ok, err = v.find(path)
	return payload, ok && state(payload[0]) != pending, err
}

// least is the cursor with the smallest path, of which it has the newest knowledge, and
// the one with the next path; cursors with older knowledge of the smallest path have
// gone on. Nil if there is none.
func (v *ledgerView) least() (least, next *runCursor, err error) {
	for _, c := range v.cursors {
		switch order := c.compare(least); {
		case !c.ok:
		case order < 0:
			least, next = c, smaller(next, least)
		case order > 0:
			next = smaller(next, c)
		default: // runs are the newer the later they come
			older := least
			least = c
			if err := older.advance(); err != nil {
				return nil, nil, err
			}
			next = smaller(next, older)
		}
	}
	return least, next, nil
}

// smaller is the cursor with the smaller path.
func smaller(a, b *runCursor) *runCursor {
	if a == nil || b != nil && b.compare(a) < 0 {
		a = b
	}
	if a == nil || !a.ok {
		return nil
	}
	return a
}

// backwards calls f with the records of a ledger of at most one run of which which says
// so, last first.
func (l *ledger) backwards(which func(payload []byte) bool, f func(path string, payload []byte) error) error {
	if len(l.runs) == 0 {
		return nil
	}
	if len(l.runs) > 1 {
		return errors.New("extract: ledger was not compacted")
	}
	r := l.runs[0]
	type record struct {
		path    string
		payload []byte
	}
	c := &runCursor{run: r}
	var records []record
	for i := len(r.index) - 1; i >= 0; i-- {
		records = records[:0]
		c.next, c.buf, c.path = i, nil, nil
		for {
			if err := c.advance(); err != nil {
				return err
			}
			if which(c.payload) {
				records = append(records, record{string(c.path), c.payload})
			}
			if len(c.buf) == 0 {
				break
			}
		}
		for k := len(records) - 1; k >= 0; k-- {
			if err := f(records[k].path, records[k].payload); err != nil {
				return err
			}
		}
	}
	return nil
}

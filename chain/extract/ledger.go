package extract

import (
	"errors"

	"hindsight/chain/difftar"
)

// ledger is what is known of every path that was sighted in the sets read so far:
// a list of runs, the newest knowledge last. A run is merged into the one before it
// unless that is more than twice as large, so that there are few however many sets
// there were, and a record is copied few times.
type ledger struct {
	store *blockStore
	runs  []*run
}

// add takes over a run that supersedes what was known of its paths.
func (l *ledger) add(r *run) error {
	if len(r.index) == 0 {
		return nil
	}
	l.runs = append(l.runs, r)
	for n := len(l.runs); n > 1 && l.runs[n-2].size <= 2*l.runs[n-1].size; n = len(l.runs) {
		if err := l.merge(n - 2); err != nil {
			return err
		}
	}
	return nil
}

// compact merges all runs into one.
func (l *ledger) compact() error { return l.merge(0) }

// merge makes one run of those from the i-th on.
func (l *ledger) merge(i int) error {
	if len(l.runs)-i < 2 {
		return nil
	}
	newer := ledger{l.store, l.runs[i:]}
	w := newRunWriter(l.store)
	if err := newer.each(nil, w.add); err != nil {
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
		path, ok := view.first()
		if !ok {
			return nil
		}
		payload, _, err := view.find(path)
		if err != nil {
			return err
		}
		if which(payload) {
			if err := f(path, payload); err != nil {
				return err
			}
		}
		if err := view.skip(path); err != nil {
			return err
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

// first is the smallest path at which a cursor stands.
func (v *ledgerView) first() (string, bool) {
	var least []byte
	found := false
	for _, c := range v.cursors {
		if c.ok && (!found || difftar.Compare(c.path, least) < 0) {
			least, found = c.path, true
		}
	}
	return string(least), found
}

// skip moves on every cursor that stands at path.
func (v *ledgerView) skip(path string) error {
	for _, c := range v.cursors {
		if c.ok && string(c.path) == path {
			if err := c.advance(); err != nil {
				return err
			}
		}
	}
	return nil
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

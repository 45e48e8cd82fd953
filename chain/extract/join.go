package extract

import (
	"fmt"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
)

// join begins a path whose file spans volumes. Whoever comes first decides about
// it, for all.
func (w *volumeReader) join(st *straddle, en *difftar.Entry, payload []byte, known bool) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.looked {
		st.looked, st.kind = true, en.Kind
		if err := w.decide(st, en, payload, known); err != nil {
			return err
		}
	}
	if st.file == nil || st.failed != nil {
		return nil
	}
	w.start(en, st.file)
	w.cur.straddle = st
	w.cur.first, w.cur.next = en.Part, en.Part
	if en.Kind != st.kind {
		w.cur.err = fmt.Errorf("%w: its parts are of different kinds", difftar.ErrFormat)
		return nil
	}
	if en.Kind != difftar.Diff {
		return nil
	}
	if st.delta == nil {
		st.delta = newDelta(st.file.demands)
	}
	w.cur.delta = st.delta
	st.mu.Unlock()
	err := st.wait(w.number)
	st.mu.Lock()
	w.cur.err = err
	return nil
}

// decide does for a file that spans volumes what begin does for others.
func (w *volumeReader) decide(st *straddle, en *difftar.Entry, payload []byte, known bool) error {
	if known {
		f, err := w.openFile(en.Path, payload)
		st.file = f
		return err
	}
	if w.wants(en.Path, &en.Meta) == Skip {
		st.result = &record{state: done}
		return nil
	}
	var k *knownPath
	if w.plan.known != nil {
		var err error
		if k, err = w.look(en); err != nil {
			st.result = &record{state: done}
			return w.forgive(en.Path, 0, err)
		}
	}
	if err := w.enrich(en); err != nil {
		return err
	}
	f := w.newFile(en, k)
	if err := w.Sink.Create(f.handle, f.path); err != nil {
		st.result = &record{state: done}
		return w.forgive(f.path, 0, err)
	}
	st.file = f
	return nil
}

// leave ends a volume's share of a file that spans volumes. atEnd says that nothing
// follows it in the volume.
func (w *volumeReader) leave(c *current, atEnd bool) {
	st := c.straddle
	if c.err != nil {
		st.fail(c.err)
	}
	st.mu.Lock()
	st.shares[w.number] = share{first: c.first, last: c.next - 1, full: atEnd && c.lastSize == difftar.PartSize}
	if c.snapshot != nil {
		st.served += c.snapshot.Served()
		st.size = max(st.size, c.pos)
	}
	st.mu.Unlock()
	st.pass(w.number)
}

// endStraddles ends a volume's share in the files that span into and out of it.
func (e *engine) endStraddles(p *setPlan, volume int) error {
	v := &p.volumes[volume]
	if v.in != nil {
		if err := e.endStraddle(v.in, volume); err != nil {
			return err
		}
	}
	if v.out != nil && v.out != v.in {
		return e.endStraddle(v.out, volume)
	}
	return nil
}

// endStraddle ends a volume's share in a file that spans volumes. The last one
// finishes the file.
func (e *engine) endStraddle(st *straddle, volume int) error {
	last, failed := st.end(volume)
	if !last {
		return nil
	}
	if failed != nil && !st.looked {
		return e.loseUnseen(st, failed)
	}
	f := st.file
	if f == nil {
		return nil
	}
	if failed == nil {
		failed = st.whole()
	}
	var v version = parts{st}
	if st.delta != nil {
		v = st.delta.resolver
		if failed == nil {
			failed = st.delta.ops.Close()
		}
	}
	st.result = &record{state: done}
	if failed != nil {
		e.lose(f.path, f.handle, failed)
		return nil
	}
	rec, err := e.settle(f, v)
	if err != nil {
		return e.forgive(f.path, f.handle, err)
	}
	st.result = rec
	if rec.state != done {
		return nil
	}
	if err := e.make(f.path, rec); err != nil {
		return err
	}
	st.committed = true // from now on it is not ours to drop
	return nil
}

// loseUnseen gives up a file that spans volumes none of which could be read. That
// they end and begin at its path says enough: a version of it is lost.
func (e *engine) loseUnseen(st *straddle, reason error) error {
	view, err := e.ledger.view(st.path)
	if err != nil {
		return err
	}
	payload, known, err := view.decided(st.path)
	if err != nil || known && state(payload[0]) != open || !e.Filter.Touches(st.path, st.path) {
		return err
	}
	st.result = &record{state: done}
	if known {
		f, err := e.openFile(st.path, payload)
		if err == nil {
			e.lose(f.path, f.handle, reason)
		}
		return err
	}
	if e.wants(st.path, &difftar.Meta{Type: difftar.Regular}) != Skip {
		e.lose(st.path, 0, reason)
	}
	return nil
}

// parts is a snapshot whose parts were read from several volumes.
type parts struct{ st *straddle }

func (p parts) Served() int64        { return p.st.served }
func (p parts) End() int64           { return p.st.size }
func (parts) Older() []extent.Demand { return nil }

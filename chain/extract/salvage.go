package extract

import (
	"context"
	"fmt"
	"io"

	"hindsight/chain"
	"hindsight/chain/difftar"
)

// salvage stands in for a volume that is missing or wrong. The set's signatures name
// what it held: what needs no content is made from them, files are lost.
func (e *engine) salvage(ctx context.Context, p *setPlan, number int, damage error) (*run, error) {
	v := &p.volumes[number]
	p.lose(v.Number)
	e.Log.Warn("volume is lost", "set", p.set.SetID.String(), "volume", v.Number, "error", damage)
	for _, st := range []*straddle{v.in, v.out} {
		if st != nil {
			st.fail(damage)
		}
	}
	if err := e.endStraddles(p, number); err != nil {
		return nil, err
	}
	r, err := e.salvageRange(ctx, p, damage, v.Start.Path, v.holds)
	if err == nil {
		e.Progress.Volumes.Add(1)
	}
	return r, err
}

// lose notes that a volume is lost.
func (p *setPlan) lose(number int) {
	p.lost.Store(true)
	p.lostMu.Lock()
	defer p.lostMu.Unlock()
	if p.lostVolumes == nil {
		p.lostVolumes = make(map[int]bool)
	}
	p.lostVolumes[number] = true
}

// salvageSet stands in for a set whose manifest cannot be read.
func (e *engine) salvageSet(ctx context.Context, p *setPlan) error {
	e.Log.Warn("set is lost", "set", p.set.SetID.String(), "error", p.damage)
	r, err := e.salvageRange(ctx, p, p.damage, "", func(string) bool { return true })
	if err != nil {
		return err
	}
	return e.ledger.add(r)
}

// salvageRange decides about all paths in a span that begins at from.
func (e *engine) salvageRange(ctx context.Context, p *setPlan, damage error, from string, span func(string) bool) (*run, error) {
	out := newRunWriter(&e.blocks)
	err := e.proveSignatures(ctx, p)
	switch {
	case err == nil:
		err = e.salvageSigned(ctx, p.set, damage, from, span, out)
	case ctx.Err() == nil:
		e.lose("", 0, fmt.Errorf("%w; its signatures cannot tell which paths it held (%w): some may be missing, or as they were in an earlier backup", damage, err))
		err = e.loseOpen(damage, span, out)
	}
	if err != nil {
		out.abort()
		return nil, err
	}
	return out.finish()
}

// salvageSigned goes by the set's signatures.
func (e *engine) salvageSigned(ctx context.Context, s *chain.Set, damage error, from string, span func(string) bool, out *runWriter) error {
	sr, err := e.Repository.Signatures(ctx, s)
	if err != nil {
		return err
	}
	defer sr.Close()
	view, err := e.ledger.view(from)
	if err != nil {
		return err
	}
	var buf []byte
	for {
		en, err := sr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !span(en.Path) || !e.Filter.Touches(en.Path, en.Path) {
			continue
		}
		rec, err := e.salvagePath(en, view, damage)
		if err != nil {
			return err
		}
		if rec == nil {
			continue
		}
		buf = rec.append(buf[:0])
		if err := out.add(en.Path, buf); err != nil {
			return err
		}
	}
}

// proveSignatures reads a set's signatures to their end, once, so that nothing is
// done by the first half of a damaged archive.
func (e *engine) proveSignatures(ctx context.Context, p *setPlan) error {
	sig := &p.signatures
	sig.mu.Lock()
	defer sig.mu.Unlock()
	if !sig.proved {
		sig.err = e.readSignatures(ctx, p.set)
		sig.proved = ctx.Err() == nil
	}
	return sig.err
}

func (e *engine) readSignatures(ctx context.Context, s *chain.Set) error {
	sr, err := e.Repository.Signatures(ctx, s)
	if err != nil {
		return err
	}
	defer sr.Close()
	last, begun := "", false
	for {
		en, err := sr.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case begun && difftar.Compare(en.Path, last) <= 0:
			return fmt.Errorf("%w: %q comes after %q", difftar.ErrFormat, en.Path, last)
		}
		last, begun = en.Path, true
	}
}

// salvagePath does for one path of a lost volume what can be done without it.
func (e *engine) salvagePath(en *difftar.Entry, view *ledgerView, damage error) (*record, error) {
	payload, known, err := view.decided(en.Path)
	if err != nil || known && state(payload[0]) != open {
		return nil, err
	}
	if known {
		r, err := decodeRecord(payload)
		if err == nil {
			e.lose(en.Path, r.handle, damage)
		}
		return &record{state: done}, err
	}
	rec := &record{state: done}
	if en.Kind == difftar.Deleted {
		return rec, nil
	}
	switch verdict := e.wants(en.Path, &en.Meta); {
	case verdict == Skip:
	case en.Type == difftar.Regular:
		e.lose(en.Path, 0, damage)
	case en.Type != difftar.Directory:
		rec = &record{state: object, meta: en.Meta}
	case verdict == TakeOpen:
		rec = &record{state: dirOpen, meta: en.Meta}
	default:
		rec = &record{state: dir, meta: en.Meta}
	}
	return rec, e.make(en.Path, rec)
}

// loseOpen gives up every file in a span that waits for an older version: without
// signatures nobody knows whether the lost volume held that.
func (e *engine) loseOpen(damage error, span func(string) bool, out *runWriter) error {
	closed := (&record{state: done}).append(nil)
	return e.ledger.each(isOpen, func(path string, payload []byte) error {
		if !span(path) {
			return nil
		}
		r, err := decodeRecord(payload)
		if err != nil {
			return err
		}
		e.lose(path, r.handle, damage)
		return out.add(path, closed)
	})
}

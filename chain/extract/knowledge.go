package extract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/librsync"
	"hindsight/chain/toc"
)

// openTOC goes by a set's portable index.
func openTOC(ctx context.Context, in *inspector) (knowledge, error) {
	if in.plan.set.TOC == nil || in.keeper == nil && in.plan.set.TOC.Size >= in.storedSince(in.plan) {
		return nil, errUnknown
	}
	t, err := in.Repository.TOC(ctx, in.plan.set, in.plan.manifest)
	if err != nil {
		return nil, err
	}
	sp := in.newSparsePlan(in.plan)
	for {
		v, err := t.NextVolume()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		if sp != nil && !sp.volume(v, maxTables-in.tables) {
			sp = nil
		}
	}
	if !in.IgnoreErrors { // which tells volume by volume what is lost
		in.sparse = sp
	}
	return &tocSource{in: in, toc: t}, nil
}

// storedSince is the size, in bytes, of the volumes to be read of a set and of all older
// ones: what may be saved by knowing what is in it, as without that nothing of older ones
// is known either.
func (e *engine) storedSince(p *setPlan) (n int64) {
	for _, older := range e.plans {
		n += older.stored()
		if older == p {
			break
		}
	}
	return n
}

type tocSource struct {
	in  *inspector
	toc *chain.TOCReader
}

func (s *tocSource) close() error { return s.toc.Close() }

func (s *tocSource) next(it *inspected) error {
	en, err := s.toc.NextEntry()
	if err != nil {
		return err
	}
	*it = inspected{path: en.Path, kind: en.Kind, stream: it.stream[:0]}
	if en.Kind == difftar.Deleted {
		return nil
	}
	it.record.meta = en.Meta
	it.known = Known{Size: en.Size, HasHash: en.HasHash, Hash: en.Hash}
	if x, worth := s.in.worth(en); worth {
		it.record.meta.MTime, it.record.meta.Nanos = x.sec, x.nsec
		if len(x.xattrs) > 0 || x.link != (toc.Link{}) {
			it.extra = x.clone()
		}
	}
	if it.placed = en.Type == difftar.Regular; it.placed {
		it.stream = append(it.stream, en.Stream...) // valid until the next entry
	}
	return nil
}

// clone is a copy that stays valid when the entry of the index does not.
func (x *extra) clone() *extra {
	c := *x
	for i := range c.xattrs {
		c.xattrs[i].Value = bytes.Clone(c.xattrs[i].Value)
	}
	return &c
}

// openSignatures goes by a set's signatures, in place only: else they cost more than
// they may save.
func openSignatures(ctx context.Context, in *inspector) (knowledge, error) {
	if in.keeper == nil {
		return nil, errUnknown
	}
	sr, err := in.Repository.Signatures(ctx, in.plan.set)
	if err != nil {
		return nil, err
	}
	return &signatureSource{in, sr}, nil
}

type signatureSource struct {
	in *inspector
	sr *chain.SignatureReader
}

func (s *signatureSource) close() error { return s.sr.Close() }

func (s *signatureSource) next(it *inspected) error {
	en, err := s.sr.Next()
	if err != nil {
		return err
	}
	*it = inspected{path: en.Path, kind: en.Kind, stream: it.stream[:0]}
	if en.Kind == difftar.Deleted {
		return nil
	}
	it.record.meta = en.Meta
	if en.Type != difftar.Regular {
		return nil
	}
	f, err := librsync.ReadFingerprint(s.sr)
	if err != nil {
		return &chain.CorruptError{Object: s.in.plan.set.Signatures.Key, Err: fmt.Errorf("%q: %w", en.Path, err)}
	}
	it.known = Known{Size: -1, HasBlocks: true, Blocks: f}
	return nil
}

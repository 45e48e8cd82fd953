package extract

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/librsync"
)

// known is what a set says of its paths besides what its volumes say: a run whose
// payloads are a kind, metadata, and of a file the fingerprint of its signature.
type known struct {
	run   *run
	paths int64
}

// knownPath is what is known of one path.
type knownPath struct {
	kind        difftar.Kind
	meta        difftar.Meta
	fingerprint librsync.Fingerprint // of a regular file
}

var (
	errNoSignature   = errors.New("the signatures of its set do not know it")
	errContradiction = errors.New("its signature says something else of it than its volume")
)

// readKnown reads a set's signatures, as they lie on the store.
func (e *engine) readKnown(ctx context.Context, s *chain.Set) (k *known, err error) {
	repo := *e.Repository
	repo.Store, repo.Archive = metered{repo.Store, &e.Progress.StoredBytes}, nil
	sr, err := repo.Signatures(ctx, s)
	if err != nil {
		return nil, err
	}
	defer sr.Close()
	out := newRunWriter(&e.blocks)
	defer func() {
		if err != nil {
			out.abort()
		}
	}()
	k = &known{}
	var buf []byte
	for {
		en, err := sr.Next()
		if err == io.EOF {
			k.run, err = out.finish()
			return k, err
		}
		if err != nil {
			return nil, err
		}
		buf = appendMeta(append(buf[:0], byte(en.Kind)), &en.Meta)
		if en.Type == difftar.Regular && en.Kind != difftar.Deleted {
			f, err := librsync.ReadFingerprint(sr)
			if err != nil {
				return nil, &chain.CorruptError{Object: s.Signatures.Key, Err: fmt.Errorf("%q: %w", en.Path, err)}
			}
			buf = f.Append(buf)
		}
		if err := out.add(en.Path, buf); err != nil {
			return nil, err
		}
		k.paths++
	}
}

func (k *known) close() {
	if k != nil {
		k.run.close()
	}
}

// decodeKnown decodes a payload of a known run.
func decodeKnown(b []byte) (knownPath, error) {
	d := decoder{b: b}
	p := knownPath{kind: difftar.Kind(d.byte())}
	p.meta = d.meta()
	if d.err != nil {
		return p, d.err
	}
	if p.meta.Type != difftar.Regular || p.kind == difftar.Deleted {
		return p, nil
	}
	var err error
	p.fingerprint, err = librsync.DecodeFingerprint(d.b)
	return p, err
}

// look finds what is known of an entry that is sighted, and what contradicts it.
func (w *volumeReader) look(en *difftar.Entry) (*knownPath, error) {
	if w.known == nil {
		c, err := newCursor(w.plan.known.run, en.Path)
		if err != nil {
			return nil, err
		}
		w.known = c
	}
	if err := w.known.seek(en.Path); err != nil {
		return nil, err
	}
	if !w.known.ok || string(w.known.path) != en.Path {
		return nil, &PathError{en.Path, errNoSignature}
	}
	p, err := decodeKnown(w.known.payload)
	if err != nil {
		return nil, err
	}
	if (p.kind == difftar.Deleted) != (en.Kind == difftar.Deleted) || p.kind != difftar.Deleted && !sameMeta(&p.meta, &en.Meta) {
		return nil, &PathError{en.Path, errContradiction}
	}
	return &p, nil
}

// sameMeta reports whether two entries say the same of a path.
func sameMeta(a, b *difftar.Meta) bool {
	return a.Type == b.Type && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.Linkname == b.Linkname && a.Major == b.Major && a.Minor == b.Minor
}

// learn reads what a set's signatures say, or tells that they are damaged.
func (e *engine) learn(ctx context.Context, p *setPlan) error {
	var err error
	p.known, err = e.readKnown(ctx, p.set)
	corrupt := (*chain.CorruptError)(nil)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &corrupt), errors.Is(err, chain.ErrNoSignatures), errors.Is(err, difftar.ErrFormat):
		e.lose("", 0, fmt.Errorf("%w; restores do without it, backups and checks of contents do not", err))
	default:
		return err
	}
	return e.checkTOC(ctx, p)
}

// checkTOC reads a set's portable index, if it has one.
func (e *engine) checkTOC(ctx context.Context, p *setPlan) error {
	if p.set.TOC == nil {
		return nil
	}
	err := e.readTOC(ctx, p.set)
	corrupt := (*chain.CorruptError)(nil)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &corrupt), errors.Is(err, chain.ErrForeignTOC):
		e.lose("", 0, fmt.Errorf("%w; restores do without it", err))
		return nil
	}
	return err
}

func (e *engine) readTOC(ctx context.Context, s *chain.Set) (err error) {
	repo := *e.Repository
	repo.Store, repo.Archive = metered{repo.Store, &e.Progress.StoredBytes}, nil
	m, err := repo.Manifest(ctx, s)
	if err != nil {
		return err
	}
	t, err := repo.TOC(ctx, s, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	for {
		switch _, err := t.NextEntry(); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// checkRange compares the paths at which a volume begins and ends with those that the
// manifest says, by which restores choose what to read.
func (w *volumeReader) checkRange() {
	v := &w.plan.volumes[w.number]
	if !w.Check || v.sparse != nil || w.view == nil || w.first == v.Start.Path && w.last == v.End.Path {
		return
	}
	key := w.plan.set.Manifest.Key
	err := fmt.Errorf("it says that volume %d holds %q to %q, but that has %q to %q", v.Number, v.Start.Path, v.End.Path, w.first, w.last)
	w.lose("", 0, &chain.CorruptError{Object: key, Err: err})
}

// checkPaths compares, when all volumes of a set were read, the number of paths in
// them with that in the signatures.
func (e *engine) checkPaths(p *setPlan) {
	if _, all := e.Filter.(Everything); p.known == nil || !all || e.InPlace || p.lost.Load() || p.paths.Load() == p.known.paths {
		return
	}
	e.lose("", 0, fmt.Errorf("%v: its signatures know %d paths, its volumes hold %d", p.set.SetID, p.known.paths, p.paths.Load()))
}

package index

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/toc"
)

// sources lists from what a set may be taken in, the best first.
func sources(repo *chain.Repository, s *chain.Set) []Source {
	var list []Source
	if s.TOC != nil || repo.Archive != nil {
		list = append(list, FromTOC)
	}
	if s.Signatures != nil {
		list = append(list, FromSignatures)
	}
	return append(list, FromVolumes)
}

// read reads one of a set's sources and takes it in. What the source said is true only
// if there is no error.
func (in *ingest) read(ctx context.Context, repo *chain.Repository, s *chain.Set, from Source) error {
	switch from {
	case FromTOC:
		return in.readTOC(ctx, repo, s)
	case FromSignatures:
		return in.readSignatures(ctx, repo, s)
	case FromVolumes:
		return in.readVolumes(ctx, repo, s)
	}
	return fmt.Errorf("index: no source %q", from)
}

// damaged reports whether an error is about what is stored: it will be the same
// tomorrow.
func damaged(err error) bool {
	var corrupt *chain.CorruptError
	var twice *chain.DuplicateError
	for _, e := range []error{difftar.ErrFormat, toc.ErrFormat, toc.ErrVersion, io.ErrUnexpectedEOF, chain.ErrHash,
		chain.ErrMissingVolume, chain.ErrNoSignatures, chain.ErrNoTOC, chain.ErrForeignTOC} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, &corrupt) || errors.As(err, &twice)
}

// readTOC takes in a portable index, which tells all.
func (in *ingest) readTOC(ctx context.Context, repo *chain.Repository, s *chain.Set) error {
	m, err := repo.LocalManifest(ctx, s.SetID) // where it was made nobody need be able to read the other
	if err != nil {
		m, err = repo.Manifest(ctx, s)
	}
	if err != nil {
		return err
	}
	r, err := repo.TOC(ctx, s, m)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		v, err := r.NextVolume()
		if err == io.EOF {
			break
		}
		if err == nil {
			if o, lost := s.Volume(v.Number); lost == nil && o.Size != v.Size {
				err = chain.ErrForeignTOC
			}
		}
		if err == nil {
			err = in.table(ctx, repo, v.Number, v.Table)
		}
		if err != nil {
			return err
		}
	}
	for {
		e, err := r.NextEntry()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = in.add(e)
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// readSignatures takes in a sigtar. It tells no sizes, and not whether a file is stored
// whole (duplicity-format.md §4.1).
func (in *ingest) readSignatures(ctx context.Context, repo *chain.Repository, s *chain.Set) error {
	r, err := repo.Signatures(ctx, s)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		t := toc.Entry{Path: e.Path, Kind: e.Kind, Meta: e.Meta, Sec: e.MTime}
		if e.Kind == difftar.Signature {
			t.Kind, t.Size, t.SigOffset, t.SigLen = difftar.Snapshot, -1, e.Offset, e.Size
		}
		if err := in.add(&t); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}

// readVolumes takes in all volumes, for a set that has nothing better.
func (in *ingest) readVolumes(ctx context.Context, repo *chain.Repository, s *chain.Set) error {
	m, err := repo.Manifest(ctx, s)
	if err != nil {
		return err
	}
	g := &gather{}
	add := func(p *piece) error {
		if !p.Begun || !p.Ended {
			return fmt.Errorf("%w: %.200q is not all there", difftar.ErrFormat, p.Path)
		}
		return in.add(&p.Entry)
	}
	for _, v := range m.Volumes {
		if err := in.readVolume(ctx, repo, s, v, g, add); err != nil {
			return err
		}
	}
	return g.flush(add)
}

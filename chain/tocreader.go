package chain

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hindsight/chain/manifest"
	"hindsight/chain/store"
	"hindsight/chain/toc"
)

var (
	// ErrNoTOC says that a set has no portable index.
	ErrNoTOC = errors.New("no portable index")
	// ErrForeignTOC says that a portable index is not that of the set beside which it
	// lies: its manifest names other volumes. It must be ignored.
	ErrForeignTOC = errors.New("the portable index is of another set than the manifest")
)

// TOCReader reads the portable index of a set, and sees to it that it is that: its
// volumes must be those of the manifest. NextVolume comes first, until io.EOF, then
// NextEntry. It is for one goroutine.
type TOCReader struct {
	toc   *toc.Reader
	plain *plainReader
	left  []manifest.Volume // that the index must still name
	local func(error) error // has the last word on damage to a local copy; or nil
}

// TOC opens the portable index of a set whose manifest is m. It comes from the archive
// if there is a copy, else from the store. Errors: ErrNoTOC, ErrForeignTOC, a
// *CorruptError, those of the store and the keys. After all but a store's the set can
// be read without.
func (r *Repository) TOC(ctx context.Context, s *Set, m *manifest.Manifest) (*TOCReader, error) {
	plain, local, err := r.openTOC(ctx, s)
	if err != nil {
		return nil, err
	}
	t := &TOCReader{plain: plain, left: m.Volumes}
	if local {
		t.local = func(err error) error { return r.dropArchived(ctx, archivedTOC(s.SetID), err) }
	}
	if t.toc, err = toc.NewReader(t.plain); err == nil && t.toc.Header() != tocHeader(s.SetID) {
		err = ErrForeignTOC
	}
	if err != nil {
		err = t.fail(err)
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// openTOC opens the archive's copy, or the stored object.
func (r *Repository) openTOC(ctx context.Context, s *Set) (p *plainReader, local bool, err error) {
	if r.Archive != nil {
		p, err := r.openArchived(ctx, archivedTOC(s.SetID), access{ahead: volumeAhead})
		if err == nil || !errors.Is(err, store.ErrNotExist) {
			return p, true, localError(err)
		}
	}
	switch {
	case s.TOC == nil:
		return nil, false, fmt.Errorf("%v: %w", s.SetID, ErrNoTOC)
	case len(s.Duplicates) > 0:
		if err := s.duplicate(s.TOC.Kind, 0); err != nil {
			return nil, false, err
		}
	}
	p, err = r.open(ctx, *s.TOC, access{ahead: volumeAhead})
	return p, false, err
}

// NextVolume returns the next volume, which may be kept, or io.EOF behind the last. A
// volume that the manifest does not name so is ErrForeignTOC.
func (t *TOCReader) NextVolume() (*toc.Volume, error) {
	v, err := t.toc.NextVolume()
	if err == io.EOF {
		if len(t.left) > 0 {
			return nil, t.fail(ErrForeignTOC)
		}
		return nil, io.EOF
	}
	if err != nil {
		return nil, t.fail(err)
	}
	if len(t.left) == 0 || !names(t.left[0], v) {
		return nil, t.fail(ErrForeignTOC)
	}
	t.left = t.left[1:]
	return v, nil
}

// names reports whether a manifest's volume is one of an index.
func names(m manifest.Volume, v *toc.Volume) bool {
	return m.Number == v.Number && slices.ContainsFunc(m.Hashes, func(h manifest.Hash) bool {
		return strings.EqualFold(h.Algorithm, "SHA1") && strings.EqualFold(h.Hex, hex.EncodeToString(v.SHA1[:]))
	})
}

// Signatures is what the index says of the set's signatures, nil if nothing.
func (t *TOCReader) Signatures() (*toc.Object, error) {
	if err := t.skipVolumes(); err != nil {
		return nil, err
	}
	o, err := t.toc.Signatures()
	if err != nil {
		return nil, t.fail(err)
	}
	return o, nil
}

// NextEntry returns the next entry, valid until the call after but for its strings.
// io.EOF says that the index is whole and that of the set; nothing may be built on it
// before.
func (t *TOCReader) NextEntry() (*toc.Entry, error) {
	if err := t.skipVolumes(); err != nil {
		return nil, err
	}
	e, err := t.toc.NextEntry()
	if err == nil {
		return e, nil
	}
	if err == io.EOF {
		if err = t.plain.finish(); err == nil {
			return nil, io.EOF
		}
	}
	return nil, t.fail(err)
}

// skipVolumes passes over the volumes that nobody asked for.
func (t *TOCReader) skipVolumes() error {
	for {
		if _, err := t.NextVolume(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// fail says what an error of the index is.
func (t *TOCReader) fail(err error) error {
	err = t.plain.explain(err)
	if t.local != nil {
		return t.local(err)
	}
	return err
}

// Close gives back what the reader holds.
func (t *TOCReader) Close() error { return t.plain.Close() }

package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
)

// Stat is Snapshot.Stat with the size of a file made known: of one that is stored whole
// the volume with its end is scanned, of a difference all that hold it. Errors are
// those of Snapshot.Stat and, where something must be read, of Repository.Manifest and
// VolumeReader.
func (sc *Scanner) Stat(ctx context.Context, s *Snapshot, id ID) (Entry, error) {
	e, err := s.Stat(id)
	if err != nil || e.Type != difftar.Regular || e.Size >= 0 {
		return e, err
	}
	path, err := s.Path(id)
	if err != nil {
		return Entry{}, err
	}
	if e.Size, err = sc.size(ctx, e.Changed, path); err != nil {
		return Entry{}, err
	}
	again, err := s.Stat(id) // there may be a hash now
	if err == nil && again.Size < 0 {
		again.Size = e.Size
	}
	return again, err
}

// size is that of a file in a set that stored it.
func (sc *Scanner) size(ctx context.Context, number uint32, path string) (int64, error) {
	set, err := sc.set(ctx, number)
	if err != nil {
		return 0, err
	}
	volumes := set.holding(path)
	if len(volumes) == 0 {
		return 0, fmt.Errorf("%q: %w", path, errNoVolume)
	}
	if err := sc.scan(ctx, number, volumes[len(volumes)-1]); err != nil {
		return 0, err
	}
	pieces := sc.index.scans.pieces(number, path)
	if n := len(pieces); n > 0 && pieces[n-1].Size >= 0 {
		return pieces[n-1].Size, nil
	}
	content, err := sc.stored(ctx, number, path)
	if err != nil {
		return 0, err
	}
	return content.size()
}

// errNoVolume says that a set's signatures have a file that its volumes have not.
var errNoVolume = errors.New("no volume of the set has the file")

// storedContent is what a set has of a file: its content, or a difference.
type storedContent struct {
	kind   difftar.Kind
	stream []extent.Extent // with the set's number
	ops    []librsync.Op
}

func (c *storedContent) size() (int64, error) {
	if c.kind == difftar.Snapshot {
		return extent.Size(c.stream), nil
	}
	var n int64
	for _, op := range c.ops {
		n += op.Len
	}
	return n, nil
}

// stored puts together what the volumes of a set have of a file, which are scanned for it.
func (sc *Scanner) stored(ctx context.Context, number uint32, path string) (*storedContent, error) {
	set, err := sc.set(ctx, number)
	if err != nil {
		return nil, err
	}
	for _, v := range set.holding(path) {
		if err := sc.scan(ctx, number, v); err != nil {
			return nil, err
		}
	}
	pieces := sc.index.scans.pieces(number, path)
	c := &storedContent{}
	for _, p := range pieces {
		if c.kind != 0 && p.Kind != c.kind {
			return nil, fmt.Errorf("%w: %q is of two kinds", difftar.ErrFormat, path)
		}
		c.kind = p.Kind
		for _, e := range p.Stream {
			if e.Off != extent.Size(c.stream) {
				return nil, fmt.Errorf("%w: byte %d of %q is missing", difftar.ErrFormat, extent.Size(c.stream), path)
			}
			e.Set = number
			c.stream = extent.Append(c.stream, e)
		}
	}
	switch {
	case len(pieces) == 0 || c.kind == difftar.Deleted:
		return nil, fmt.Errorf("%q: %w", path, errNoVolume)
	case c.kind == difftar.Snapshot && pieces[len(pieces)-1].Size < 0:
		return nil, fmt.Errorf("%w: the end of %q is missing", difftar.ErrFormat, path)
	case c.kind != difftar.Diff:
	case len(pieces) == 1 && !pieces[0].OpsUnknown:
		c.ops = pieces[0].Ops
	default:
		c.ops, err = sc.decode(ctx, c.stream)
	}
	return c, err
}

// decode reads a difference that no single volume holds, by range.
func (sc *Scanner) decode(ctx context.Context, stream []extent.Extent) ([]librsync.Op, error) {
	var ops []librsync.Op
	var dec librsync.OpDecoder
	emit := func(op librsync.Op, _ []byte) error {
		if ops = extent.AppendOp(ops, op); len(ops) > maxHeldOps {
			return extent.ErrTooManyExtents
		}
		return nil
	}
	buf := make([]byte, 1<<20)
	for _, e := range stream {
		r, err := sc.Ranges(ctx, e.Set, e.Volume)
		if err != nil {
			return nil, err
		}
		for piece := range e.Pieces() {
			for left := piece.Len; left > 0; {
				p := buf[:min(left, int64(len(buf)))]
				if _, err := r.ReadAt(ctx, p, piece.Tar+piece.Len-left); err != nil {
					return nil, err
				}
				if err := dec.Decode(p, emit); err != nil {
					return nil, err
				}
				left -= int64(len(p))
			}
		}
	}
	return ops, dec.Close()
}

// Extents is Snapshot.Extents with the extents made known: all volumes that hold
// something of the file or what it is based on are scanned.
func (sc *Scanner) Extents(ctx context.Context, s *Snapshot, id ID) ([]extent.Extent, error) {
	extents, err := s.Extents(id)
	if !errors.Is(err, ErrUnscanned) {
		return extents, err
	}
	path, err := s.Path(id)
	if err != nil {
		return nil, err
	}
	e, err := s.Stat(id)
	if err != nil {
		return nil, err
	}
	key := resolvedKey{e.Changed, id}
	if extents, ok := sc.known.get(key); ok {
		return extents, nil
	}
	if extents, err = sc.compose(ctx, s, path, id); err == nil {
		sc.known.put(key, extents)
	}
	return extents, err
}

// compose goes back to a version whose extents are known, or that is stored whole, and
// then forward again.
func (sc *Scanner) compose(ctx context.Context, s *Snapshot, path string, id ID) ([]extent.Extent, error) {
	history, err := s.history(id)
	if err != nil {
		return nil, err
	}
	var base []extent.Extent
	var diffs []*storedContent
	for _, h := range history {
		if h.known {
			base = h.extents
			break
		}
		c, err := sc.stored(ctx, h.number, path)
		if err != nil {
			return nil, err
		}
		if c.kind == difftar.Snapshot {
			base = c.stream
			break
		}
		diffs = append(diffs, c)
	}
	for i := len(diffs) - 1; i >= 0; i-- {
		if base, err = extent.Compose(base, diffs[i].stream, diffs[i].ops); err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
	}
	return base, nil
}

// past is a version of a file, from the newest back to the one it all hangs on.
type past struct {
	number  uint32
	known   bool
	extents []extent.Extent
}

// history lists the versions of a file that its content may hang on, the newest first:
// until one whose extents are known, or before which there was no file.
func (s *Snapshot) history(id ID) ([]past, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.release()
	parent, name, err := v.where(id)
	if err != nil {
		return nil, err
	}
	it := v.txn.NewKeyIterator(appendDirent(nil, v.chain, parent, name), badger.IteratorOptions{AllVersions: true})
	defer it.Close()
	var out []past
	for it.Rewind(); it.Valid(); it.Next() {
		var was stored
		if err := v.load(it.Item(), &was); err != nil {
			return nil, err
		}
		if was.deleted || was.Type != difftar.Regular {
			break
		}
		p := past{number: was.changed}
		p.extents, err = v.extents(&was)
		if p.known = err == nil; err != nil && !errors.Is(err, ErrUnscanned) {
			return nil, err
		}
		if out = append(out, p); p.known {
			break
		}
	}
	return out, nil
}

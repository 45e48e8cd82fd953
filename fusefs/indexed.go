package fusefs

import (
	"context"
	"iter"

	"hindsight/chain/extent"
	"hindsight/chain/naming"
	"hindsight/index"
)

// Contents finds out sizes and opens files of an index's snapshots.
type Contents interface {
	Stat(ctx context.Context, s *index.Snapshot, id index.ID) (index.Entry, error)
	Open(ctx context.Context, s *index.Snapshot, id index.ID) (File, error)
	Held(extents []extent.Extent, p []byte) bool
}

// indexed is Trees over an index. Snapshots are looked up by number each time, so that
// what it says is always of the generation that the index has.
type indexed struct {
	index    *index.Index
	contents Contents
}

var _ Trees = indexed{}

// Indexed makes Trees of an index and what reads its files, which both must live
// longer than a mount of it.
func Indexed(x *index.Index, c Contents) Trees { return indexed{x, c} }

func snapshot(s *index.Snapshot) Snapshot {
	n := s.Totals
	return Snapshot{Number: s.Number, Time: s.Time, Set: s.Set.String(), Bytes: n.Bytes, Entries: n.Files + n.Dirs + n.Others}
}

func (t indexed) Snapshots() []Snapshot {
	list := t.index.Snapshots()
	out := make([]Snapshot, len(list))
	for i, s := range list {
		out[i] = snapshot(s)
	}
	return out
}

func (t indexed) At(at naming.Time) (Snapshot, bool) {
	s := t.index.At(at)
	if s == nil {
		return Snapshot{}, false
	}
	return snapshot(s), true
}

func (t indexed) Lookup(number uint32, dir index.ID, name string) (index.Entry, error) {
	s, err := t.index.Snapshot(number)
	if err != nil {
		return index.Entry{}, err
	}
	return s.Lookup(dir, name)
}

func (t indexed) Entry(number uint32, id index.ID) (index.Entry, error) {
	s, err := t.index.Snapshot(number)
	if err != nil {
		return index.Entry{}, err
	}
	return s.Stat(id)
}

func (t indexed) Stat(ctx context.Context, number uint32, id index.ID) (index.Entry, error) {
	s, err := t.index.Snapshot(number)
	if err != nil {
		return index.Entry{}, err
	}
	return t.contents.Stat(ctx, s, id)
}

func (t indexed) ReadDir(number uint32, dir, after index.ID) iter.Seq2[index.Entry, error] {
	s, err := t.index.Snapshot(number)
	if err != nil {
		return func(yield func(index.Entry, error) bool) { yield(index.Entry{}, err) }
	}
	return s.ReadDir(dir, after)
}

func (t indexed) Path(number uint32, id index.ID) (string, error) {
	s, err := t.index.Snapshot(number)
	if err != nil {
		return "", err
	}
	return s.Path(id)
}

func (t indexed) Xattrs(number uint32, id index.ID) ([]index.Xattr, error) {
	s, err := t.index.Snapshot(number)
	if err != nil {
		return nil, err
	}
	return s.Xattrs(id)
}

// Volumes lists each volume once, in the order of the bytes.
func (t indexed) Volumes(number uint32, id index.ID) ([]Volume, error) {
	s, err := t.index.Snapshot(number)
	if err != nil {
		return nil, err
	}
	extents, err := s.Extents(id)
	if err != nil {
		return nil, err
	}
	var list []Volume
	seen := make(map[Volume]bool)
	for _, e := range extents {
		set, err := t.index.Snapshot(e.Set)
		if err != nil {
			return nil, err
		}
		if v := (Volume{set.Time, e.Volume}); !seen[v] {
			seen[v] = true
			list = append(list, v)
		}
	}
	return list, nil
}

func (t indexed) Open(ctx context.Context, number uint32, id index.ID) (File, error) {
	s, err := t.index.Snapshot(number)
	if err != nil {
		return nil, err
	}
	return t.contents.Open(ctx, s, id)
}

func (t indexed) ReadHeld(number uint32, dir, after index.ID, room []byte) iter.Seq2[Held, error] {
	return func(yield func(Held, error) bool) {
		s, err := t.index.Snapshot(number)
		if err != nil {
			yield(Held{}, err)
			return
		}
		for l, err := range s.ReadFiles(dir, after, int64(len(room))) {
			h := Held{Entry: l.Entry}
			if len(l.Extents) > 0 && t.contents.Held(l.Extents, room[:l.Size]) {
				h.Content = room[:l.Size]
			}
			if !yield(h, err) {
				return
			}
		}
	}
}

func (t indexed) Versions(path string) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		for v, err := range t.index.Versions(path) {
			if err != nil {
				yield(Version{}, err)
				return
			}
			if !yield(Version{Snapshot: v.Snapshot.Number, Entry: v.Entry}, nil) {
				return
			}
		}
	}
}

func (t indexed) Names(path, after string) iter.Seq2[string, error] {
	return t.index.Names(path, after)
}

package chain

import (
	"cmp"
	"fmt"
	"slices"

	"hindsight/chain/codec"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
)

// Object is a stored object whose name was understood.
type Object struct {
	naming.Name
	Key  string // its name on the store
	Size int64  // bytes stored
	Cold bool   // it may have to be thawed before it is read (store.Object)
}

// Format says which layers the object's bytes are in.
func (o Object) Format() codec.Format {
	return codec.Format{Encrypted: o.Encrypted, Compressed: o.Compressed}
}

// SetID says which set is meant: a full by its time, an incremental by the time it
// builds on and its own.
type SetID struct {
	Inc   bool
	Start naming.Time // of the set it builds on; 0 for a full
	End   naming.Time // its own
}

func (id SetID) String() string {
	if id.Inc {
		return fmt.Sprintf("incremental %v", id.End)
	}
	return fmt.Sprintf("full %v", id.End)
}

// name is the name of one of the set's objects.
func (id SetID) name(kind naming.Kind) naming.Name {
	return naming.Name{Kind: kind, Inc: id.Inc, Start: id.Start, End: id.End}
}

// Set is what the store holds of one run.
type Set struct {
	SetID
	Manifest   *Object  // nil: the set is incomplete
	Signatures *Object  // nil: missing
	TOC        *Object  // the portable index; nil: there is none
	Volumes    []Object // by number
	Others     []Object // statistics
	Duplicates []DuplicateError
}

// Complete reports whether the run came to its end.
func (s *Set) Complete() bool { return s.Manifest != nil }

// left reports whether nothing but the portable index is there.
func (s *Set) left() bool {
	return s.TOC != nil && s.Manifest == nil && s.Signatures == nil && len(s.Volumes)+len(s.Others) == 0
}

// Size is the number of stored bytes of all the set's objects.
func (s *Set) Size() int64 {
	var n int64
	for _, o := range s.Objects() {
		n += o.Size
	}
	return n
}

// Objects lists all the set's objects, the manifest first and the volumes last, the
// highest number first: the order in which they may be deleted.
func (s *Set) Objects() []Object {
	var all []Object
	if s.Manifest != nil {
		all = append(all, *s.Manifest)
	}
	if s.Signatures != nil {
		all = append(all, *s.Signatures)
	}
	if s.TOC != nil {
		all = append(all, *s.TOC)
	}
	all = append(all, s.Others...)
	for _, v := range slices.Backward(s.Volumes) {
		all = append(all, v)
	}
	return all
}

// duplicate returns a *DuplicateError if there are two of that kind and number. Two
// signature archives, say, are no reason not to read the volumes.
func (s *Set) duplicate(kind naming.Kind, volume int) error {
	for _, d := range s.Duplicates {
		if d.part.Kind == kind && d.part.Volume == volume {
			return &d
		}
	}
	return nil
}

// Volume finds a volume by its number. The errors are ErrMissingVolume and
// *DuplicateError.
func (s *Set) Volume(number int) (Object, error) {
	if err := s.duplicate(naming.Volume, number); err != nil {
		return Object{}, err
	}
	i, ok := slices.BinarySearchFunc(s.Volumes, number, func(o Object, n int) int { return cmp.Compare(o.Volume, n) })
	if !ok {
		return Object{}, fmt.Errorf("volume %d of %v: %w", number, s.SetID, ErrMissingVolume)
	}
	return s.Volumes[i], nil
}

// Surplus is the number of volumes above the highest that the set's manifest lists.
// Readers ignore them (duplicity-format.md §2). They are what a resumed run of a
// source that shrank leaves, or else the manifest, which has no checksum unless it is
// encrypted, was cut short.
func (s *Set) Surplus(m *manifest.Manifest) int {
	last := 0
	if n := len(m.Volumes); n > 0 {
		last = m.Volumes[n-1].Number
	}
	listed, _ := slices.BinarySearchFunc(s.Volumes, last+1, func(o Object, n int) int { return cmp.Compare(o.Volume, n) })
	return len(s.Volumes) - listed
}

func (s *Set) add(o Object) {
	single := func(slot **Object) {
		if *slot != nil {
			s.Duplicates = append(s.Duplicates, DuplicateError{(*slot).Key, o.Key, o.Name})
			return
		}
		*slot = &o
	}
	switch o.Kind {
	case naming.Manifest:
		single(&s.Manifest)
	case naming.Signatures:
		single(&s.Signatures)
	case naming.TOC:
		single(&s.TOC)
	case naming.Volume:
		s.Volumes = append(s.Volumes, o)
	default:
		s.Others = append(s.Others, o)
	}
}

// finish sorts the volumes and finds those that are there twice.
func (s *Set) finish() {
	slices.SortFunc(s.Volumes, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Key, b.Key))
	})
	for i := 1; i < len(s.Volumes); i++ {
		if s.Volumes[i].Volume == s.Volumes[i-1].Volume {
			s.Duplicates = append(s.Duplicates, DuplicateError{s.Volumes[i-1].Key, s.Volumes[i].Key, s.Volumes[i].Name})
		}
	}
}

// Chain is a full set and the incrementals upon it, oldest first.
type Chain struct{ Sets []*Set }

// Start is the time of the full.
func (c *Chain) Start() naming.Time { return c.Sets[0].End }

// End is the time of the newest set.
func (c *Chain) End() naming.Time { return c.last().End }

func (c *Chain) last() *Set { return c.Sets[len(c.Sets)-1] }

// Until is the chain's sets up to a time, at least the full.
func (c *Chain) Until(t naming.Time) []*Set {
	n := 1
	for n < len(c.Sets) && c.Sets[n].End <= t {
		n++
	}
	return c.Sets[:n]
}

// Signed is the sets, from the full on without a gap, that have their signatures.
func (c *Chain) Signed() []*Set {
	for i, s := range c.Sets {
		if s.Signatures == nil {
			return c.Sets[:i]
		}
	}
	return c.Sets
}

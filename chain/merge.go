package chain

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"

	"hindsight/chain/difftar"
)

// State yields the entries of a set, or of a tree after several of them, in path order,
// one per path.
type State interface {
	// Next goes to the next entry, which is valid until the call after. io.EOF comes at
	// the end.
	Next() (*difftar.Entry, error)
	// Read reads the data of the entry, a signature's.
	Read(p []byte) (int, error)
	Close() error
}

// Exact is what a State may know of an entry and an archive has no room for.
type Exact struct {
	Nsec int32 // of MTime; 0: not known
	Size int64 // bytes of the content; -1: not known
}

// ExactState is a State that knows more.
type ExactState interface {
	State
	// Exact is about the entry that Next has returned.
	Exact() Exact
}

// Merge yields the state of a tree after several sets of one chain: of every path
// the newest entry, unless that says the path is deleted (duplicity-format.md §4.1,
// §5.3). It is for one goroutine.
type Merge struct {
	streams []*mergeStream // by age, oldest first
	heap    mergeHeap
	current *mergeStream // whose entry was handed out
	err     error        // sticks
}

// mergeStream is a stream and the entry it stands at.
type mergeStream struct {
	State
	set   *Set // nil of what several sets have made
	age   int  // the higher the newer
	entry *difftar.Entry
	last  string // path before entry's
	begun bool
}

// MergeSignatures merges the signature archives of sets, given oldest first: the
// tree after the last of them, with each file's signature as the entry's data.
func (r *Repository) MergeSignatures(ctx context.Context, sets []*Set) (*Merge, error) {
	return r.MergeOver(ctx, nil, sets)
}

// MergeOver is MergeSignatures where what comes before the first of the sets is known
// as a whole. The Merge closes it, even if it cannot be made.
func (r *Repository) MergeOver(ctx context.Context, before State, sets []*Set) (*Merge, error) {
	return newMerge(before, sets, func(s *Set) (State, error) { return r.signatures(ctx, s, isSmall(sets, s)) })
}

// manySets is how many sets are read with buffers of the usual size. Of more, each with
// half a MiB, a chain of years would take more memory than all else together.
const manySets = 32

// isSmall reports whether a set is to be read with small buffers: of many, all but the
// full, which holds most.
func isSmall(sets []*Set, s *Set) bool { return len(sets) > manySets && s != sets[0] }

// MergeStates is MergeSignatures for whoever wants the paths and metadata alone:
// where a set has no signatures its volumes are read instead.
func (r *Repository) MergeStates(ctx context.Context, sets []*Set) (*Merge, error) {
	return newMerge(nil, sets, func(s *Set) (State, error) {
		if s.Signatures == nil {
			return r.volumeStream(ctx, s)
		}
		return r.signatures(ctx, s, isSmall(sets, s))
	})
}

func newMerge(before State, sets []*Set, open func(*Set) (State, error)) (*Merge, error) {
	m := &Merge{}
	if before != nil {
		if err := m.add(before, nil, -1); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	for age, s := range sets {
		es, err := open(s)
		if err == nil {
			err = m.add(es, s, age)
		}
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	return m, nil
}

func (m *Merge) add(s State, set *Set, age int) error {
	ms := &mergeStream{State: s, set: set, age: age}
	m.streams = append(m.streams, ms)
	return m.advance(ms)
}

// advance steps a stream to its next path and puts it on the heap, unless it ended.
func (m *Merge) advance(ms *mergeStream) error {
	if ms.entry != nil {
		ms.last, ms.begun = ms.entry.Path, true
	}
	e, err := ms.Next()
	if err == io.EOF {
		ms.entry = nil
		return nil
	}
	if err != nil {
		return err
	}
	if ms.begun && difftar.Compare(e.Path, ms.last) <= 0 {
		err := orderError(ms.last, e.Path)
		if ms.set != nil {
			err = fmt.Errorf("%v: %w", ms.set.SetID, err)
		}
		return err
	}
	ms.entry = e
	heap.Push(&m.heap, ms)
	return nil
}

// orderError says that an archive's entries are not in path order, without which
// nothing can be merged.
func orderError(before, path string) error {
	return fmt.Errorf("%w: %q comes after %q", difftar.ErrFormat, path, before)
}

// Next returns the next path's newest entry, valid until the call after, and
// io.EOF at the end. Errors stick.
func (m *Merge) Next() (*difftar.Entry, error) {
	if m.err != nil {
		return nil, m.err
	}
	e, err := m.next()
	m.err = err
	return e, err
}

func (m *Merge) next() (*difftar.Entry, error) {
	for {
		if m.current != nil {
			ms := m.current
			m.current = nil
			if err := m.advance(ms); err != nil {
				return nil, err
			}
		}
		if len(m.heap) == 0 {
			return nil, io.EOF
		}
		newest := heap.Pop(&m.heap).(*mergeStream)
		for len(m.heap) > 0 && m.heap[0].entry.Path == newest.entry.Path {
			if err := m.advance(heap.Pop(&m.heap).(*mergeStream)); err != nil {
				return nil, err
			}
		}
		m.current = newest
		if newest.entry.Kind != difftar.Deleted {
			return newest.entry, nil
		}
	}
}

// Set is the set that the entry handed out last comes from; nil: from what was before
// all sets.
func (m *Merge) Set() *Set { return m.current.set }

// Exact implements ExactState.
func (m *Merge) Exact() Exact {
	if s, ok := m.current.State.(ExactState); ok {
		return s.Exact()
	}
	return Exact{Size: -1}
}

// Read reads the data of the entry handed out last.
func (m *Merge) Read(p []byte) (int, error) { return m.current.Read(p) }

// Close closes all the archives.
func (m *Merge) Close() error {
	var errs []error
	for _, ms := range m.streams {
		errs = append(errs, ms.Close())
	}
	return errors.Join(errs...)
}

// mergeHeap has the smallest path on top and of equal paths the newest.
type mergeHeap []*mergeStream

func (h mergeHeap) Len() int { return len(h) }
func (h mergeHeap) Less(i, j int) bool {
	if c := difftar.Compare(h[i].entry.Path, h[j].entry.Path); c != 0 {
		return c < 0
	}
	return h[i].age > h[j].age
}
func (h mergeHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *mergeHeap) Push(x any)   { *h = append(*h, x.(*mergeStream)) }
func (h *mergeHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// volumeStream yields the entries of a set's volumes, the first part of each path.
func (r *Repository) volumeStream(ctx context.Context, s *Set) (State, error) {
	m, err := r.Manifest(ctx, s)
	if err != nil {
		return nil, err
	}
	vs := &volumeStream{}
	vs.open = func() (*VolumeReader, error) {
		if len(m.Volumes) == 0 {
			return nil, io.EOF
		}
		v := m.Volumes[0]
		m.Volumes = m.Volumes[1:]
		return r.Volume(ctx, s, v)
	}
	return vs, nil
}

type volumeStream struct {
	open  func() (*VolumeReader, error) // the next volume
	vr    *VolumeReader
	last  string
	begun bool
}

func (vs *volumeStream) Next() (*difftar.Entry, error) {
	for {
		if vs.vr == nil {
			vr, err := vs.open()
			if err != nil {
				return nil, err
			}
			vs.vr = vr
		}
		e, err := vs.vr.Next()
		switch {
		case err == io.EOF:
			if err := vs.Close(); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case !vs.begun || e.Path != vs.last:
			vs.last, vs.begun = e.Path, true
			return e, nil
		}
	}
}

func (vs *volumeStream) Read(p []byte) (int, error) { return vs.vr.Read(p) }

func (vs *volumeStream) Close() error {
	if vs.vr == nil {
		return nil
	}
	vr := vs.vr
	vs.vr = nil
	return vr.Close()
}

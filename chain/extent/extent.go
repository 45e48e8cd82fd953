package extent

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"hindsight/chain/librsync"
)

// PartSize is the length in bytes of every part of a stored stream but the last
// (duplicity-format.md §3.4).
const PartSize = 64 << 10

// MaxGap is the largest Gap: the headers of one part are far smaller.
const MaxGap = 2 << 20

// maxPlace bounds tar offsets and lengths, so that no sum with gaps overflows.
const maxPlace = 1 << 56

// MaxExtents is the most extents that one version of a file may have. A chain of
// ordinary edits stays far below; more mean a hostile or absurd chain of deltas.
const MaxExtents = 1 << 20

var (
	// ErrTooManyExtents says that a version came apart into more than MaxExtents pieces.
	ErrTooManyExtents = fmt.Errorf("the deltas cut the file into more than %d extents", MaxExtents)
	// ErrExtents says that a list of extents cannot be one.
	ErrExtents = errors.New("malformed extents")
)

// Place says where consecutive bytes of a stream lie: in a volume of a set, from
// offset Tar of its plain bytes on. A stored stream is cut into parts of PartSize
// with a tar header before each, so after Head bytes there are Gap bytes of header,
// then PartSize bytes, a gap again, and so on. Gap is 0, and Head too, where the bytes
// are contiguous.
type Place struct {
	Set    uint32 // a number that the caller gave the set
	Volume uint32 // from 1
	Tar    int64
	Head   int32 // 1..PartSize if there is a gap
	Gap    int32 // 0..MaxGap
}

// After is the place of the byte n bytes further on, n not negative.
func (p Place) After(n int64) Place {
	if p.Gap == 0 || n < int64(p.Head) {
		p.Tar += n
		if p.Gap != 0 {
			p.Head -= int32(n)
		}
		return p
	}
	past := n - int64(p.Head)
	p.Tar += n + int64(p.Gap)*(1+past/PartSize)
	p.Head = int32(PartSize - past%PartSize)
	return p
}

// Extent says that Len bytes of a stream, from Off on, lie at Place.
type Extent struct {
	Off, Len int64 // bytes; Len is positive
	Place
}

// End is where the extent ends in the stream.
func (e Extent) End() int64 { return e.Off + e.Len }

// normal is the extent without a gap that it does not reach.
func (e Extent) normal() Extent {
	if e.Len <= int64(e.Head) {
		e.Head, e.Gap = 0, 0
	}
	return e
}

// Cut is the part of the extent from lo to hi in the stream, which lie within it.
func (e Extent) Cut(lo, hi int64) Extent {
	return Extent{Off: lo, Len: hi - lo, Place: e.After(lo - e.Off)}.normal()
}

// Pieces yields the contiguous pieces of the extent: the offset in the stream and in
// the tar, and the length.
func (e Extent) Pieces() iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		for e.Gap != 0 && e.Len > int64(e.Head) {
			at := e.Off + int64(e.Head)
			if !yield(e.Cut(e.Off, at)) {
				return
			}
			e = Extent{Off: at, Len: e.End() - at, Place: e.After(int64(e.Head))}
		}
		yield(e.normal())
	}
}

// check says what makes an extent impossible.
func (e Extent) check() error {
	switch {
	case e.Off < 0, e.Len <= 0, e.Len > maxPlace, e.Off > math.MaxInt64-e.Len, e.Tar < 0, e.Tar > maxPlace, e.Volume == 0,
		e.Gap < 0, e.Gap > MaxGap, e.Gap == 0 && e.Head != 0, e.Gap > 0 && (e.Head < 1 || e.Head > PartSize):
		return fmt.Errorf("%w: %+v", ErrExtents, e)
	}
	return nil
}

// Check says whether extents are sorted, within bounds and not too many. They may
// leave holes in the stream. The error wraps ErrExtents or ErrTooManyExtents.
func Check(extents []Extent) error {
	if len(extents) > MaxExtents {
		return ErrTooManyExtents
	}
	end := int64(0)
	for _, e := range extents {
		if err := e.check(); err != nil {
			return err
		}
		if e.Off < end {
			return fmt.Errorf("%w: one begins at %d, before %d", ErrExtents, e.Off, end)
		}
		end = e.End()
	}
	return nil
}

// Find is the position of the first extent that ends behind off.
func Find(extents []Extent, off int64) int {
	i, _ := slices.BinarySearchFunc(extents, off, func(e Extent, off int64) int {
		if e.End() <= off {
			return -1
		}
		return 1
	})
	return i
}

// Slice yields what extents say of [off, off+n), cut to that. Where they leave a hole
// it ends before it. The extents must be as Check wants them.
func Slice(extents []Extent, off, n int64) iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		end := off + n
		for i := Find(extents, off); i < len(extents) && off < end; i++ {
			e := extents[i]
			if e.Off > off {
				return
			}
			hi := min(e.End(), end)
			if !yield(e.Cut(off, hi)) {
				return
			}
			off = hi
		}
	}
}

// Append adds e behind the last of the extents, as part of it where that can be.
func Append(extents []Extent, e Extent) []Extent {
	if k := len(extents) - 1; k >= 0 {
		if m, ok := merge(extents[k], e); ok {
			extents[k] = m
			return extents
		}
	}
	return append(extents, e.normal())
}

// merge joins two neighbours of which b begins where a ends, if one extent can say both.
func merge(a, b Extent) (Extent, bool) {
	if a.Set != b.Set || a.Volume != b.Volume || a.End() != b.Off {
		return a, false
	}
	joined := a
	joined.Len += b.Len
	next := a.After(a.Len)
	switch {
	case next.Tar == b.Tar && next.Gap == b.Gap && next.Head == b.Head,
		next.Tar == b.Tar && b.Gap == 0 && b.Len <= int64(next.Head): // b does not reach the next gap
		return joined, true
	case a.Gap != 0:
		return a, false
	case next.Tar == b.Tar && b.Gap != 0: // a ends within the part that b's head is the rest of
		joined.Head, joined.Gap = int32(min(a.Len, PartSize+1))+b.Head, b.Gap
		return joined, a.Len+int64(b.Head) <= PartSize
	}
	gap := b.Tar - next.Tar
	if a.Len > PartSize || gap <= 0 || gap > MaxGap {
		return a, false
	}
	joined.Head, joined.Gap = int32(a.Len), int32(gap)
	wholeParts := b.Gap == joined.Gap && b.Head == PartSize
	return joined, wholeParts || b.Gap == 0 && b.Len <= PartSize
}

// Size is where the last extent ends: the length of the stream if there are no holes.
func Size(extents []Extent) int64 {
	if len(extents) == 0 {
		return 0
	}
	return extents[len(extents)-1].End()
}

// Composer makes the extents of a version from those of its basis and the ops of its
// delta, given in output order. It is for one goroutine.
type Composer struct {
	base   []Extent
	stream []Extent
	out    []Extent
	pos    int64
}

// NewComposer returns a Composer. base is the extents of the basis and stream those of
// the delta as it is stored; both are as Check wants them and are not changed.
func NewComposer(base, stream []Extent) *Composer {
	return &Composer{base: base, stream: stream}
}

// Add takes the next op. An op of no bytes is ignored. Errors: ErrShort if the basis
// is shorter than the op says, ErrExtents if the stream has no such bytes, and
// ErrTooManyExtents.
func (c *Composer) Add(op librsync.Op) error {
	if op.Pos < 0 || op.Len < 0 || op.Pos > math.MaxInt64-op.Len || c.pos > math.MaxInt64-op.Len {
		return fmt.Errorf("%w: op %+v", ErrExtents, op)
	}
	from, missing := c.stream, ErrExtents
	if op.Copy {
		from, missing = c.base, ErrShort
	}
	shift, end := c.pos-op.Pos, c.pos+op.Len
	for e := range Slice(from, op.Pos, op.Len) {
		e.Off += shift
		if c.out = Append(c.out, e); len(c.out) > MaxExtents {
			return ErrTooManyExtents
		}
		c.pos = e.End()
	}
	if c.pos != end {
		return missing
	}
	return nil
}

// Extents is the version's extents when all ops were added: sorted, without holes,
// neighbours merged.
func (c *Composer) Extents() []Extent { return c.out }

// AppendOp adds op behind the last of a delta's ops, as part of it where both say the
// same: literals come in pieces.
func AppendOp(ops []librsync.Op, op librsync.Op) []librsync.Op {
	if k := len(ops) - 1; k >= 0 && ops[k].Copy == op.Copy && ops[k].Pos+ops[k].Len == op.Pos {
		ops[k].Len += op.Len
		return ops
	}
	return append(ops, op)
}

// Compose is the extents of a version; see Composer.
func Compose(base, stream []Extent, ops []librsync.Op) ([]Extent, error) {
	c := NewComposer(base, stream)
	for _, op := range ops {
		if err := c.Add(op); err != nil {
			return nil, err
		}
	}
	return c.Extents(), nil
}

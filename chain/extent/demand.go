package extent

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Demand says that Len bytes from From of a version belong at To in the target.
// From and To are not negative, Len is positive, and no sum exceeds 2^63-1.
type Demand struct{ From, To, Len int64 }

func (d Demand) end() int64 { return d.From + d.Len }

// Whole demands a version from beginning to end, however long it is.
func Whole() []Demand { return []Demand{{Len: math.MaxInt64}} }

// MaxDemands is the most demands that one file may have at a time. A chain of
// ordinary edits stays far below; more mean a hostile or absurd chain of deltas.
const MaxDemands = 4 << 20

var (
	// ErrTooMany says that a file came apart into more than MaxDemands pieces.
	ErrTooMany = fmt.Errorf("the deltas cut the file into more than %d pieces", MaxDemands)
	// ErrShort says that a version is shorter than what is demanded of it.
	ErrShort = errors.New("the older version is shorter than its delta says")
	// ErrOrder says that pieces were not given in output order.
	ErrOrder = errors.New("pieces of a version out of order")
)

// Resolver brings together the demands on one version and the pieces that version
// consists of. It is for one goroutine.
type Resolver struct {
	demands []Demand // sorted by From; not changed
	next    int      // the first that begins at or behind the last piece's end
	active  []Demand // those before next that may reach behind the last piece's end
	pos     int64    // end of the last piece
	served  int64    // bytes of demands that pieces have met
	older   []Demand
}

// NewResolver returns a Resolver of demands, which must be sorted by From and stay
// unchanged while it is used.
func NewResolver(demands []Demand) *Resolver { return &Resolver{demands: demands} }

// Literal serves the demands on [pos, pos+len(data)): write is called with pieces
// of data and where in the target they belong.
func (r *Resolver) Literal(pos int64, data []byte, write func(p []byte, to int64) error) error {
	return r.piece(pos, int64(len(data)), func(lo, hi, to int64) error {
		return write(data[lo-pos:hi-pos], to)
	})
}

// Copy turns the demands on [pos, pos+n) into demands on the next older version,
// where these bytes stand from basis on.
func (r *Resolver) Copy(pos, n, basis int64) error {
	if basis < 0 || basis > math.MaxInt64-n {
		return fmt.Errorf("copy of %d bytes from %d", n, basis)
	}
	return r.piece(pos, n, func(lo, hi, to int64) error {
		d := Demand{From: basis + lo - pos, To: to, Len: hi - lo}
		if k := len(r.older) - 1; k >= 0 && r.older[k].end() == d.From && r.older[k].To+r.older[k].Len == d.To {
			r.older[k].Len += d.Len
			return nil
		}
		if len(r.older) == MaxDemands {
			return ErrTooMany
		}
		if r.older == nil { // mostly as many as on this version, and some
			r.older = make([]Demand, 0, len(r.demands)+16)
		}
		r.older = append(r.older, d)
		return nil
	})
}

// piece calls serve for every demanded part [lo, hi) of [pos, pos+n).
func (r *Resolver) piece(pos, n int64, serve func(lo, hi, to int64) error) error {
	if pos < r.pos || n < 0 || pos > math.MaxInt64-n {
		return ErrOrder
	}
	end := pos + n
	for r.next < len(r.demands) && r.demands[r.next].From < end {
		if d := r.demands[r.next]; d.end() > pos { // else it lies in a gap before the piece
			r.active = append(r.active, d)
		}
		r.next++
	}
	keep := r.active[:0]
	for _, d := range r.active {
		if lo, hi := max(pos, d.From), min(end, d.end()); lo < hi {
			if err := serve(lo, hi, d.To+lo-d.From); err != nil {
				return err
			}
			r.served += hi - lo
		}
		if d.end() > end {
			keep = append(keep, d)
		}
	}
	r.active = keep
	r.pos = end
	return nil
}

// End is the end of the last piece: the version's length, when all were given.
func (r *Resolver) End() int64 { return r.pos }

// Served is the number of demanded bytes that pieces have met, by literals or by
// demands on an older version.
func (r *Resolver) Served() int64 { return r.served }

// Older is the demands on the next older version, sorted.
func (r *Resolver) Older() []Demand {
	slices.SortFunc(r.older, func(a, b Demand) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return r.older
}

// Total is the number of bytes demanded.
func Total(demands []Demand) int64 {
	var n int64
	for _, d := range demands {
		n += d.Len
	}
	return n
}

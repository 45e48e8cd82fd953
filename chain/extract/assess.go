package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/toc"
)

// Range is bytes of a file's content, From to before To.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// DamageError says of a file that is lost with a part of the backup how much of it that
// is: the portable indexes of the sets tell where each of its bytes lies.
type DamageError struct {
	Err    error   // what is wrong with the backup
	Size   int64   // bytes of the file's content
	Ranges []Range // ascending, not touching; all other bytes are somewhere else, and whole
}

// maxNamed is how many ranges a text names.
const maxNamed = 8

// Extent says which bytes are lost, first and last, for people.
func (e *DamageError) Extent() string {
	if len(e.Ranges) == 0 {
		return "none of its bytes, but how they come together"
	}
	var b strings.Builder
	b.WriteString("bytes ")
	for i, r := range e.Ranges[:min(len(e.Ranges), maxNamed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d-%d", r.From, r.To-1)
	}
	if n := len(e.Ranges) - maxNamed; n > 0 {
		fmt.Fprintf(&b, " and %d more ranges", n)
	}
	fmt.Fprintf(&b, " of %d", e.Size)
	return b.String()
}

func (e *DamageError) Error() string { return e.Extent() + ": " + e.Err.Error() }
func (e *DamageError) Unwrap() error { return e.Err }

// casualty is a file that is lost, on its way back through the sets.
type casualty struct {
	path    string
	err     error
	size    int64           // bytes, -1 until it is sighted
	unknown bool            // not all can be told
	open    bool            // there are demands on the set that is looked at
	demands []extent.Demand // on the next older set: what of the content is not found yet
	ranges  []Range         // of the content, in no order
}

// Casualties are held until the end of the run, so that their damage can be assessed all
// at once. Beyond these bounds files are told of at once, or without it.
const (
	maxCasualties = 16 << 20 // bytes of paths and what belongs to them
	casualtySize  = 300
	maxTraced     = 1 << 18 // ranges and demands of all
)

// hold keeps a loss for the end of the run; false: there is no more room, or nothing to
// be assessed about it. The lock is held.
func (e *engine) hold(path string, err error) bool {
	var corrupt *chain.CorruptError
	damage := errors.As(err, &corrupt) || errors.Is(err, chain.ErrMissingVolume) || errors.Is(err, chain.ErrHash)
	need := int64(len(path)) + casualtySize
	if !e.IgnoreErrors || path == "" || !damage || e.heldBytes+need > maxCasualties {
		return false
	}
	e.heldBytes += need
	e.casualties = append(e.casualties, &casualty{path: path, err: err, size: -1, demands: extent.Whole()})
	return true
}

// tellCasualties tells Lost of the files that were held, and how much of each is lost if
// assess says so and that can be found out.
func (e *engine) tellCasualties(ctx context.Context, assess bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.casualties
	slices.SortFunc(list, func(a, b *casualty) int { return difftar.Compare(a.path, b.path) })
	for i := len(e.plans) - 1; i >= 0 && assess && len(list) > 0; i-- {
		for _, c := range list {
			c.open = len(c.demands) > 0
		}
		err := e.assess(ctx, e.plans[i], list)
		if err == nil {
			continue
		}
		for _, c := range list {
			c.unknown = c.unknown || c.open
		}
		if ctx.Err() == nil {
			e.Log.Info("how much is lost of each file is not known", "set", e.plans[i].set.SetID.String(), "error", err)
		}
		break
	}
	for _, c := range list {
		err := c.err
		if assess && c.size >= 0 && !c.unknown && len(c.demands) == 0 {
			err = &DamageError{c.err, c.size, joinRanges(c.ranges)}
		}
		if e.Lost != nil {
			e.Lost(c.path, err)
		}
	}
}

// assess finds out what a set has of the files of a list, and leaves demands on older
// ones. With an error nothing is known of the set.
func (e *engine) assess(ctx context.Context, p *setPlan, list []*casualty) error {
	if p.damage != nil {
		return p.damage
	}
	t, err := e.Repository.TOC(ctx, p.set, p.manifest)
	if err != nil {
		return err
	}
	defer t.Close()
	held := 0
	for _, c := range list {
		held += len(c.demands) + len(c.ranges)
	}
	for {
		en, err := t.NextEntry()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for len(list) > 0 && difftar.Compare(list[0].path, en.Path) < 0 {
			list = list[1:]
		}
		if len(list) == 0 || list[0].path != en.Path || !list[0].open {
			continue
		}
		c := list[0]
		held -= len(c.demands) + len(c.ranges)
		c.unknown = !c.trace(en, p.lostVolumes) || len(c.demands)+len(c.ranges) > maxTraced-held
		if c.unknown {
			c.demands, c.ranges = nil, nil
		}
		held += len(c.demands) + len(c.ranges)
	}
}

// trace meets the demands on one version of the file; false: that cannot be.
func (c *casualty) trace(en *toc.Entry, lost map[int]bool) bool {
	if en.Kind == difftar.Deleted || en.Type != difftar.Regular || en.OpsUnknown && en.Kind == difftar.Diff {
		return false
	}
	gone, older := extent.NewResolver(c.demands), extent.NewResolver(c.demands)
	size, err := meet(en, lost, gone, older)
	if err != nil {
		return false
	}
	if c.size < 0 {
		c.size = size
	}
	c.demands = older.Older()
	for _, d := range gone.Older() {
		c.ranges = append(c.ranges, Range{d.To, d.To + d.Len})
	}
	return true
}

// meet gives a version's pieces to two resolvers: those that lie in lost volumes, and
// those of the version before. What stands where does not matter to the first. The
// size is the version's.
func meet(en *toc.Entry, lost map[int]bool, gone, older *extent.Resolver) (size int64, err error) {
	// literal takes n bytes from offset pos of the stream, which are at out in the version.
	literal := func(pos, n, out int64) error {
		var found int64
		for x := range extent.Slice(en.Stream, pos, n) {
			found += x.Len
			if lost[int(x.Volume)] {
				if err := gone.Copy(out+x.Off-pos, x.Len, out+x.Off-pos); err != nil {
					return err
				}
			}
		}
		if found != n { // a hole, of which nobody knows what is there
			return extent.ErrShort
		}
		return nil
	}
	if en.Kind == difftar.Snapshot {
		size = extent.Size(en.Stream)
		return size, literal(0, size, 0)
	}
	for _, op := range en.Ops {
		if op.Copy {
			err = older.Copy(size, op.Len, op.Pos)
		} else {
			err = literal(op.Pos, op.Len, size)
		}
		if err != nil {
			return 0, err
		}
		size += op.Len
	}
	return size, nil
}

// joinRanges sorts ranges and joins those that touch.
func joinRanges(list []Range) []Range {
	slices.SortFunc(list, func(a, b Range) int { return int(min(max(a.From-b.From, -1), 1)) })
	joined := list[:0]
	for _, r := range list {
		if n := len(joined); n > 0 && r.From <= joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, r.To)
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

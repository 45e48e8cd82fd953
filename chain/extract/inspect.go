package extract

import (
	"context"
	"errors"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
)

// Known is what a set says of a regular file beside its metadata, from its portable
// index or, where there is none, its signatures.
type Known struct {
	Size int64 // bytes of its content, -1 if unknown

	HasHash bool
	Hash    [32]byte // BLAKE3 of the content

	HasBlocks bool
	Blocks    librsync.Fingerprint // of its signature
}

// Fits reports whether a file of a size may be it.
func (k *Known) Fits(size int64) bool {
	switch {
	case k.Size >= 0:
		return size == k.Size
	case k.HasBlocks:
		n := k.Blocks.BlockLen()
		return (size+n-1)/n == k.Blocks.Blocks()
	}
	return false
}

// Kept is what a Keeper says of a file or directory.
type Kept uint8

const (
	Differs Kept = iota // it is to be extracted
	Content             // only the metadata of a file are not as they should be
	Same
)

// Existing is a regular file or a directory that a Keeper may have.
type Existing struct {
	Path  string
	Meta  *difftar.Meta
	Known *Known // of a file
	Kept  Kept   // the Keeper's answer
}

// Keeper is a Sink that may have what is to be extracted.
type Keeper interface {
	Sink
	// Kept looks at what a list, in the order of paths, names, changes nothing and
	// answers. It may be called from many goroutines at once.
	Kept(ctx context.Context, list []Existing) error
	// Fix gives a file whose content is right its metadata.
	Fix(path string, m *difftar.Meta) error
	// Touched reports whether something was changed in a directory since, other than by
	// DirMeta; in doubt it was.
	Touched(path string) bool
}

// Plan is what an extraction in place would do.
type Plan struct {
	Files   int64           // to be written
	Bytes   int64           // of their contents, at most
	Kept    int64           // files that are there as they should be
	Fixed   int64           // files of which only metadata change
	Volumes []PlannedVolume // to be read whole

	Requests int64 // of those, and of blocks of others
	Read     int64 // stored bytes
}

// PlannedVolume is a volume to be read.
type PlannedVolume struct {
	Key  string
	Size int64 // bytes
}

// most is the most bytes that a file may have, as far as is known.
func (k *Known) most() int64 {
	if k.Size < 0 {
		return k.Blocks.Blocks() * k.Blocks.BlockLen()
	}
	return k.Size
}

// inspector compares what the sets say with what is there.
type inspector struct {
	*engine
	keeper Keeper // nil: there is nothing
	plan   *setPlan
	view   *ledgerView
	out    *runWriter
	next   int // the first volume that may hold the next path
	needed []bool
	sparse *sparsePlan // nil: blocks are not known, or too many are needed
	group  []inspected // being gathered
	looked []inspected // being looked at
	spare  []inspected // for the next group
	work   errgroup.Group
	report Plan
}

// inspected is a path on its way through the inspector.
type inspected struct {
	path    string
	kind    difftar.Kind
	record  record
	decided bool // by a newer set, of which this is an older version of the content
	regular bool
	look    bool // the target may have it
	known   Known
	kept    Kept
	extra   *extra
	stream  []extent.Extent // where its bytes lie, if placed
	placed  bool
}

// groupSize is how many paths are looked at together, and lookShare how many of these by one
// goroutine.
const (
	groupSize = 1024
	lookShare = groupSize / 4
)

// inspect finds what is there already, changing nothing, and leaves only those volumes,
// or blocks of them, in the plans that hold something which is not. It goes by the
// portable indexes or, in place, the signatures, newest set first; from a set on that
// has none that can be read all volumes stay.
func (e *engine) inspect(ctx context.Context, k Keeper) (*Plan, error) {
	report := &Plan{}
	for i := len(e.plans) - 1; i >= 0; i-- {
		again, err := e.inspectSet(ctx, k, e.plans[i], report)
		if err != nil {
			return nil, err
		}
		if !again {
			break
		}
	}
	for _, p := range e.plans {
		for _, v := range p.volumes {
			if v.sparse != nil {
				report.Requests += v.sparse.requests
				report.Read += v.sparse.bytes
				continue
			}
			if o, err := p.set.Volume(v.Number); err == nil && v.gap == nil {
				report.Volumes = append(report.Volumes, PlannedVolume{o.Key, o.Size})
				report.Requests++
				report.Read += o.Size
			}
		}
	}
	return report, nil
}

// errUnknown says that a set has nothing to inspect by.
var errUnknown = errors.New("nothing is known of its contents")

// inspectSet inspects one set; again says that older ones can be inspected too.
func (e *engine) inspectSet(ctx context.Context, k Keeper, p *setPlan, report *Plan) (again bool, err error) {
	if p.damage != nil {
		return false, nil
	}
	for _, open := range []func(context.Context, *inspector) (knowledge, error){openTOC, openSignatures} {
		in := &inspector{engine: e, keeper: k, plan: p, report: *report, out: newRunWriter(&e.blocks)}
		in.needed = make([]bool, len(p.volumes))
		if err = in.set(ctx, open); err == nil {
			var r *run
			if r, err = in.out.finish(); err == nil {
				err = e.ledger.add(r)
			}
			if err != nil {
				return false, err
			}
			*report = in.report
			e.drop(in)
			return true, nil
		}
		in.out.abort()
		corrupt := (*chain.CorruptError)(nil)
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case errors.Is(err, errUnknown), errors.Is(err, chain.ErrNoTOC), errors.Is(err, chain.ErrForeignTOC):
		case errors.As(err, &corrupt), errors.Is(err, chain.ErrNoSignatures), errors.Is(err, difftar.ErrFormat):
			e.Log.Warn("what is known of a set cannot be used", "set", p.set.SetID.String(), "error", err)
		default:
			return false, err
		}
	}
	return false, nil
}

// drop leaves the volumes in a plan that are needed, or one that stands for the blocks
// that are.
func (e *engine) drop(in *inspector) {
	p := in.plan
	keep, stored := p.volumes[:0], int64(0)
	for i, v := range p.volumes {
		v.in, v.out = nil, nil
		o, err := p.set.Volume(v.Number)
		if err == nil && in.needed[i] {
			stored += o.Size
		}
		if in.needed[i] {
			keep = append(keep, v)
			continue
		}
		e.Progress.TotalVolumes.Add(-1)
		e.Progress.TotalBytes.Add(-o.Size)
	}
	if sp := in.sparse; sp != nil && len(keep) > 0 && sp.worth(stored) {
		sp.settle()
		e.tables += sp.tables
		e.Progress.TotalVolumes.Add(int64(1 - len(keep)))
		e.Progress.TotalBytes.Add(sp.bytes - stored)
		one := plannedVolume{Volume: keep[0].Volume, sparse: sp}
		one.End = keep[len(keep)-1].End
		keep = append(keep[:0], one)
	}
	p.volumes, p.straddles = keep, nil
	p.findStraddles()
}

// knowledge yields what is known of a set's paths, in order.
type knowledge interface {
	// next gives io.EOF only when all was proved right. It takes over the memory of the
	// stream that it finds.
	next(*inspected) error
	close() error
}

// set goes through all that is known of one set.
func (in *inspector) set(ctx context.Context, open func(context.Context, *inspector) (knowledge, error)) error {
	src, err := open(ctx, in)
	if err != nil {
		return err
	}
	defer src.close()
	defer in.work.Wait() // after an error nobody else does
	if in.view, err = in.ledger.view(""); err != nil {
		return err
	}
	for {
		it := in.slot()
		err := src.next(it)
		if err == io.EOF {
			if err := in.look(ctx); err != nil {
				return err
			}
			if err := in.work.Wait(); err != nil {
				return err
			}
			return in.settle(in.looked)
		}
		if err != nil {
			return err
		}
		if !in.Filter.Touches(it.path, it.path) {
			continue
		}
		if err := in.sight(it); err != nil {
			return err
		}
		if len(in.group) >= groupSize {
			if err := in.look(ctx); err != nil {
				return err
			}
		}
	}
}

// sight takes in a path. Its record has the state done if it is deleted and its
// metadata if not.
func (in *inspector) sight(it *inspected) error {
	payload, known, err := in.view.find(it.path)
	if err != nil {
		return err
	}
	if known {
		if it.decided = true; state(payload[0]) == pending {
			in.gather()
		}
		return nil
	}
	r := &it.record
	verdict := Skip
	if r.meta.Type != 0 {
		verdict = in.wants(it.path, &r.meta)
	}
	switch {
	case verdict == Skip:
		*it = inspected{path: it.path}
	case r.meta.Type == difftar.Directory && verdict == TakeOpen:
		r.state, it.look = dirOpen, true
	case r.meta.Type == difftar.Directory:
		r.state, it.look = dir, true
	case r.meta.Type != difftar.Regular:
		r.state = object
	default:
		it.regular, it.look = true, true
	}
	in.gather()
	return nil
}

// slot is the place in the group for the next path, which may have been used before.
func (in *inspector) slot() *inspected {
	n := len(in.group)
	if n == cap(in.group) { // most sets are small
		in.group = append(make([]inspected, 0, min(max(2*n, 64), groupSize)), in.group...)
	}
	return &in.group[:n+1][n]
}

// gather keeps the path in the slot.
func (in *inspector) gather() { in.group = in.group[:len(in.group)+1] }

// look begins to look at the paths that were gathered, several at a time, and settles
// those before while that is done and more are gathered.
func (in *inspector) look(ctx context.Context) error {
	if err := in.work.Wait(); err != nil {
		return err
	}
	seen := in.looked
	in.looked, in.group, in.spare = in.group, in.spare, seen[:0]
	if in.keeper != nil {
		in.work = errgroup.Group{}
		in.work.SetLimit(max(in.Jobs, groupSize/lookShare)) // so that nobody waits here
		for part := range slices.Chunk(in.looked, lookShare) {
			in.work.Go(func() error { return in.compare(ctx, part) })
		}
	}
	return in.settle(seen)
}

// compare asks the keeper for some paths.
func (in *inspector) compare(ctx context.Context, part []inspected) error {
	list := make([]Existing, 0, len(part))
	for i := range part {
		if it := &part[i]; it.look {
			list = append(list, Existing{Path: it.path, Meta: &it.record.meta, Known: &it.known})
		}
	}
	if err := in.keeper.Kept(ctx, list); err != nil {
		return err
	}
	for i := range part {
		if it := &part[i]; it.look {
			it.kept, list = list[0].Kept, list[1:]
		}
	}
	return nil
}

// settle records what was found of paths that were looked at.
func (in *inspector) settle(seen []inspected) error {
	var buf []byte
	for i := range seen {
		it := &seen[i]
		if err := in.decide(it); err != nil {
			return err
		}
		if it.decided {
			continue
		}
		buf = it.record.append(buf[:0])
		if err := in.out.add(it.path, buf); err != nil {
			return err
		}
	}
	return nil
}

// decide turns what was found of a path into its record.
func (in *inspector) decide(it *inspected) error {
	switch {
	case it.decided:
		in.need(it)
		return nil
	case !it.regular:
		if it.kept == Same {
			it.record.state = dirKept
		}
	case it.kept == Same:
		it.record.state = done
		in.report.Kept++
	case it.kept == Content:
		it.record.state = fix
		in.report.Fixed++
	default:
		in.report.Files++
		in.report.Bytes += it.known.most()
		if in.Differs != nil {
			in.Differs(it.path)
		}
		in.need(it)
		it.record = record{state: pending}
		return nil
	}
	if it.extra == nil {
		return nil
	}
	en := difftar.Entry{Path: it.path, Meta: it.record.meta}
	return in.errands.add(&in.blocks, &en, it.extra)
}

// need marks the volumes, or blocks, that may hold a path. Paths ascend.
func (in *inspector) need(it *inspected) {
	path := it.path
	if in.sparse != nil && !in.sparse.add(it) {
		in.sparse = nil
	}
	vs := in.plan.volumes
	for in.next < len(vs) && difftar.Compare(vs[in.next].End.Path, path) < 0 {
		in.next++
	}
	for i := in.next; i < len(vs) && difftar.Compare(vs[i].Start.Path, path) <= 0; i++ {
		in.needed[i] = true
	}
}

// apply makes what needs no volume: directories, links and devices, and metadata of
// files that are there.
func (e *engine) apply(ctx context.Context, k Keeper) error {
	return e.ledger.each(isToApply, func(path string, payload []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r, err := decodeRecord(payload)
		if err != nil {
			return err
		}
		if r.state == fix {
			return e.forgive(path, 0, k.Fix(path, &r.meta))
		}
		return e.make(path, &r)
	})
}

// isToApply reports whether a record is of a path about which apply does something.
func isToApply(payload []byte) bool {
	s := state(payload[0])
	return s == fix || s == object || s == dir
}

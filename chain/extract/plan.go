package extract

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
)

// setPlan is one set: what is to be read of it, and what came of that.
type setPlan struct {
	set        *chain.Set
	manifest   *manifest.Manifest
	damage     error         // the manifest cannot be read
	foreseen   chan foreseen // gets extras once, unless it is nil
	extras     *run          // what the portable index knows; nil: nothing
	volumes    []plannedVolume
	straddles  []*straddle
	runs       []*run         // by volume
	committing sync.WaitGroup // volumes that are read, and whose files get their names
	known      *known         // with Options.Check, while the set is read: what its signatures say; nil: they cannot be read
	paths      atomic.Int64   // that the volumes held
	lost       atomic.Bool    // a volume

	lostMu      sync.Mutex
	lostVolumes map[int]bool // by number

	signatures struct { // whether they can be relied on
		mu     sync.Mutex
		proved bool
		err    error
	}
}

// plannedVolume is a volume of a set, or a gap that the manifest leaves.
type plannedVolume struct {
	manifest.Volume
	gap     error       // nil: it is a volume
	opened  chan opened // gets it once, unless it is a gap
	turn    int         // in the order in which volumes are read
	sparse  *sparsePlan // the blocks that are wanted of it and those behind it; nil: it is read whole
	in, out *straddle   // the file that spans into it, and out of it; or nil
}

// straddling is the straddle that path is in this volume, or nil.
func (v *plannedVolume) straddling(path string) *straddle {
	for _, st := range []*straddle{v.in, v.out} {
		if st != nil && st.path == path {
			return st
		}
	}
	return nil
}

// holds reports whether path may stand in this volume and in no other: that
// of a file that spans volumes is left to the straddle.
func (v *plannedVolume) holds(path string) bool {
	first, last := difftar.Compare(path, v.Start.Path), difftar.Compare(path, v.End.Path)
	if v.gap != nil { // the volumes around it hold their own first and last paths
		return first > 0 && last < 0 || v.Number == 1 && path == ""
	}
	return first >= 0 && last <= 0 && v.straddling(path) == nil
}

// between reports whether it is a gap between the entries of two paths, of which one
// may reach into it but not across.
func (v *plannedVolume) between() bool { return v.gap != nil && v.Start.Path != v.End.Path }

// plan reads all manifests, so that what is missing is known before the first byte
// is written, and progress knows how much there is to do.
func (e *engine) plan(ctx context.Context) error {
	plans, errs, err := e.manifests(ctx)
	if err != nil {
		return err
	}
	var damage []error
	for i, p := range plans {
		if err := errs[i]; err != nil {
			damage = append(damage, err)
			p.damage = damaged(p.set, err)
		} else if err := e.planVolumes(p, p.manifest); err != nil {
			return err
		}
	}
	e.plans = plans
	if len(damage) > 0 && len(damage) == len(e.Sets) {
		return damage[len(damage)-1] // a wrong key, most likely: nothing at all can be saved
	}
	return nil
}

// manifestsAtOnce is how many are read at once: mostly one waits for the store.
const manifestsAtOnce = 8

// manifests reads the manifests of all sets, and says what is wrong with each if errors
// are ignored. The newest comes first and alone: where the key is wrong, or its owner is
// asked for it, that should show once.
func (e *engine) manifests(ctx context.Context) (plans []*setPlan, errs []error, err error) {
	plans, errs = make([]*setPlan, len(e.Sets)), make([]error, len(e.Sets))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(manifestsAtOnce)
	read := func(i int) error {
		p := &setPlan{set: e.Sets[i]}
		p.manifest, errs[i] = e.Repository.Manifest(gctx, p.set)
		if plans[i] = p; e.IgnoreErrors {
			return gctx.Err()
		}
		return errs[i]
	}
	last := len(e.Sets) - 1
	if last >= 0 {
		err = read(last)
	}
	for i := 0; i < last && err == nil; i++ {
		g.Go(func() error { return read(i) })
	}
	if gerr := g.Wait(); err == nil {
		err = gerr
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return plans, errs, err
}

// planVolumes chooses the volumes to read, and finds those that are not there.
func (e *engine) planVolumes(p *setPlan, m *manifest.Manifest) error {
	previous := manifest.Volume{}
	for _, v := range m.Volumes {
		if n := previous.Number + 1; v.Number != n {
			gap := manifest.Volume{Number: n, Start: previous.End, End: v.Start}
			reason := fmt.Errorf("volume %d of %v: %w: the manifest does not list it", n, p.set.SetID, chain.ErrMissingVolume)
			if err := e.planVolume(p, plannedVolume{Volume: gap, gap: reason}, 0, reason); err != nil {
				return err
			}
		}
		o, err := p.set.Volume(v.Number)
		if err := e.planVolume(p, plannedVolume{Volume: v}, o.Size, err); err != nil {
			return err
		}
		previous = v
	}
	p.findStraddles()
	return nil
}

func (e *engine) planVolume(p *setPlan, v plannedVolume, size int64, err error) error {
	if !e.Filter.Touches(v.Start.Path, v.End.Path) {
		return nil
	}
	if err != nil && !e.IgnoreErrors {
		return err
	}
	p.volumes = append(p.volumes, v)
	e.Progress.TotalVolumes.Add(1)
	e.Progress.TotalBytes.Add(size)
	return nil
}

// stored is the size, in bytes, of the volumes to be read.
func (p *setPlan) stored() int64 {
	var n int64
	for i := range p.volumes {
		if o, err := p.set.Volume(p.volumes[i].Number); err == nil {
			n += o.Size
		}
	}
	return n
}

// findStraddles finds, from the paths at which volumes begin and end, the files that
// may span them.
func (p *setPlan) findStraddles() {
	for i := 1; i < len(p.volumes); i++ {
		a, b := &p.volumes[i-1], &p.volumes[i]
		if a.End.Path != b.Start.Path || a.between() || b.between() || a.gap == nil && b.Number != a.Number+1 {
			continue
		}
		st := a.in
		if st == nil || st.path != b.Start.Path {
			st = newStraddle(b.Start.Path, i-1)
			p.straddles = append(p.straddles, st)
		}
		a.out, b.in = st, st
		st.last = i
	}
}

// giveUp wakes all who wait for a volume that will not come.
func (p *setPlan) giveUp(err error) {
	for _, st := range p.straddles {
		st.fail(err)
	}
}

// merge makes one run of the volumes' runs, with the files that span volumes
// between them.
func (p *setPlan) merge(s *blockStore) (*run, error) {
	w := newRunWriter(s)
	for i, r := range p.runs {
		if err := w.copy(r); err != nil {
			w.abort()
			return nil, err
		}
		st := p.volumes[i].out
		if st == nil || st.first != i || st.result == nil {
			continue
		}
		if err := w.add(st.path, st.result.append(nil)); err != nil {
			w.abort()
			return nil, err
		}
	}
	return w.finish()
}

// copy appends all records of a run.
func (w *runWriter) copy(r *run) error {
	c, err := newCursor(r, "")
	for err == nil && c.ok {
		if err = w.add(string(c.path), c.payload); err == nil {
			err = c.advance()
		}
	}
	return err
}

package chain

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"hindsight/chain/naming"
	"hindsight/chain/store"
)

// Collection is all that a store holds under one naming scheme.
type Collection struct {
	Chains     []*Chain // by end time
	Orphans    []*Set   // complete incrementals whose basis is gone
	Superseded []*Set   // incrementals that a later one from the same basis replaced
	Incomplete []*Set   // sets without a manifest
	Left       []*Set   // of which nothing but the portable index is left, as when duplicity removed them
}

// Load lists the store and puts the sets together.
func Load(ctx context.Context, st store.Store, scheme naming.Scheme) (*Collection, error) {
	sets := make(map[SetID]*Set)
	for o, err := range st.List(ctx, scheme.ListPrefix()) {
		if err != nil {
			return nil, err
		}
		name, ok := scheme.Parse(o.Name)
		if !ok || name.Partial {
			continue
		}
		id := SetID{Inc: name.Inc, Start: name.Start, End: name.End}
		if sets[id] == nil {
			sets[id] = &Set{SetID: id}
		}
		sets[id].add(Object{Name: name, Key: o.Name, Size: o.Size, Cold: o.Cold})
	}
	all := make([]*Set, 0, len(sets))
	for _, s := range sets {
		s.finish()
		all = append(all, s)
	}
	return assemble(all), nil
}

// assemble builds the chains (duplicity-format.md §5.1). Sets without a manifest
// take no part, as duplicity 0.8 has it.
func assemble(sets []*Set) *Collection {
	slices.SortFunc(sets, func(a, b *Set) int {
		full := func(s *Set) int {
			if s.Inc {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(full(a), full(b)), cmp.Compare(a.Start, b.Start))
	})
	var c Collection
	for _, s := range sets {
		switch {
		case s.left():
			c.Left = append(c.Left, s)
		case !s.Complete():
			c.Incomplete = append(c.Incomplete, s)
		case !s.Inc:
			c.Chains = append(c.Chains, &Chain{Sets: []*Set{s}})
		case !c.join(s):
			c.Orphans = append(c.Orphans, s)
		}
	}
	slices.SortStableFunc(c.Chains, func(a, b *Chain) int { return cmp.Compare(a.End(), b.End()) })
	return &c
}

// join hangs an incremental on the first chain that it continues, or whose last
// incremental it replaces because both start at the same set.
func (c *Collection) join(s *Set) bool {
	for _, ch := range c.Chains {
		last := ch.last()
		switch {
		case s.Start == ch.End() && s.End > ch.End():
			ch.Sets = append(ch.Sets, s)
			return true
		case last.Inc && s.Start == last.Start && s.End > last.End:
			c.Superseded = append(c.Superseded, last)
			ch.Sets[len(ch.Sets)-1] = s
			return true
		}
	}
	return false
}

// Latest is the chain that ends last, or nil.
func (c *Collection) Latest() *Chain {
	if len(c.Chains) == 0 {
		return nil
	}
	return c.Chains[len(c.Chains)-1]
}

// At selects the chain that a time is about: the one that covers it, else the latest
// that ends before it, else the oldest (duplicity-format.md §5.2). In the last case
// the time lies before every backup, which callers should say.
func (c *Collection) At(t naming.Time) (*Chain, error) {
	var found *Chain
	for _, ch := range c.Chains {
		if ch.Start() > t || t > ch.End() {
			continue
		}
		if found != nil {
			return nil, &OverlapError{Time: t, First: found, Second: ch}
		}
		found = ch
	}
	if found != nil {
		return found, nil
	}
	for _, ch := range slices.Backward(c.Chains) {
		if ch.End() < t {
			return ch, nil
		}
	}
	if len(c.Chains) == 0 {
		return nil, c.noChain()
	}
	return slices.MinFunc(c.Chains, func(a, b *Chain) int { return cmp.Compare(a.Start(), b.Start()) }), nil
}

func (c *Collection) noChain() error {
	if len(c.Incomplete)+len(c.Orphans) > 0 {
		return fmt.Errorf("%w: there are only incomplete or orphaned sets", ErrNoChain)
	}
	return ErrNoChain
}

// Strays lists the incomplete and the orphaned sets and what is left of others, which
// no restore needs.
// Superseded sets are not among them: they are whole, and duplicity's cleanup leaves
// them alone, too.
func (c *Collection) Strays() []*Set { return slices.Concat(c.Incomplete, c.Orphans, c.Left) }

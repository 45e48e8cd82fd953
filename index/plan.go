package index

import (
	"cmp"
	"log/slog"
	"slices"

	"hindsight/chain"
)

// plan is what must be done to an index so that it shows a collection.
type plan struct {
	meta    *meta  // what stays
	work    []work // sets to be taken in, those of the newest chain first
	changed bool   // meta is not what it was
	rewrite bool   // records that nobody wants must go before anything is added
}

// work is a chain and its sets that are to be taken in, oldest first.
type work struct {
	chain *chainMeta // in plan.meta, but for a new one, which has no sets yet
	sets  []*chain.Set
}

// makePlan compares. old may be nil. skip says which sets cannot be taken in: a chain
// ends before such a one.
func makePlan(old *meta, identity string, c *chain.Collection, skip func(*chain.Set) bool, log *slog.Logger) *plan {
	p := &plan{meta: &meta{Schema: schema, Identity: identity}}
	if old != nil {
		p.meta = old.clone()
	}
	have := p.meta.Chains
	p.meta.Chains = nil
	for _, ch := range slices.Backward(c.Chains) {
		if ch.Start() <= 0 {
			log.Warn("a chain from before 1970 is left out of the index", "time", ch.Start())
			continue
		}
		i := slices.IndexFunc(have, func(m *chainMeta) bool { return m != nil && m.Sets[0].same(ch.Sets[0]) })
		var m *chainMeta
		if i >= 0 {
			m, have[i] = have[i], nil
		}
		p.chain(m, ch.Sets, skip)
	}
	for _, m := range have {
		if m != nil {
			p.drop(m.Sets)
		}
	}
	slices.SortFunc(p.meta.Chains, func(a, b *chainMeta) int { return cmp.Compare(a.Number, b.Number) })
	if live := p.meta.records(); p.meta.Dead > live/4+1000 {
		p.rewrite = true
	}
	return p
}

// drop counts records that nobody wants any more.
func (p *plan) drop(sets []*setMeta) {
	p.changed = true
	for _, s := range sets {
		p.meta.Dead += s.Records
	}
}

// chain compares a chain of the store with what is in the index, nil if that is nothing.
func (p *plan) chain(m *chainMeta, sets []*chain.Set, skip func(*chain.Set) bool) {
	n := 0
	if m != nil {
		for n < len(m.Sets) && n < len(sets) && m.Sets[n].same(sets[n]) && (skip(sets[n]) || !m.Sets[n].outdone(sets[n])) {
			n++
		}
		if n == 0 { // there is something better to make all of it from
			p.drop(m.Sets)
			m = nil
		} else if n < len(m.Sets) {
			p.drop(m.Sets[n:])
			m.Sets, m.Closed = m.Sets[:n], true
		}
	}
	if m != nil {
		p.meta.Chains = append(p.meta.Chains, m)
	}
	rest := sets[n:]
	if i := slices.IndexFunc(rest, skip); i >= 0 {
		rest = rest[:i]
	}
	if len(rest) == 0 {
		return
	}
	if m == nil {
		m = &chainMeta{NextID: firstID}
	}
	p.rewrite = p.rewrite || m.Closed
	p.work = append(p.work, work{m, rest})
}

func (p *plan) empty() bool { return !p.changed && len(p.work) == 0 }

package extract

import (
	"context"
	"sync"
)

// foresight reads the portable indexes of sets before their turn comes, newest first: the
// one of a full set takes as long to take in as many incrementals, and each costs the
// latency of a store.
type foresight struct {
	tokens chan struct{} // of a set whose index is being read, or held
	wg     sync.WaitGroup
	plans  []*setPlan
}

// extrasAhead is how many sets have their indexes read, or held, at once.
const extrasAhead = 4

// foreseen is what came of reading an index.
type foreseen struct {
	extras *run // nil: there is no index that can be used
	err    error
}

// newForesight starts to read. Of a set of which blocks alone are read all is known.
func (e *engine) newForesight(ctx context.Context) *foresight {
	f := &foresight{tokens: make(chan struct{}, extrasAhead)}
	if !e.Extras.any() {
		return f
	}
	for i := len(e.plans) - 1; i >= 0; i-- {
		if p := e.plans[i]; p.damage == nil && len(p.volumes) > 0 && p.volumes[0].sparse == nil {
			p.foreseen = make(chan foreseen, 1)
			f.plans = append(f.plans, p)
		}
	}
	f.wg.Go(func() {
		for _, p := range f.plans {
			select {
			case f.tokens <- struct{}{}:
			case <-ctx.Done():
				return
			}
			f.wg.Go(func() {
				r, err := e.readExtras(ctx, p)
				p.foreseen <- foreseen{r, err}
			})
		}
	})
	return f
}

// take waits for what is known of a set's paths. done gives it back and makes room for
// another set.
func (f *foresight) take(ctx context.Context, p *setPlan) (r *run, done func(), err error) {
	if p.foreseen == nil {
		return nil, func() {}, nil
	}
	select {
	case x := <-p.foreseen:
		return x.extras, func() {
			if x.extras != nil {
				x.extras.close()
			}
			<-f.tokens
		}, x.err
	case <-ctx.Done():
		return nil, func() {}, context.Cause(ctx)
	}
}

// close waits until nothing is read any more, for which the context must have ended, and
// drops what nobody took.
func (f *foresight) close() {
	f.wg.Wait()
	for _, p := range f.plans {
		select {
		case x := <-p.foreseen:
			if x.extras != nil {
				x.extras.close()
			}
		default:
		}
	}
}

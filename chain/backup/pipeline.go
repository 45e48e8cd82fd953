package backup

import (
	"context"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"hindsight/chain/source"
)

// queue is how many tasks may wait to be written, whatever they cost.
const queue = 4096

// pipeline finds, reads and writes what changed. All its goroutines have ended when
// it returns.
func (r *run) pipeline(ctx context.Context, tree *source.Tree) error {
	g, ctx := errgroup.WithContext(ctx)
	r.budget = semaphore.NewWeighted(r.Memory)
	ordered := make(chan *task, queue) // as they are written
	work := make(chan *task)           // as they are read
	g.Go(func() error {
		defer close(ordered)
		defer close(work)
		return r.collate(ctx, tree, func(t *task) error {
			if r.DryRun {
				r.count(t)
				return nil
			}
			return dispatch(ctx, t, ordered, work)
		})
	})
	for range r.Jobs {
		g.Go(func() error {
			rd := r.newReader()
			for t := range work {
				rd.read(ctx, t)
			}
			return nil
		})
	}
	g.Go(func() error { return r.writeAll(ctx, ordered) })
	return g.Wait()
}

// admit waits for room for a task. It is called in path order: whatever is ahead
// has its share already, and so can go on.
func (r *run) admit(ctx context.Context, t *task) error {
	if r.DryRun {
		return nil
	}
	if err := r.budget.Acquire(ctx, t.cost); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// dispatch hands a task to the writer and, if it is to be read, to a reader. A task
// that the writer got has its parts closed in any case, so that it never waits in
// vain.
func dispatch(ctx context.Context, t *task, ordered, work chan<- *task) error {
	select {
	case ordered <- t:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if t.parts == nil {
		return nil
	}
	select {
	case work <- t:
		return nil
	case <-ctx.Done():
		t.err = context.Cause(ctx)
		close(t.parts)
		return t.err
	}
}

// writeAll stores what the tasks have found, in their order.
func (r *run) writeAll(ctx context.Context, ordered <-chan *task) error {
	for t := range ordered {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.write(ctx, t); err != nil {
			return err
		}
		r.budget.Release(t.cost)
		r.Progress.Stored.Store(r.writer.Stored())
	}
	return nil
}

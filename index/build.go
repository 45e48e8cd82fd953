package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"time"

	"hindsight/chain"
	"hindsight/chain/pgp"
)

// BuildOptions says how an index is built. The zero value is ready to use.
type BuildOptions struct {
	// Progress, if it is set, is told before each set is taken in how many of how many
	// are, and in the end.
	Progress func(done, total int)
	// Publish is after how long what is done so far becomes a generation, so that others
	// see it and it is not lost; a minute if 0.
	Publish time.Duration
	// Cheap, if it is set, says which of the sets that the index lacks may be taken in
	// now, and none is taken in from its volumes; a chain ends before the first other one.
	Cheap func(*chain.Set) bool
}

// BuildResult says what Build did.
type BuildResult struct {
	Added   int // sets taken in
	Dropped int // sets that are no longer shown
}

// Build makes the index show what is in a collection: it takes in the sets that the
// index lacks, and drops those that are gone. Meanwhile the index can be read as it
// was. It waits for others that build until ctx ends. A build that is broken off keeps
// the sets that it has done.
//
// A set that cannot be read ends its chain in the index; the error then says why, after
// all else was done.
func (x *Index) Build(ctx context.Context, repo *chain.Repository, c *chain.Collection, opt BuildOptions) (BuildResult, error) {
	lock, err := lockFile(ctx, filepath.Join(x.dir, lockName))
	if err != nil {
		return BuildResult{}, err
	}
	defer lock.Close()
	if _, err := x.Refresh(); err != nil {
		return BuildResult{}, err
	}
	if opt.Publish == 0 {
		opt.Publish = time.Minute
	}
	b := &build{x: x, repo: repo, c: c, opt: opt, broken: make(map[chain.SetID]error), tried: make(map[attempt]error)}
	if err := b.run(ctx); err != nil {
		return b.result, err
	}
	return b.result, b.failure()
}

// Stale reports whether Build would do anything.
func (x *Index) Stale(c *chain.Collection) bool {
	return !makePlan(x.currentMeta(), x.identity, c, func(*chain.Set) bool { return false }, x.log).empty()
}

func (x *Index) currentMeta() *meta {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.gen == nil {
		return nil
	}
	return x.gen.meta
}

// build is a Build that runs.
type build struct {
	x      *Index
	repo   *chain.Repository
	c      *chain.Collection
	opt    BuildOptions
	result BuildResult

	broken map[chain.SetID]error // sets that cannot be read from anything
	tried  map[attempt]error     // what they could not be read from
}

// attempt is a way of reading a set.
type attempt struct {
	set    chain.SetID
	source Source
}

// errAgain says that a set could not be read to its end: what was written of it must
// be thrown away.
var errAgain = errors.New("index: begin the generation again")

// errDear says that a set could be taken in, from its volumes.
var errDear = errors.New("all of its volumes would have to be read")

// run makes generations until there is nothing more to do.
func (b *build) run(ctx context.Context) error {
	for {
		ptr, err := readPointer(b.x.dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged):
			// Numbers of an index that was lost should not come again soon.
			ptr = pointer{NextSet: 1 + rand.Uint32N(MaxNumber/2), NextChain: 1}
		case err != nil:
			return err
		}
		if err := sweep(b.x.dir, ptr.Generation); err != nil {
			return err
		}
		old := b.x.currentMeta()
		if ptr.Dropped {
			old = nil // a reader that still shows it, this one perhaps
		}
		p := makePlan(old, b.x.identity, b.c, b.skip, b.x.log)
		if p.empty() {
			b.progress(0, 0)
			return nil
		}
		done, err := b.generation(ctx, ptr, p)
		if err != nil && err != errAgain || done && err == nil {
			return err
		}
	}
}

// skip reports whether a set is left for another time.
func (b *build) skip(s *chain.Set) bool {
	return b.broken[s.SetID] != nil || b.opt.Cheap != nil && !b.opt.Cheap(s)
}

func (b *build) failure() error {
	var errs []error
	for id, err := range b.broken {
		errs = append(errs, fmt.Errorf("%v cannot be indexed: %w", id, err))
	}
	return errors.Join(errs...)
}

// unreadable is why a set cannot be taken in from any of its sources. That the key is not
// here is said once: it is so for all of them.
func unreadable(causes []error) error {
	locked := error(nil)
	for _, err := range causes {
		switch {
		case errors.Is(err, chain.ErrNoTOC): // nothing is wrong with that
		case !errors.Is(err, pgp.ErrLocked):
			return errors.Join(causes...)
		case locked == nil:
			locked = err
		}
	}
	return cmp.Or(locked, errors.Join(causes...))
}

// progress tells of sets that are done but not published, and of those that are left.
func (b *build) progress(done, left int) {
	if done += b.result.Added; b.opt.Progress != nil {
		b.opt.Progress(done, done+left)
	}
}

// generation makes the next generation: of all that is to be done, or of as much as
// can be done in b.opt.Publish. If ctx ends it publishes what was done until then.
func (b *build) generation(ctx context.Context, ptr pointer, p *plan) (done bool, err error) {
	n, err := newDraft(b.x, ptr, p)
	if err != nil {
		return false, err
	}
	defer n.discard()
	left, added := 0, 0
	for _, w := range p.work {
		left += len(w.sets)
	}
	repo := *b.repo
	next := newAhead(ctx, b.repo.Store, p.work)
	defer next.end()
	repo.Store = next
	begun := time.Now()
	for _, w := range p.work {
		for _, s := range w.sets {
			if added > 0 && time.Since(begun) > b.opt.Publish {
				return false, b.publish(n, added)
			}
			b.progress(added, left-added)
			if err := b.takeIn(ctx, &repo, n, w.chain, s); err != nil {
				if cause := context.Cause(ctx); cause != nil && added > 0 && !n.dirty {
					return false, errors.Join(cause, b.publish(n, added))
				}
				return false, err
			}
			added++
		}
	}
	if err := b.publish(n, added); err != nil {
		return false, err
	}
	b.progress(0, 0)
	return true, nil
}

func (b *build) publish(n *draft, added int) error {
	before := len(b.x.Snapshots())
	if err := n.publish(); err != nil {
		return err
	}
	b.result.Added += added
	b.result.Dropped += max(0, before+added-len(b.x.Snapshots()))
	return nil
}

// takeIn takes in one set from the best source that can be read. errAgain: it failed
// half-way, and will not be read from there again.
func (b *build) takeIn(ctx context.Context, repo *chain.Repository, n *draft, c *chainMeta, s *chain.Set) error {
	var causes []error
	for _, source := range sources(repo, s) {
		if source == FromVolumes && b.opt.Cheap != nil {
			causes = append(causes, errDear)
			continue
		}
		if err := b.tried[attempt{s.SetID, source}]; err != nil {
			causes = append(causes, err)
			continue
		}
		err := n.takeIn(ctx, repo, c, s, source)
		if err == nil {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if !damaged(err) {
			return err
		}
		if !errors.Is(err, chain.ErrNoTOC) && !errors.Is(err, pgp.ErrLocked) {
			b.x.log.Warn("a set cannot be indexed from one of its objects", "set", s.SetID, "from", source, "reason", err)
		}
		b.tried[attempt{s.SetID, source}] = err
		causes = append(causes, err)
		if n.dirty {
			return errAgain
		}
	}
	b.broken[s.SetID] = unreadable(causes)
	return errAgain
}

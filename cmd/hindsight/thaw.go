package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"hindsight/chain"
	"hindsight/chain/extract"
	"hindsight/chain/store"
)

const (
	maxThawDays = 365

	// thawAtOnce is how many objects are asked for, or looked at, at once.
	thawAtOnce = 8
	// thawLook is how many objects that are not there yet are looked at in one round.
	thawLook = 200

	// Rounds are near each other at first, for servers that are quick.
	firstThawWait, maxThawWait = 2 * time.Second, 10 * time.Minute
)

// warm makes sure, before anything is written, that what a restore reads can be read:
// what is in an archive class is named, or asked for and waited for.
func (o *restoreOptions) warm(ctx context.Context, j *job, repo *repository, sets []*chain.Set, filter extract.Filter) error {
	thawer, ok := repo.Store.(store.Thawer)
	if !ok || !anyCold(sets) {
		return nil
	}
	t := &thaw{j: j, store: thawer, ask: o.thaw, days: o.thawDays}
	// The manifests tell which volumes are needed, and so must be readable first.
	if err := t.wait(ctx, coldManifests(sets)); err != nil {
		return err
	}
	needed, err := neededVolumes(ctx, repo, sets, filter, false)
	if err != nil {
		return err
	}
	return t.wait(ctx, coldOf(needed))
}

// coldManifests are the manifests that may have to be thawed.
func coldManifests(sets []*chain.Set) (cold []chain.Object) {
	for _, s := range sets {
		if s.Manifest.Cold {
			cold = append(cold, *s.Manifest)
		}
	}
	return cold
}

// coldOf are those of some volumes that may have to be thawed.
func coldOf(needed []neededVolume) (cold []chain.Object) {
	for _, n := range needed {
		if n.object.Cold {
			cold = append(cold, n.object)
		}
	}
	return cold
}

// anyCold spares a restore that has nothing in an archive class all of this.
func anyCold(sets []*chain.Set) bool {
	for _, s := range sets {
		for _, o := range s.Objects() {
			if o.Cold {
				return true
			}
		}
	}
	return false
}

// thaw waits for objects in archive classes.
type thaw struct {
	j     *job
	store store.Thawer
	ask   bool
	days  int
}

// wait returns when all objects can be read, or says which cannot.
func (t *thaw) wait(ctx context.Context, objects []chain.Object) error {
	pending, frozen, err := t.look(ctx, objects)
	if err != nil || len(pending) == 0 {
		return err
	}
	if !t.ask {
		return failf(exitStore, "%s; restore --thaw asks for them and waits, mostly for hours", describeCold(pending, len(pending)-len(frozen)))
	}
	total := sizeOf(pending)
	var left, count atomic.Int64 // bytes and objects that are waited for
	left.Store(total)
	count.Store(int64(len(pending)))
	all := int64(len(pending))
	t.j.console.notice("Waiting until %s (%s) can be read, which mostly takes hours; it goes on if this is interrupted and run again",
		plural(all, "object"), ibytes(total))
	stop := t.j.watch(ctx, "thawing", func() progressState {
		return progressState{Stored: total - left.Load(), TotalStored: total, Volumes: all - count.Load(), TotalVolumes: all}
	})
	defer stop()
	for pause := firstThawWait; len(pending) > 0; pause = min(pause+pause/2, maxThawWait) {
		if err := t.request(ctx, frozen); err != nil {
			return err
		}
		if err := pauseFor(ctx, pause); err != nil {
			return err
		}
		near := pending[:min(len(pending), thawLook)]
		still, again, err := t.look(ctx, near)
		if err != nil {
			return err
		}
		if len(still) < len(near) {
			pause = firstThawWait // they come in groups
		}
		pending, frozen = append(still, pending[len(near):]...), again
		left.Store(sizeOf(pending))
		count.Store(int64(len(pending)))
	}
	return nil
}

// look tells which objects cannot be read yet, and which of them nobody has asked for.
func (t *thaw) look(ctx context.Context, objects []chain.Object) (pending, frozen []chain.Object, err error) {
	states := make([]store.Temperature, len(objects))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(thawAtOnce)
	for i, o := range objects {
		g.Go(func() (err error) {
			states[i], err = t.store.Temperature(gctx, o.Key)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	for i, o := range objects {
		switch states[i] {
		case store.Frozen:
			frozen = append(frozen, o)
			fallthrough
		case store.Thawing:
			pending = append(pending, o)
		}
	}
	return pending, frozen, nil
}

func (t *thaw) request(ctx context.Context, frozen []chain.Object) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(thawAtOnce)
	for _, o := range frozen {
		g.Go(func() error { return t.store.Thaw(gctx, o.Key, t.days) })
	}
	return g.Wait()
}

func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func sizeOf(objects []chain.Object) (n int64) {
	for _, o := range objects {
		n += o.Size
	}
	return n
}

// shownCold is how many objects an error names.
const shownCold = 3

// describeCold says in one line what cannot be read.
func describeCold(objects []chain.Object, asked int) string {
	names := make([]string, 0, shownCold)
	for _, o := range objects[:min(len(objects), shownCold)] {
		names = append(names, shown(o.Key))
	}
	text := strings.Join(names, ", ")
	if more := len(objects) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	are := "are"
	if len(objects) == 1 {
		are = "is"
	}
	already := ""
	if asked > 0 {
		already = fmt.Sprintf(", %d of them asked for already", asked)
	}
	return fmt.Sprintf("%s (%s) %s in an archive class and must be thawed first%s: %s",
		plural(int64(len(objects)), "object"), ibytes(sizeOf(objects)), are, already, text)
}

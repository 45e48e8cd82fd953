package main

import (
	"context"
	"errors"
	"fmt"

	"hindsight/chain"
	"hindsight/chain/naming"
)

// newest is the time that is meant where none is given. It is not now: the clock of
// who wrote the newest backup may be a little ahead.
const newest naming.Time = 0

// stateTime reads --time.
func (j *job) stateTime(arg string) (naming.Time, error) {
	if arg == "" {
		return newest, nil
	}
	return j.moment(arg)
}

// state finds the sets of the state at a time, and warns when that is not the state
// of the newest backup made before it.
func (j *job) state(ctx context.Context, repo *repository, at naming.Time) ([]*chain.Set, error) {
	col, err := chain.Load(ctx, repo.Store, repo.Scheme)
	if err != nil {
		return nil, err
	}
	return j.setsAt(col, at)
}

// setsAt is state of a collection that is known.
func (j *job) setsAt(col *chain.Collection, at naming.Time) ([]*chain.Set, error) {
	if at == newest {
		at = naming.TimeOf(j.currentTime())
		if ch := col.Latest(); ch != nil {
			at = max(at, ch.End())
		}
	}
	ch, err := col.At(at)
	if err != nil {
		return nil, nothingComplete(col, err)
	}
	sets := ch.Until(at)
	if first := sets[0].End; first > at {
		j.console.warn("", fmt.Errorf("%s is before the first backup, whose state of %s is used", stamp(at), stamp(first)))
	}
	j.warnShadowed(col, sets[len(sets)-1].End, at)
	return sets, nil
}

// nothingComplete says of an ErrNoChain why there is none, if there is something.
func nothingComplete(col *chain.Collection, err error) error {
	if n := len(col.Incomplete); errors.Is(err, chain.ErrNoChain) && n > 0 {
		return failf(exitNothing, "no complete backup found: %s incomplete (interrupted, or the manifest is lost); "+
			"put back a lost manifest, or make a new backup", isAre(n, "backup set"))
	}
	return err
}

// warnShadowed tells of backups between the state that is used and the time asked
// for, whose states are out of reach.
func (j *job) warnShadowed(col *chain.Collection, used, at naming.Time) {
	tell := func(sets []*chain.Set, why string) {
		for _, s := range sets {
			if used < s.End && s.End <= at {
				j.console.warn("", fmt.Errorf("the backup of %s %s: the older state of %s is used", stamp(s.End), why, stamp(used)))
			}
		}
	}
	tell(col.Incomplete, "was interrupted or has lost its manifest")
	tell(col.Orphans, "cannot be reached, as the one it builds on is missing")
	tell(col.Superseded, "was replaced by a later one from the same basis")
}

// isAre is a count with its noun and verb.
func isAre(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return plural(int64(n), noun) + " are"
}

// stamp shows a time in UTC.
func stamp(t naming.Time) string { return t.Time().Format(stampLayout) }

const stampLayout = "2006-01-02 15:04:05 MST"

// composition is "full + 3 incrementals".
func composition(sets []*chain.Set) string {
	if n := int64(len(sets) - 1); n > 0 {
		return "full + " + plural(n, "incremental")
	}
	return "full"
}

// printJSON writes a result as one line.
func (j *job) printJSON(v any) error { return writeJSON(j.env.Stdout, v) }

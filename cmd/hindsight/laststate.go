package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/index"
)

// lastState is the index as a backup uses it: for the tree that it builds on, and for
// what it has made of that. Without an index the backup is as good, only slower.
type lastState struct {
	repo  *repository
	index *index.Index // nil: there is none

	dry    bool
	behind int // sets that the backup builds on and the index lacks
}

// maxBehind is how many sets the index may lack that say nothing new: a night without
// changes is to cost nothing but the walk, and each such set a little of the next one.
const maxBehind = 8

// lastState opens the index of a repository and lets a backup look into it.
func (j *job) lastState(repo *repository, opt *backup.Options) *lastState {
	l := &lastState{repo: repo, dry: opt.DryRun}
	identity, err := j.identity(repo.place)
	if err == nil {
		l.index, err = index.Open(filepath.Join(repo.cache, indexName), index.Options{Identity: identity, Log: repo.Log})
	}
	if err != nil {
		repo.Log.Info("the index cannot be used", "error", err)
		return l
	}
	opt.Last = func(ctx context.Context, base []*chain.Set) (chain.State, int, error) {
		tree, n, err := l.index.State(ctx, opt.Repository, base)
		l.behind = len(base) - n
		if tree == nil { // which is no chain.State that is nil
			return nil, 0, err
		}
		return tree, n, err
	}
	return l
}

// run makes the backup, once more without the index if that is damaged.
func (l *lastState) run(ctx context.Context, opt backup.Options) (*backup.Statistics, error) {
	stats, err := backup.Run(ctx, opt)
	if !errors.Is(err, index.ErrDamaged) || ctx.Err() != nil {
		return stats, err
	}
	l.repo.Log.Warn("the index is dropped, and the backup begun again", "reason", err)
	if err := errors.Join(l.close(), index.Drop(ctx, filepath.Join(l.repo.cache, indexName))); err != nil {
		l.repo.Log.Info("the index cannot be dropped", "error", err)
	}
	opt.Last, opt.Progress = nil, new(backup.Progress)
	return backup.Run(ctx, opt)
}

// update takes what was backed up into the index, unless that is nothing.
func (l *lastState) update(ctx context.Context, stats *backup.Statistics) error {
	defer l.close()
	if l.index == nil || l.dry {
		return nil
	}
	if stats.Set.Inc && stats.DeltaEntries == 0 && l.behind < maxBehind {
		return nil
	}
	col, err := chain.Load(ctx, l.repo.Store, l.repo.Scheme)
	if err == nil {
		_, err = l.index.Build(ctx, &l.repo.Repository, col, index.BuildOptions{Cheap: own(col)})
	}
	if err != nil && ctx.Err() == nil {
		l.repo.Log.Info("the index is not up to date", "error", err)
	}
	return ctx.Err()
}

// own are the sets of the chain that is being continued, which this machine knows most
// of. What others there are is taken in by whoever wants to see them.
func own(col *chain.Collection) func(*chain.Set) bool {
	latest := col.Latest()
	return func(s *chain.Set) bool {
		return slices.Contains(latest.Sets, s) && (s.TOC != nil || s.Signatures != nil)
	}
}

func (l *lastState) close() error {
	if l.index == nil {
		return nil
	}
	x := l.index
	l.index = nil
	return x.Close()
}

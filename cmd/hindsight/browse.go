package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hindsight/chain"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/index"
)

// browsing is an open repository with its index.
type browsing struct {
	*repository
	collection *chain.Collection
	index      *index.Index
	temporary  string // directory of an index that cannot be kept
	damaged    string // what the collection was when part of it could not be taken in
}

// browse opens a repository and its index, and brings that up to date.
func (j *job) browse(ctx context.Context, url string) (*browsing, error) {
	repo, err := j.open(url, reading)
	if err != nil {
		return nil, err
	}
	b := &browsing{repository: repo}
	if err := b.open(ctx, j); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *browsing) open(ctx context.Context, j *job) (err error) {
	if b.collection, err = chain.Load(ctx, b.Store, b.Scheme); err != nil {
		return err
	}
	if b.collection.Latest() == nil {
		_, err := b.collection.At(0)
		return nothingComplete(b.collection, err)
	}
	dir, err := b.indexDir()
	if err != nil {
		return err
	}
	identity, err := j.identity(b.place)
	if err != nil {
		return err
	}
	if b.index, err = index.Open(dir, index.Options{Identity: identity, Log: b.Log}); err != nil {
		return err
	}
	_, err = b.update(ctx, j)
	return err
}

// indexName is the directory of the index in a cache.
const indexName = "index"

// indexDir is where the index is, or a place of its own for this run where there is no
// cache.
func (b *browsing) indexDir() (string, error) {
	if b.Archive != nil {
		return filepath.Join(b.cache, indexName), nil
	}
	dir, err := os.MkdirTemp("", "hindsight-index-")
	b.temporary = dir
	return dir, err
}

// close gives back what browse took.
func (b *browsing) close() error {
	var errs []error
	if b.index != nil {
		errs = append(errs, b.index.Close())
	}
	if b.temporary != "" {
		errs = append(errs, os.RemoveAll(b.temporary))
	}
	return errors.Join(append(errs, b.repository.close())...)
}

// indexPeriod is how often a long build of the index tells how far it is.
const indexPeriod = 10 * time.Second

// update takes in what the index lacks. A set that cannot be read is warned about: the
// others can be browsed.
func (b *browsing) update(ctx context.Context, j *job) (changed bool, err error) {
	now := fingerprint(b.collection)
	if now == b.damaged || !b.index.Stale(b.collection) {
		return b.index.Refresh()
	}
	told := time.Now()
	before := b.index.Generation() // Build may take one that somebody else has made meanwhile, and do nothing
	_, err = b.index.Build(ctx, &b.Repository, b.collection, index.BuildOptions{Progress: func(done, total int) {
		if now := time.Now(); done < total && now.Sub(told) >= indexPeriod {
			told = now
			j.console.notice("Indexing: %d of %s", done, plural(int64(total), "backup set"))
		}
	}})
	if err == nil || ctx.Err() != nil {
		return b.index.Generation() != before, err
	}
	if len(b.index.Snapshots()) == 0 {
		return false, err
	}
	j.console.warn("", err)
	if storage := (*store.Error)(nil); !errors.As(err, &storage) {
		b.damaged = now // it takes long to find that out, and will be so until something changes
	}
	return true, nil
}

// unlock sees to it that the newest backup can be decrypted: while there is a terminal at
// which a passphrase can be asked for. Whether it is damaged shows where it is read.
func (b *browsing) unlock(ctx context.Context) error {
	sets := b.collection.Latest().Sets
	s := sets[len(sets)-1]
	if !s.Manifest.Encrypted {
		return nil
	}
	if _, err := b.Manifest(ctx, s); ctx.Err() != nil || errors.Is(err, pgp.ErrLocked) {
		return err
	}
	return nil
}

// tellPrefetch makes what tells of a long prefetch, every while, how far it is.
func (j *job) tellPrefetch() func(done, total int64) {
	told := time.Now()
	return func(done, total int64) {
		if now := time.Now(); done < total && now.Sub(told) >= linePeriod {
			told = now
			j.console.notice("Prefetching: %s of %s", ibytes(done), ibytes(total))
		}
	}
}

// fingerprint tells collections apart.
func fingerprint(c *chain.Collection) string {
	var b strings.Builder
	for _, ch := range c.Chains {
		for _, s := range ch.Sets {
			fmt.Fprintln(&b, s.SetID, len(s.Objects()), s.Size())
		}
	}
	return b.String()
}

// reload lists the store again and takes in what is new.
func (b *browsing) reload(ctx context.Context, j *job) (changed bool, err error) {
	col, err := chain.Load(ctx, b.Store, b.Scheme)
	if err != nil {
		return false, err
	}
	b.collection = col
	return b.update(ctx, j)
}

// snapshotAt finds the snapshot of a time, and warns of what state warns of.
func (b *browsing) snapshotAt(j *job, at naming.Time) (*index.Snapshot, error) {
	sets, err := j.setsAt(b.collection, at)
	if err != nil {
		return nil, err
	}
	want := sets[len(sets)-1].SetID
	for _, s := range b.index.Snapshots() {
		if s.Set == want {
			return s, nil
		}
	}
	return nil, failf(exitFailure, "the backup of %s cannot be browsed; give an earlier --time, or restore --ignore-errors", stamp(sets[len(sets)-1].End))
}

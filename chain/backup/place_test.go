package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/dirstore"
	"hindsight/chain/extract"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// place is a repository, with its archive, and how it is written.
type place struct {
	dir    string // of a repository in a folder
	repo   *chain.Repository
	pool   *codec.Pool
	format codec.Format
	rcpt   pgp.Recipients // if encrypted
}

// newPlace is an empty repository in a folder.
func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *dirstore.Store {
		st, err := dirstore.Open(filepath.Join(dir, name), true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	p := placeOn(t, open("repo"), open("cache"))
	p.dir = filepath.Join(dir, "repo")
	return p
}

// placeOn is a repository on stores.
func placeOn(t *testing.T, st, archive store.Store) *place {
	t.Helper()
	p := &place{
		repo: &chain.Repository{Store: st, Archive: archive}, pool: codec.NewPool(2, 0),
		format: codec.Format{Compressed: true},
	}
	t.Cleanup(p.pool.Close)
	return p
}

// hostname is the name of this host as duplicity stores it.
func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}

// run makes a backup. Options that are not given are filled in.
func (p *place) run(t *testing.T, ctx context.Context, src string, at int64, opt backup.Options) (*backup.Statistics, error) {
	t.Helper()
	opt.Repository = p.repo
	opt.Source.Root = src
	opt.Time = naming.Time(at)
	opt.Set.Pool, opt.Set.Format = p.pool, p.format
	if opt.Set.LocalDir == "" {
		opt.Set.LocalDir = src
	}
	if opt.Hostnames == nil {
		opt.Hostnames = []string{hostname(t)}
	}
	if p.format.Encrypted {
		s, err := p.repo.Keys.NewSession(ctx, p.rcpt, pgp.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		opt.Set.Session = s
	}
	if opt.Warn == nil {
		opt.Warn = func(path string, err error) { t.Errorf("warning: %q: %v", path, err) }
	}
	return backup.Run(ctx, opt)
}

// backup makes a backup that must succeed.
func (p *place) backup(t *testing.T, src string, at int64, opt backup.Options) *backup.Statistics {
	t.Helper()
	stats, err := p.run(t, t.Context(), src, at, opt)
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// warnings collects what a run warns about, by path.
type warnings map[string]error

func (w warnings) warn(path string, err error) { w[path] = err }

// load lists the repository.
func (p *place) load(t *testing.T) *chain.Collection {
	t.Helper()
	col, err := chain.Load(t.Context(), p.repo.Store, p.repo.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	return col
}

// restore extracts the state at a time.
func (p *place) restore(t *testing.T, at int64) string {
	t.Helper()
	ch, err := p.load(t).At(naming.Time(at))
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "target")
	sink, err := extract.NewDisk(target, extract.DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	res, err := extract.Run(t.Context(), extract.Options{
		Repository: p.repo, Sets: ch.Until(naming.Time(at)), Sink: sink,
		Lost: func(path string, err error) { t.Errorf("lost %q: %v", path, err) },
	})
	if err != nil || !res.Found {
		t.Fatalf("extract: %+v, %v", res, err)
	}
	return target
}

// wantState restores the state at a time and compares it.
func (p *place) wantState(t *testing.T, at int64, want treetest.Tree) {
	t.Helper()
	target := p.restore(t, at)
	if !treetest.Equal(t, treetest.Record(t, target), want, treetest.AsDuplicity()) {
		t.Errorf("that was the state at %d", at)
	}
	if err := os.RemoveAll(target); err != nil {
		t.Error(err)
	}
}

package main

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"hindsight/chain"
	"hindsight/chain/dirstore"
	"hindsight/chain/naming"
	"hindsight/chain/store"
)

// repository is an open backup and its local cache.
type repository struct {
	chain.Repository
	place   place        // of the store
	cache   string       // directory
	release func() error // gives back the lock
}

// access says what a command does with a repository.
type access int

const (
	reading  access = iota
	deleting        // alone on this machine
	writing         // likewise, and the store need not be there yet
)

// open is the composition root: it finds the store of a URL, the keys, and the local
// cache.
func (j *job) open(url string, a access) (*repository, error) {
	place, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if err := j.checkNames(); err != nil {
		return nil, err
	}
	cache, err := j.cacheDir(place)
	if err != nil {
		return nil, err
	}
	r := &repository{place: place, cache: cache, release: func() error { return nil }}
	r.Scheme, r.Log, r.Keys = j.opt.scheme, j.console.logger(), j.keyring(a == writing)
	r.ManifestMemory = int64(j.opt.memory) / 4
	r.Archive, err = openArchive(cache)
	switch {
	case err != nil && a == reading: // it only saves fetching again
		r.Log.Info("no local cache", "error", err)
		r.Archive = nil
	case err != nil:
		return nil, advise(err, adviceCache)
	}
	if a != reading {
		if r.release, err = lock(cache); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	r.Store, err = j.openPlace(place, false)
	if a == writing && errors.Is(err, store.ErrNotExist) {
		r.Store, err = nothing{}, nil
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

const adviceCache = "give --cache-dir a directory in which this user may write"

// create makes the store if it is not there yet. What was wrong with the keys has
// been said by then, so that no mistake leaves an empty directory.
func (r *repository) create() error {
	if _, absent := r.Store.(nothing); !absent {
		return nil
	}
	s, err := openDir(r.place.dir, true)
	if err == nil {
		r.Store = s
	}
	return err
}

// close gives back all that the repository holds.
func (r *repository) close() error {
	var errs []error
	for _, s := range []store.Store{r.Store, r.Archive} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if r.release != nil {
		errs = append(errs, r.release())
	}
	return errors.Join(errs...)
}

// checkNames refuses options that no object or directory could be named by.
func (j *job) checkNames() error {
	s := j.opt.scheme
	for option, value := range map[string]string{
		"file-prefix": s.Prefix, "file-prefix-archive": s.Archive, "file-prefix-manifest": s.Manifest,
		"file-prefix-signature": s.Signature, "file-prefix-jsonstat": s.Jsonstat, "name": j.opt.name,
	} {
		if strings.ContainsAny(value, "/\x00") || value == "." || value == ".." {
			return usagef("--%s %q: must be part of one name", option, value)
		}
	}
	return nil
}

// cacheDir is the directory of the repository's cache. Its default name is that of
// duplicity, for the URL of the absolute path: one repository has one cache and one
// lock, however its URL is written, and several repositories in one place, told apart
// by prefixes, have one each.
func (j *job) cacheDir(p place) (string, error) {
	base := j.opt.cacheDir
	if base == "" {
		user, err := j.env.userDir("XDG_CACHE_HOME", ".cache")
		if err != nil {
			return "", usagef("%w: give --cache-dir DIR", err)
		}
		base = filepath.Join(user, "hindsight")
	}
	if j.opt.name != "" {
		return filepath.Join(base, j.opt.name), nil
	}
	id, err := j.identity(p)
	if err != nil {
		return "", err
	}
	sum := md5.Sum([]byte(id))
	return filepath.Join(base, hex.EncodeToString(sum[:])), nil
}

// identity tells repositories apart, however their URLs are written.
func (j *job) identity(p place) (string, error) {
	endpoint, err := j.endpoint()
	if err != nil && p.isS3() {
		return "", err
	}
	where, err := p.location(endpoint)
	if err != nil {
		return "", err
	}
	if s := j.opt.scheme; s != (naming.Scheme{OnlyShort: s.OnlyShort, TimeSeparator: s.TimeSeparator}) {
		where += "\x00" + strings.Join([]string{s.Prefix, s.Archive, s.Manifest, s.Signature, s.Jsonstat}, "\x00")
	}
	return where, nil
}

// openArchive opens the archive within a cache directory, which nobody else may look
// into: it is never encrypted.
func openArchive(cache string) (store.Store, error) {
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, err
	}
	return openDir(filepath.Join(cache, "archive"), true)
}

// openDir opens a directory as a store, nil after an error.
func openDir(dir string, create bool) (store.Store, error) {
	s, err := dirstore.Open(dir, create)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// nothing is the store that is not there yet.
type nothing struct{}

var _ store.Store = nothing{}

func (nothing) List(context.Context, string) iter.Seq2[store.Object, error] {
	return func(func(store.Object, error) bool) {}
}

func (nothing) Get(_ context.Context, name string, _, _ int64) (io.ReadCloser, error) {
	return nil, &store.Error{Op: "get", Name: name, Kind: store.ErrNotExist}
}

func (nothing) Put(_ context.Context, name string, _ store.Body, _ store.PutOptions) error {
	return &store.Error{Op: "put", Name: name, Kind: store.ErrNotExist}
}

func (nothing) Delete(context.Context, string) error { return nil }
func (nothing) Close() error                         { return nil }

// head is the beginning of an object, long enough for its session key packets.
func (r *repository) head(ctx context.Context, key string) (head []byte, err error) {
	body, err := r.Store.Get(ctx, key, 0, 4<<10)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	return io.ReadAll(body)
}

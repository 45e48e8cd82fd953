// Package chaintest helps tests that need whole repositories: golden ones, and some
// that it makes.
package chaintest

import (
	"context"
	"path/filepath"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/dirstore"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/source"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// Repository is a folder of sets that a test makes from a source tree.
type Repository struct {
	chain.Repository
	Source string // folder of the tree
	Dir    string // folder of the objects
	Set    chain.SetOptions

	t testing.TB
}

// New returns an empty repository without encryption, with volumes of 1 MiB.
func New(t testing.TB) *Repository {
	t.Helper()
	tmp := t.TempDir()
	r := &Repository{t: t, Source: filepath.Join(tmp, "source"), Dir: filepath.Join(tmp, "repo")}
	r.Store = openStore(t, r.Dir, true)
	r.Archive = openStore(t, filepath.Join(tmp, "archive"), true)
	pool := codec.NewPool(2, 8<<20)
	t.Cleanup(pool.Close)
	r.Set = chain.SetOptions{VolumeSize: 1 << 20, Format: codec.Format{Compressed: true}, Pool: pool}
	return r
}

// Encrypt makes the sets to come encrypted with a passphrase.
func (r *Repository) Encrypt(passphrase string) {
	r.t.Helper()
	r.Keys = pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(passphrase)), S2KCount: 1024, GnuPGHome: r.t.TempDir()})
	session, err := r.Keys.NewSession(context.Background(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Set.Format, r.Set.Session = codec.Format{Encrypted: true, Compressed: true}, session
}

func openStore(t testing.TB, dir string, create bool) store.Store {
	t.Helper()
	st, err := dirstore.Open(dir, create)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// Backup adds a set.
func (r *Repository) Backup(at int64, mode backup.Mode) {
	r.t.Helper()
	_, err := backup.Run(context.Background(), backup.Options{
		Repository: &r.Repository, Source: source.Options{Root: r.Source}, Mode: mode, Time: naming.Time(at), Set: r.Set,
		Hostnames: []string{"host"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// Load lists what is there.
func (r *Repository) Load() *chain.Collection {
	r.t.Helper()
	return Load(r.t, &r.Repository)
}

// Load lists what a repository has.
func Load(t testing.TB, r *chain.Repository) *chain.Collection {
	t.Helper()
	c, err := chain.Load(context.Background(), r.Store, r.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Open opens a folder of sets that somebody else made with a passphrase.
func Open(t testing.TB, dir, passphrase string) *chain.Repository {
	t.Helper()
	return &chain.Repository{Store: openStore(t, dir, false), Keys: pgp.NewKeyring(pgp.Options{
		Passphrase: pgp.Passphrase([]byte(passphrase)), GnuPGHome: t.TempDir(),
	})}
}

// Golden opens a golden repository.
func Golden(t testing.TB, c *treetest.Case) (*chain.Repository, *chain.Collection) {
	t.Helper()
	var keys []string
	for _, k := range c.Keys {
		keys = append(keys, k.Secret)
	}
	r := &chain.Repository{
		Store: openStore(t, c.Repo, false),
		Scheme: naming.Scheme{
			Prefix: c.Option("--file-prefix"), Archive: c.Option("--file-prefix-archive"),
			Manifest: c.Option("--file-prefix-manifest"), Signature: c.Option("--file-prefix-signature"),
		},
		Keys: pgp.NewKeyring(pgp.Options{
			Passphrase: pgp.Passphrase([]byte(c.Passphrase())), KeyFiles: keys, GnuPGHome: t.TempDir(),
		}),
	}
	return r, Load(t, r)
}

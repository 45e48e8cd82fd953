package index_test

import (
	"context"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/dirstore"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/source"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// TestMain fails if a test leaves goroutines behind, but for those of a library that
// badger starts when it is loaded.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// repository is a folder of sets that a test makes.
type repository struct {
	t      *testing.T
	Source string
	Dir    string
	chain.Repository
	set chain.SetOptions
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	tmp := t.TempDir()
	r := &repository{t: t, Source: filepath.Join(tmp, "source"), Dir: filepath.Join(tmp, "repo")}
	r.Store = openStore(t, r.Dir)
	r.Archive = openStore(t, filepath.Join(tmp, "archive"))
	pool := codec.NewPool(2, 8<<20)
	t.Cleanup(pool.Close)
	r.set = chain.SetOptions{VolumeSize: 1 << 20, Format: codec.Format{Compressed: true}, Pool: pool}
	return r
}

func openStore(t *testing.T, dir string) *dirstore.Store {
	t.Helper()
	st, err := dirstore.Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// backup adds a set.
func (r *repository) backup(at int64, mode backup.Mode) {
	r.t.Helper()
	_, err := backup.Run(context.Background(), backup.Options{
		Repository: &r.Repository, Source: source.Options{Root: r.Source}, Mode: mode, Time: naming.Time(at), Set: r.set,
		Hostnames: []string{"host"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *repository) load() *chain.Collection {
	r.t.Helper()
	c, err := chain.Load(context.Background(), r.Store, r.Scheme)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// openIndex opens an index that is closed with the test.
func openIndex(t *testing.T, dir string) *index.Index {
	t.Helper()
	x, err := index.Open(dir, index.Options{Identity: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func build(t *testing.T, x *index.Index, r *chain.Repository, c *chain.Collection) index.BuildResult {
	t.Helper()
	res, err := x.Build(context.Background(), r, c, index.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// tree is a snapshot as treetest records it. What the index does not know of a file's
// content is taken from like.
func tree(t *testing.T, s *index.Snapshot, like treetest.Tree) treetest.Tree {
	t.Helper()
	var out treetest.Tree
	err := s.Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
		n := treetest.Entry{
			Path: path, Mode: e.Mode, UID: e.UID, GID: e.GID, MTime: e.Sec, MTimeNanos: int64(e.Nsec), Target: e.Linkname,
			Major: e.Major, Minor: e.Minor, Type: types[e.Type],
		}
		if e.Type == difftar.Regular {
			was, _ := like.Lookup(path)
			n.SHA256, n.Size = was.SHA256, was.Size
			if e.Size >= 0 {
				n.Size = e.Size
			}
		}
		out = append(out, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var types = map[difftar.Type]treetest.Type{
	difftar.Regular: treetest.TypeFile, difftar.Directory: treetest.TypeDir, difftar.Symlink: treetest.TypeSymlink,
	difftar.CharDevice: treetest.TypeChar, difftar.BlockDevice: treetest.TypeBlock, difftar.Fifo: treetest.TypeFifo,
}

// golden opens a golden repository.
func golden(t *testing.T, c *treetest.Case) (*chain.Repository, *chain.Collection) {
	t.Helper()
	st, err := dirstore.Open(c.Repo, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	scheme := naming.Scheme{
		Prefix: c.Option("--file-prefix"), Archive: c.Option("--file-prefix-archive"),
		Manifest: c.Option("--file-prefix-manifest"), Signature: c.Option("--file-prefix-signature"),
	}
	var keys []string
	for _, k := range c.Keys {
		keys = append(keys, k.Secret)
	}
	r := &chain.Repository{Store: st, Scheme: scheme, Keys: pgp.NewKeyring(pgp.Options{
		Passphrase: pgp.Passphrase([]byte(c.Passphrase())), KeyFiles: keys, GnuPGHome: t.TempDir(),
	})}
	col, err := chain.Load(context.Background(), st, scheme)
	if err != nil {
		t.Fatal(err)
	}
	return r, col
}

package content_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/index"
	"hindsight/index/content"
)

// TestMain fails if a test leaves goroutines behind, but for those of a library that
// badger starts when it is loaded.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// open indexes a repository and opens its content.
func open(t testing.TB, r *chain.Repository, col *chain.Collection, opt content.Options) (*index.Index, *content.Cache) {
	t.Helper()
	x, err := index.Open(t.TempDir(), index.Options{Identity: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	if _, err := x.Build(context.Background(), r, col, index.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := content.New(x, r, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if s := c.Stats(); s.Peak > max(opt.Memory, content.MinMemory) && opt.Memory > 0 {
			t.Errorf("%d bytes in use at once, of %d", s.Peak, opt.Memory)
		}
	})
	return x, c
}

// slurp reads a file from its beginning to its end.
func slurp(c *content.Cache, s *index.Snapshot, id index.ID) ([]byte, error) {
	ctx := context.Background()
	f, err := c.Open(ctx, s, id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := make([]byte, f.Size())
	for n := 0; n < len(out); {
		k, err := f.ReadAt(ctx, out[n:min(n+100_000, len(out))], int64(n))
		if n += k; err != nil && err != io.EOF {
			return nil, err
		}
	}
	return out, nil
}

// check compares all of a snapshot with a tree, but for the files that are lost.
func check(t *testing.T, c *content.Cache, s *index.Snapshot, want treetest.Tree) (lost map[string]error) {
	t.Helper()
	lost = make(map[string]error)
	var got treetest.Tree
	err := s.Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
		n := treetest.Entry{
			Path: path, Mode: e.Mode, UID: e.UID, GID: e.GID, MTime: e.Sec, MTimeNanos: int64(e.Nsec), Target: e.Linkname,
			Major: e.Major, Minor: e.Minor, Type: types[e.Type],
		}
		if e.Type == difftar.Regular {
			data, err := slurp(c, s, e.ID)
			if err == nil {
				if e, err = c.Stat(context.Background(), s, e.ID); err == nil && e.Size != int64(len(data)) {
					t.Errorf("%q: %d bytes, size %d", path, len(data), e.Size)
				}
			}
			if err != nil {
				lost[path] = err
				was, _ := want.Lookup(path)
				n.Size, n.SHA256 = was.Size, was.SHA256
			} else {
				n.Size, n.SHA256 = int64(len(data)), sha256.Sum256(data)
			}
		}
		got = append(got, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Equal(t, got, want, treetest.AsDuplicity())
	return lost
}

var types = map[difftar.Type]treetest.Type{
	difftar.Regular: treetest.TypeFile, difftar.Directory: treetest.TypeDir, difftar.Symlink: treetest.TypeSymlink,
	difftar.CharDevice: treetest.TypeChar, difftar.BlockDevice: treetest.TypeBlock, difftar.Fifo: treetest.TypeFifo,
}

// TestGoldenRepositories reads every file of every snapshot of the golden repositories.
// Where objects are damaged or missing only files in them may be lost.
func TestGoldenRepositories(t *testing.T) {
	for i, gold := range treetest.LoadCases(t) {
		if treetest.Short() && i%7 != 0 {
			continue
		}
		t.Run(gold.Name, func(t *testing.T) {
			if testing.Short() && len(gold.Env) > 0 {
				t.Skip("keys of passphrases take long")
			}
			r, col := chaintest.Golden(t, gold)
			x, c := open(t, r, col, content.Options{})
			for _, at := range gold.Times {
				s := x.At(naming.Time(at))
				if s == nil || !gold.Restorable(at) && s.Time != naming.Time(at) {
					continue
				}
				want := gold.Source(t, at)
				if gold.Restorable(at) {
					want = gold.Expected(t, at)
				}
				for path, err := range check(t, c, s, want) {
					var corrupt *chain.CorruptError
					if gold.Restorable(at) || !errors.As(err, &corrupt) && !errors.Is(err, chain.ErrMissingVolume) {
						t.Errorf("%d: %q: %v", at, path, err)
					}
				}
			}
		})
	}
}

// history makes a repository with several sets, and says what the trees were.
func history(t *testing.T, r *chaintest.Repository, seed uint64, sets int) map[naming.Time]treetest.Tree {
	rng := treetest.Rand(t, seed)
	opt := treetest.RandomOptions{OddNames: true, MaxSize: 900_000}
	treetest.Random(t, r.Source, rng, opt)
	want := make(map[naming.Time]treetest.Tree)
	for day := range sets {
		at := int64(treetest.BaseTime) + int64(day)*1000
		if day > 0 {
			treetest.Mutate(t, r.Source, rng, at-100, 15, opt)
		}
		r.Backup(at, backup.Auto)
		want[naming.Time(at)] = treetest.Record(t, r.Source)
	}
	return want
}

// TestRandomHistory reads everything of repositories of our own.
func TestRandomHistory(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		if treetest.Short() && encrypted {
			continue
		}
		r := chaintest.New(t)
		if encrypted {
			r.Encrypt("secret")
		}
		sets := 6
		if treetest.Short() {
			sets = 3
		}
		want := history(t, r, 5, sets)
		x, c := open(t, &r.Repository, r.Load(), content.Options{Memory: content.MinMemory, Disk: filepath.Join(t.TempDir(), "disk")})
		for _, s := range x.Snapshots() {
			for path, err := range check(t, c, s, want[s.Time]) {
				t.Errorf("%v: %q: %v", s.Time, path, err)
			}
		}
	}
}

// TestHeld finds a file in memory once it was read, and not before.
func TestHeld(t *testing.T) {
	r := chaintest.New(t)
	history(t, r, 3, 3)
	x, c := open(t, &r.Repository, r.Load(), content.Options{})
	s := x.Snapshots()[2]
	found := 0
	err := s.Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
		if e.Type != difftar.Regular || e.Size == 0 {
			return nil
		}
		p := make([]byte, e.Size)
		extents, err := s.Extents(e.ID)
		if err != nil {
			return err
		}
		if c.Held(extents, p) && found == 0 {
			t.Errorf("%q is held before it is read", path)
		}
		want, err := slurp(c, s, e.ID)
		if err != nil {
			return err
		}
		if held := c.Held(extents, p); !held || !bytes.Equal(p, want) {
			t.Errorf("%q, %d bytes, is not what was read, held: %v", path, e.Size, held)
		}
		if c.Held(extents, p[1:]) {
			t.Errorf("a byte less of %q is held", path)
		}
		found++
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d files, %v", found, err)
	}
}

// TestParallelReaders has many readers at once within a small budget, at random places
// and in order, over several snapshots.
func TestParallelReaders(t *testing.T) {
	r := chaintest.New(t)
	history(t, r, 6, 4)
	x, c := open(t, &r.Repository, r.Load(), content.Options{Memory: content.MinMemory})
	type file struct {
		s    *index.Snapshot
		id   index.ID
		want []byte
	}
	var files []file
	for _, s := range x.Snapshots() {
		err := s.Walk(context.Background(), index.Root, func(_ string, e index.Entry) error {
			if e.Type != difftar.Regular {
				return nil
			}
			want, err := slurp(c, s, e.ID)
			files = append(files, file{s, e.ID, want})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rounds := 150
	if treetest.Short() {
		rounds = 50
	}
	var wg sync.WaitGroup
	for n := range uint64(12) {
		rng := rand.New(rand.NewPCG(n, 7))
		wg.Go(func() {
			for range rounds {
				f := files[rng.IntN(len(files))]
				h, err := c.Open(context.Background(), f.s, f.id)
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					off := rng.IntN(len(f.want) + 1)
					p := make([]byte, rng.IntN(200_000))
					k, err := h.ReadAt(context.Background(), p, int64(off))
					if err != nil && err != io.EOF || (err == io.EOF) != (off+len(p) > len(f.want) || off >= len(f.want)) {
						t.Errorf("%d bytes at %d of %d: %d, %v", len(p), off, len(f.want), k, err)
					}
					if !bytes.Equal(p[:k], f.want[off:off+k]) || err == nil && k < len(p) {
						t.Errorf("%d bytes at %d of %d are not those that were stored", k, off, len(f.want))
					}
				}
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Misses == 0 || s.Hits == 0 {
		t.Errorf("%+v", s)
	}
}

package index_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/naming"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// TestScansTellSizes asks for the sizes of all files of golden repositories of every
// kind, and for where they lie. Other processes see what was found, and no volume is
// read twice.
func TestScansTellSizes(t *testing.T) {
	for _, name := range []string{"multivol-gz", "multivol-gpg-v3", "multivol-none", "mixed-encryption", "sizes", "gnu-tar", "max-blocksize"} {
		t.Run(name, func(t *testing.T) {
			c := treetest.LoadCase(t, name)
			if testing.Short() && len(c.Env) > 0 {
				t.Skip("keys of passphrases take long")
			}
			r, col := chaintest.Golden(t, c)
			log := storetest.NewOpLog(r.Store)
			r.Store = log
			dir := t.TempDir()
			x, other := openIndex(t, dir), openIndex(t, dir)
			build(t, x, r, col)
			refresh(t, other)
			scanners := []*index.Scanner{index.NewScanner(x, r), index.NewScanner(other, r)}
			for _, at := range c.Times {
				want := c.Expected(t, at)
				var wg sync.WaitGroup
				for i, sc := range scanners {
					s := []*index.Index{x, other}[i].At(naming.Time(at))
					wg.Go(func() { checkSizes(t, sc, s, want) })
				}
				wg.Wait()
			}
			for _, sc := range scanners {
				if err := sc.Close(); err != nil {
					t.Error(err)
				}
			}
			whole := make(map[string]int)
			for _, rec := range log.Records() {
				if n, ok := r.Scheme.Parse(rec.Name); ok && rec.Op == storetest.Get && n.Kind == naming.Volume && rec.Len < 0 {
					whole[rec.Name]++
				}
			}
			for name, n := range whole {
				if n > 1 {
					t.Errorf("%s was read %d times", name, n)
				}
			}
			if len(whole) == 0 {
				t.Error("nothing was scanned")
			}
			third := openIndex(t, dir)
			for _, at := range c.Times {
				want := c.Expected(t, at)
				treetest.Equal(t, tree(t, third.At(naming.Time(at)), want), want, treetest.AsDuplicity())
			}
		})
	}
}

// checkSizes compares sizes and extents of all files of a snapshot.
func checkSizes(t *testing.T, sc *index.Scanner, s *index.Snapshot, want treetest.Tree) {
	ctx := context.Background()
	err := s.Walk(ctx, index.Root, func(path string, e index.Entry) error {
		if e.Type != difftar.Regular {
			return nil
		}
		e, err := sc.Stat(ctx, s, e.ID)
		if err != nil {
			return err
		}
		if w, _ := want.Lookup(path); e.Size != w.Size {
			t.Errorf("%q has a size of %d, want %d", path, e.Size, w.Size)
		}
		extents, err := sc.Extents(ctx, s, e.ID)
		if n := extent.Size(extents); err != nil || n != e.Size {
			t.Errorf("%q: extents of %d bytes of %d, %v", path, n, e.Size, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestMended looks at a file of a damaged volume: the volume is not read for each look,
// but it is again some time later, and whoever mended it sees that.
func TestMended(t *testing.T) {
	r, col := chaintest.Golden(t, treetest.LoadCase(t, "plain-gz"))
	log := storetest.NewOpLog(storetest.NewFault(r.Store, storetest.Rule{
		Op: storetest.Get, Match: "duplicity-full.*.vol1.*", Effect: storetest.Flip, At: 100,
	}))
	r.Store = log
	x := openIndex(t, t.TempDir())
	build(t, x, r, col)
	s := x.Snapshots()[0]
	var file index.ID
	err := s.Walk(t.Context(), index.Root, func(_ string, e index.Entry) error {
		if e.Type == difftar.Regular && e.Size < 0 {
			file = e.ID
		}
		return nil
	})
	if err != nil || file == 0 {
		t.Fatalf("file %d, %v", file, err)
	}
	sc := index.NewScanner(x, r)
	defer sc.Close()
	now := time.Now()
	sc.SetClock(func() time.Time { return now })
	for _, step := range []struct {
		wait  time.Duration
		whole bool
		reads int
	}{{0, false, 1}, {time.Minute, false, 1}, {time.Hour, true, 2}, {time.Minute, true, 2}} {
		now = now.Add(step.wait)
		_, err := sc.Stat(t.Context(), s, file)
		reads := 0
		for _, rec := range log.Records() {
			if n, ok := r.Scheme.Parse(rec.Name); ok && rec.Op == storetest.Get && n.Kind == naming.Volume {
				reads++
			}
		}
		if (err == nil) != step.whole || reads != step.reads {
			t.Errorf("%v later: %v after %d reads, want %d", step.wait, err, reads, step.reads)
		}
	}
}

// TestEmptyVolume has a set whose last volume holds nothing, and says in the manifest to
// hold everything, as duplicity may end one that is encrypted.
func TestEmptyVolume(t *testing.T) {
	rng := treetest.Rand(t, 1)
	made := chaintest.New(t)
	treetest.Random(t, made.Source, rng, treetest.RandomOptions{Nodes: 30, MaxSize: 200 << 10})
	made.Backup(1_700_000_000, backup.Full)
	manifests, err := filepath.Glob(filepath.Join(made.Dir, "*.manifest"))
	if err != nil || len(manifests) != 1 {
		t.Fatalf("manifests %q, %v", manifests, err)
	}
	tocs, err := filepath.Glob(filepath.Join(made.Dir, "hindsight-toc.*"))
	if err != nil || len(tocs) != 1 || os.Remove(tocs[0]) != nil {
		t.Fatalf("portable indexes %q, %v", tocs, err)
	}
	var volume bytes.Buffer
	z := gzip.NewWriter(&volume)
	z.Write(make([]byte, 10<<10))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(manifests[0])
	if err != nil {
		t.Fatal(err)
	}
	n := bytes.Count(text, []byte("\nVolume ")) + 1
	ends := regexp.MustCompile(`EndingPath +(\S+)`).FindAllSubmatch(text, -1)
	last := fmt.Sprintf("Volume %d:\n    StartingPath   .  \n    EndingPath     %s  \n    Hash SHA1 %x\n",
		n, ends[len(ends)-1][1], sha1.Sum(volume.Bytes()))
	before, after, _ := bytes.Cut(text, []byte("Filelist"))
	text = slices.Concat(before, []byte(last+"Filelist"), after)
	if err := os.WriteFile(manifests[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	name := strings.Replace(manifests[0], ".manifest", fmt.Sprintf(".vol%d.difftar.gz", n), 1)
	if err := os.WriteFile(name, volume.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r := chaintest.Open(t, made.Dir, "")
	x := openIndex(t, t.TempDir())
	build(t, x, r, chaintest.Load(t, r))
	sc := index.NewScanner(x, r)
	defer sc.Close()
	want := treetest.Record(t, made.Source)
	for range 2 { // the first time volumes are scanned, then all is known
		checkSizes(t, sc, x.Snapshots()[0], want)
	}
}

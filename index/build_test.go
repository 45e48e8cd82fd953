package index_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// TestGoldenRepositories indexes every golden repository and compares each snapshot
// with what duplicity restored at its time.
func TestGoldenRepositories(t *testing.T) {
	times := 0
	for i, c := range treetest.LoadCases(t) {
		if treetest.Short() && i%7 != 0 {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			r, col := chaintest.Golden(t, c)
			x := openIndex(t, t.TempDir())
			build(t, x, r, col)
			for _, at := range c.Times {
				if !c.Restorable(at) {
					continue
				}
				times++
				s := x.At(naming.Time(at))
				if s == nil {
					t.Errorf("%d: no snapshot", at)
					continue
				}
				want := c.Expected(t, at)
				treetest.Equal(t, tree(t, s, want), want, treetest.AsDuplicity())
			}
		})
	}
	t.Logf("%d times", times)
}

// TestRandomHistory backs random trees up through chains of random edits, and compares
// each snapshot, in whatever generation, with the tree as it was.
func TestRandomHistory(t *testing.T) {
	opt := treetest.RandomOptions{OddNames: true, Special: true}
	seeds := []uint64{1, 2}
	if treetest.Short() {
		seeds = seeds[:1]
	}
	for _, seed := range seeds {
		rng := treetest.Rand(t, seed)
		r := chaintest.New(t)
		treetest.Random(t, r.Source, rng, opt)
		x := openIndex(t, t.TempDir())
		want := make(map[int64]treetest.Tree)
		for day := range int64(8) {
			at := int64(treetest.BaseTime) + day*86400
			mode := backup.Auto
			if day == 5 {
				mode = backup.Full
			}
			if day > 0 {
				treetest.Mutate(t, r.Source, rng, at-100, 12, opt)
			}
			want[at] = treetest.Record(t, r.Source)
			r.Backup(at, mode)
			if rng.IntN(2) == 0 {
				build(t, x, &r.Repository, r.Load())
			}
		}
		build(t, x, &r.Repository, r.Load())
		if again := build(t, x, &r.Repository, r.Load()); again != (index.BuildResult{}) {
			t.Errorf("a second build did something: %+v", again)
		}
		if got := len(x.Snapshots()); got != len(want) {
			t.Errorf("%d snapshots, want %d", got, len(want))
		}
		for _, s := range x.Snapshots() {
			tr := want[int64(s.Time)]
			exact := treetest.AsDuplicity()
			exact.Nanoseconds = true
			treetest.Equal(t, tree(t, s, tr), tr, exact)
			want := index.Totals{Files: int64(tr.Count(treetest.TypeFile)), Dirs: int64(tr.Count(treetest.TypeDir)), Bytes: tr.Bytes()}
			want.Others = int64(len(tr)-tr.Count(treetest.TypeSocket)) - want.Files - want.Dirs
			if s.Totals != want || s.Source != index.FromTOC {
				t.Errorf("totals %+v at %v from %s, want %+v", s.Totals, s.Time, s.Source, want)
			}
		}
	}
}

// TestDetails looks for what only a portable index tells: hashes, attributes, links and
// where signatures are.
func TestDetails(t *testing.T) {
	r := chaintest.New(t)
	treetest.Write(t, r.Source, treetest.File("d/a", "content"), treetest.HardLink("d/b", "d/a"), treetest.HardLink("c", "d/a"), treetest.File("e", "content"))
	if err := unix.Setxattr(filepath.Join(r.Source, "d/a"), "user.test", []byte("value"), 0); err != nil {
		treetest.Missing(t, "no extended attributes: "+err.Error())
	}
	r.Backup(treetest.BaseTime, backup.Full)
	if err := os.Remove(filepath.Join(r.Source, "c")); err != nil {
		t.Fatal(err)
	}
	r.Backup(treetest.BaseTime+1000, backup.Incremental)
	x := openIndex(t, t.TempDir())
	build(t, x, &r.Repository, r.Load())
	for i, want := range []struct {
		paths []string
		links uint32
	}{{[]string{"c", "d/a", "d/b"}, 3}, {[]string{"d/a", "d/b"}, 2}} {
		s := x.Snapshots()[i]
		var link index.ID
		for _, path := range want.paths {
			e, err := s.LookupPath(path)
			if err != nil {
				t.Fatal(err)
			}
			if link == 0 {
				link = e.Link
			}
			if e.Links != want.links || e.Link != link || link == 0 {
				t.Errorf("%s in snapshot %d has %d links, and is %d, want %d, %d", path, i, e.Links, e.Link, want.links, link)
			}
			if !e.HasHash || e.Hash != blake3.Sum256([]byte("content")) || e.SigLen != 12+12 {
				t.Errorf("%s in snapshot %d: %+v", path, i, e)
			}
			xattrs, err := s.Xattrs(e.ID)
			if err != nil || !e.HasXattrs || len(xattrs) != 1 || xattrs[0].Name != "user.test" || string(xattrs[0].Value) != "value" {
				t.Errorf("%s in snapshot %d: attributes %q, %v", path, i, xattrs, err)
			}
		}
		e, err := s.LookupPath("e")
		if err != nil || e.Links != 1 || e.Link != 0 || e.HasXattrs {
			t.Errorf("e in snapshot %d: %+v, %v", i, e, err)
		}
	}
}

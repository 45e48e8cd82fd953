package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/dirstore"
	"hindsight/chain/naming"
	"hindsight/chain/source"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// stateEntries reads a state: each path with what is known of it, and its signature.
func stateEntries(t *testing.T, s chain.State) []string {
	t.Helper()
	defer s.Close()
	var all []string
	for {
		e, err := s.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(s)
		if err != nil {
			t.Fatalf("%q: %v", e.Path, err)
		}
		all = append(all, fmt.Sprintf("%q %v %+v %d %x", e.Path, e.Kind, e.Meta, e.Size, data))
	}
}

// compareStates compares what the index says of the tree after sets with what their
// signatures say.
func compareStates(t *testing.T, x *index.Index, r *chain.Repository, sets []*chain.Set) {
	t.Helper()
	merge, err := r.MergeSignatures(t.Context(), sets)
	if err != nil {
		t.Fatal(err)
	}
	want := stateEntries(t, merge)
	state, n, err := x.State(t.Context(), r, sets)
	if err != nil || n != len(sets) {
		t.Fatalf("the index has %d of %d sets: %v", n, len(sets), err)
	}
	got := stateEntries(t, state)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("missing: %.300s", want[i])
		case i >= len(want):
			t.Fatalf("surplus: %.300s", got[i])
		case got[i] != want[i]:
			t.Fatalf("got  %.300s\nwant %.300s", got[i], want[i])
		}
	}
}

// TestStateGolden: of all golden chains the index says what merged signatures say, at
// every set, and gives the same signatures.
func TestStateGolden(t *testing.T) {
	sets := 0
	for _, c := range treetest.LoadCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			if testing.Short() && c.Passphrase() != "" {
				t.Skip("short run")
			}
			r, col := chaintest.Golden(t, c)
			r.Archive = openArchive(t, t.TempDir())
			x := openIndex(t, t.TempDir())
			build(t, x, r, col)
			for _, ch := range col.Chains {
				signed := ch.Signed()
				for n := range signed {
					sets++
					compareStates(t, x, r, signed[:n+1])
				}
			}
		})
	}
	t.Logf("%d sets", sets)
}

func openArchive(t *testing.T, dir string) *dirstore.Store {
	t.Helper()
	s, err := dirstore.Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestStateBackups makes chains of random edits twice: merging signatures, and from an
// index that now and then lags behind. All objects must be the same.
func TestStateBackups(t *testing.T) {
	for _, from := range []index.Source{index.FromTOC, index.FromSignatures} {
		t.Run(string(from), func(t *testing.T) {
			rng := treetest.Rand(t, 11)
			opt := treetest.RandomOptions{OddNames: true, Special: true, MaxSize: 200 << 10}
			a, b := chaintest.New(t), chaintest.New(t)
			b.Source = a.Source
			treetest.Random(t, a.Source, rng, opt)
			x := openIndex(t, t.TempDir())
			used := 0
			for day := range int64(9) {
				at := 1_700_000_000 + 86400*day
				treetest.Mutate(t, a.Source, rng, at-100, 12, opt)
				a.Backup(at, backup.Auto)
				_, err := backup.Run(t.Context(), backup.Options{
					Repository: &b.Repository, Source: source.Options{Root: b.Source}, Time: naming.Time(at), Set: b.Set,
					Hostnames: []string{"host"},
					Last: func(ctx context.Context, base []*chain.Set) (chain.State, int, error) {
						s, n, err := x.State(ctx, &b.Repository, base)
						if n > 0 {
							used++
						}
						return s, n, err
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				compareFolders(t, b.Dir, a.Dir, from)
				if day%3 != 1 { // else it lags behind
					r := b.Repository
					if from == index.FromSignatures {
						removeTOCs(t, b)
					}
					build(t, x, &r, b.Load())
				}
			}
			if used != 8 {
				t.Errorf("the index was used by %d backups", used)
			}
			for _, s := range x.Snapshots() {
				if s.Source != from {
					t.Errorf("%v was taken in from %v", s.Set, s.Source)
				}
			}
		})
	}
}

func removeTOCs(t *testing.T, r *chaintest.Repository) {
	t.Helper()
	for _, dir := range []string{r.Dir, filepath.Join(r.Dir, "..", "archive")} {
		list, err := filepath.Glob(filepath.Join(dir, "hindsight-toc.*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range list {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// compareFolders compares two folders of objects, but for portable indexes where one
// has none.
func compareFolders(t *testing.T, got, want string, from index.Source) {
	t.Helper()
	list, err := os.ReadDir(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if from != index.FromTOC && strings.HasPrefix(e.Name(), "hindsight-toc.") {
			continue
		}
		w, err := os.ReadFile(filepath.Join(want, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if g, err := os.ReadFile(filepath.Join(got, e.Name())); err != nil || !bytes.Equal(g, w) {
			t.Fatalf("%s differs, %d bytes and %d: %v", e.Name(), len(g), len(w), err)
		}
	}
}

// TestStateSeesMore: of what archives have no room for the index knows, so that a file
// is read again which was written twice within a second.
func TestStateSeesMore(t *testing.T) {
	r := chaintest.New(t)
	second := time.Unix(1_600_000_000, 0)
	write := func(name, content string, nsec int64) {
		treetest.Write(t, r.Source, treetest.File(name, content))
		ts := []unix.Timespec{unix.NsecToTimespec(second.UnixNano() + nsec), unix.NsecToTimespec(second.UnixNano() + nsec)}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(r.Source, name), ts, 0); err != nil {
			t.Fatal(err)
		}
	}
	write("same", "1", 5)
	write("size", "1", 0)
	write("fraction", "1", 5)
	r.Backup(1_700_000_000, backup.Full)
	write("size", "12", 0)
	write("fraction", "2", 6)
	x := openIndex(t, t.TempDir())
	build(t, x, &r.Repository, r.Load())
	run := func(last func(context.Context, []*chain.Set) (chain.State, int, error)) int64 {
		stats, err := backup.Run(t.Context(), backup.Options{
			Repository: &r.Repository, Source: source.Options{Root: r.Source}, Time: 1_700_086_400, Set: r.Set, DryRun: true, Last: last,
		})
		if err != nil {
			t.Fatal(err)
		}
		return stats.ChangedFiles
	}
	if n := run(nil); n != 0 {
		t.Errorf("signatures tell %d changed files, want 0", n)
	}
	n := run(func(ctx context.Context, base []*chain.Set) (chain.State, int, error) {
		return x.State(ctx, &r.Repository, base)
	})
	if n != 2 {
		t.Errorf("the index tells %d changed files, want 2", n)
	}
	failed := errors.New("out of order")
	if n := run(func(context.Context, []*chain.Set) (chain.State, int, error) { return nil, 0, failed }); n != 0 {
		t.Errorf("without an index %d changed files, want 0", n)
	}
}

// TestStateDoubtful: a file that may not be as it was stored has another time in the
// signatures, which the index must not lose: else it would never be read again.
func TestStateDoubtful(t *testing.T) {
	r := chaintest.New(t)
	w, err := r.NewSetWriter(t.Context(), chain.SetID{End: 1_700_000_000}, r.Set)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	sig := []byte("rs\x016\x00\x00\x02\x00\x00\x00\x00\x08")
	add := func(path string, typ difftar.Type, doubt int64) {
		e := difftar.Entry{Path: path, Kind: difftar.Snapshot, Meta: difftar.Meta{Type: typ, Mode: 0o644, MTime: 1_600_000_000}}
		err := w.Add(&e, nil)
		d := &chain.Details{ModTime: time.Unix(e.MTime, 7)}
		if typ == difftar.Regular && err == nil {
			e.Kind, e.Size = difftar.Signature, int64(len(sig))
			e.MTime -= doubt
			err = w.AddSignature(&e, sig, d)
		} else if err == nil {
			err = w.AddSignature(&e, nil, d)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("", difftar.Directory, 0)
	add("doubtful", difftar.Regular, 1)
	add("sure", difftar.Regular, 0)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	x := openIndex(t, t.TempDir())
	sets := r.Load().Latest().Sets
	build(t, x, &r.Repository, r.Load())
	compareStates(t, x, &r.Repository, sets)
	if e, err := x.Snapshots()[0].LookupPath("doubtful"); err != nil || e.Sec != 1_600_000_000 {
		t.Errorf("its own time is %d, %v", e.Sec, err)
	}
	removeTOCs(t, r)
	bare := r.Repository
	bare.Archive = nil
	if err := index.Publish(t.Context(), &bare, r.Load().Latest().Sets[0], chain.TOCOptions{}); err != nil {
		t.Fatal(err)
	}
	build(t, x, &r.Repository, r.Load())
	compareStates(t, x, &r.Repository, r.Load().Latest().Sets)
}

// TestStateForeignSignatures: a copy of signatures that is not that of the set must not
// give a delta its basis.
func TestStateForeignSignatures(t *testing.T) {
	r := chaintest.New(t)
	treetest.Write(t, r.Source, treetest.File("a", "1"), treetest.File("b", strings.Repeat("x", 9000)), treetest.File("c", "2"))
	r.Backup(1_700_000_000, backup.Full)
	sets := r.Load().Latest().Sets
	x := openIndex(t, t.TempDir())
	build(t, x, &r.Repository, r.Load())
	other := chaintest.New(t)
	treetest.Write(t, other.Source, treetest.File("c", "1"), treetest.File("d", strings.Repeat("y", 9000)), treetest.File("e", "2"))
	other.Backup(1_700_000_000, backup.Full)
	state, n, err := x.State(t.Context(), &other.Repository, sets)
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	defer state.Close()
	for files := 0; ; files++ {
		e, err := state.Next()
		if err == io.EOF {
			if files != 4 {
				t.Errorf("%d paths", files)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(state); e.Kind == difftar.Signature && !errors.Is(err, index.ErrDamaged) {
			t.Errorf("%s: %v", e.Path, err)
		}
	}
}

// TestBuildCheap: who has no time takes in what he wants, and reads no volumes; what is
// there stays, though there is something better to make it from.
func TestBuildCheap(t *testing.T) {
	r := chaintest.New(t)
	treetest.Write(t, r.Source, treetest.File("a", "1"))
	r.Backup(1_700_000_000, backup.Full)
	tocs, err := filepath.Glob(filepath.Join(r.Dir, "hindsight-toc.*"))
	if err != nil || len(tocs) != 1 {
		t.Fatal(tocs, err)
	}
	kept, err := os.ReadFile(tocs[0])
	if err != nil {
		t.Fatal(err)
	}
	removeTOCs(t, r)
	x := openIndex(t, t.TempDir())
	build(t, x, &r.Repository, r.Load())
	if err := os.WriteFile(tocs[0], kept, 0o600); err != nil { // it would be taken in anew
		t.Fatal(err)
	}
	r.Backup(1_700_086_400, backup.Full)
	r.Backup(1_700_172_800, backup.Full)
	removeTOCs(t, r) // of the last two
	if err := os.WriteFile(tocs[0], kept, 0o600); err != nil {
		t.Fatal(err)
	}
	sigs, err := filepath.Glob(filepath.Join(r.Dir, "*signatures*"))
	if err != nil || len(sigs) != 3 || os.Remove(sigs[2]) != nil {
		t.Fatal(sigs, err)
	}
	log := storetest.NewOpLog(r.Store)
	repo := r.Repository
	repo.Store, repo.Archive = log, nil
	col := r.Load()
	only := func(ends ...naming.Time) index.BuildOptions {
		return index.BuildOptions{Cheap: func(s *chain.Set) bool { return slices.Contains(ends, s.End) }}
	}
	times := func() (all []naming.Time) {
		for _, s := range x.Snapshots() {
			all = append(all, s.Time)
		}
		return all
	}
	if _, err := x.Build(t.Context(), &repo, col, only(1_700_172_800)); err == nil {
		t.Error("a set was taken in without its volumes")
	}
	if got := times(); !slices.Equal(got, []naming.Time{1_700_000_000}) {
		t.Errorf("snapshots of %v", got)
	}
	if _, err := x.Build(t.Context(), &repo, col, only(1_700_086_400)); err != nil {
		t.Error(err)
	}
	if got := times(); !slices.Equal(got, []naming.Time{1_700_000_000, 1_700_086_400}) || x.Snapshots()[0].Source != index.FromSignatures {
		t.Errorf("snapshots of %v", got)
	}
	if got := log.String(); strings.Contains(got, "difftar") {
		t.Errorf("volumes were read:\n%s", got)
	}
	build(t, x, &repo, col)
	if got := x.Snapshots(); len(got) != 3 || got[0].Source != index.FromTOC || got[2].Source != index.FromVolumes {
		t.Errorf("in the end: %v", got)
	}
}

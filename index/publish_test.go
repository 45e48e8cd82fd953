package index_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/store"
	"hindsight/chain/toc"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// readTOC reads the portable index of a set: how long the volumes are by their tables,
// and the entries.
func readTOC(t *testing.T, r *chain.Repository, s *chain.Set) (plain []int64, entries []toc.Entry) {
	t.Helper()
	m, err := r.Manifest(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := r.TOC(t.Context(), s, m)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	for {
		v, err := tr.NextVolume()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		plain = append(plain, v.Table.Size())
	}
	for {
		e, err := tr.NextEntry()
		if err == io.EOF {
			return plain, entries
		}
		if err != nil {
			t.Fatal(err)
		}
		kept := *e
		kept.Stream, kept.Ops = slices.Clone(e.Stream), slices.Clone(e.Ops)
		entries = append(entries, kept)
	}
}

// TestPublish: an index that is made of a set's objects says what the one says that was
// made with them, but for what archives have no room for.
func TestPublish(t *testing.T) {
	treetest.Sequential(t)
	r := chaintest.New(t)
	rng := treetest.Rand(t, 3)
	treetest.Random(t, r.Source, rng, treetest.RandomOptions{Nodes: 60, MaxSize: 300 << 10})
	treetest.Write(t, r.Source, treetest.File("large", strings.Repeat(string(treetest.Content(rng, 1000)), 3000)))
	r.Backup(1_700_000_000, backup.Full)
	treetest.Mutate(t, r.Source, rng, 1_700_000_100, 15, treetest.RandomOptions{})
	r.Backup(1_700_001_000, backup.Incremental)
	for _, s := range r.Load().Latest().Sets {
		wantPlain, want := readTOC(t, &r.Repository, s)
		bare := r.Repository
		bare.Archive = nil
		if err := r.Store.Delete(t.Context(), s.TOC.Key); err != nil {
			t.Fatal(err)
		}
		if err := index.Publish(t.Context(), &bare, s, chain.TOCOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := index.Publish(t.Context(), &bare, s, chain.TOCOptions{}); !errors.Is(err, store.ErrExist) {
			t.Errorf("published twice: %v", err)
		}
		gotPlain, got := readTOC(t, &bare, s)
		if !slices.Equal(gotPlain, wantPlain) {
			t.Errorf("%v: volumes of %d plain bytes, want %d", s.SetID, gotPlain, wantPlain)
		}
		for i := range want {
			w := &want[i]
			w.Sec, w.Nsec, w.Xattrs, w.Link = w.MTime, 0, nil, toc.Link{}
			if w.Kind == difftar.Diff { // its content is not in the set
				w.HasHash, w.Hash = false, [32]byte{}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: entries differ (-want +got):\n%s", s.SetID, diff)
		}
	}
}

// TestPublishDamaged: of a set that is not whole no index is made.
func TestPublishDamaged(t *testing.T) {
	r := chaintest.New(t)
	rng := treetest.Rand(t, 4)
	treetest.Random(t, r.Source, rng, treetest.RandomOptions{Nodes: 20})
	r.Backup(1_700_000_000, backup.Full)
	s := r.Load().Latest().Sets[0]
	r.Archive = nil
	for _, key := range []string{s.TOC.Key, s.Volumes[0].Key} {
		if err := r.Store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if err := index.Publish(t.Context(), &r.Repository, s, chain.TOCOptions{}); !errors.Is(err, chain.ErrMissingVolume) {
		t.Errorf("a volume is missing: %v", err)
	}
	if got := r.Load().Latest().Sets[0].TOC; got != nil {
		t.Errorf("there is an index, %s", got.Key)
	}
}

package chain_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// signatures reads those of a set as lines.
func signatures(r *chain.Repository, s *chain.Set) ([]string, error) {
	sr, err := r.Signatures(context.Background(), s)
	if err != nil {
		return nil, err
	}
	lines, err := drain(sr)
	return lines, errors.Join(err, sr.Close())
}

// Signatures are fetched once, and then come from the archive.
func TestArchive(t *testing.T) {
	for _, f := range []codec.Format{{}, gz} {
		r, st := newRepository()
		mustBackup(t, r, full(1), chain.SetOptions{Format: f}, []item{dir(""), file("a", "1")})
		set := load(t, st).Latest().Sets[0]
		want := []string{"", "a:signature of a"}
		log := storetest.NewOpLog(st)
		archive := storetest.NewMem()
		for _, r := range []*chain.Repository{{Store: log, Archive: archive}, {Store: log, Archive: archive}, {Store: log, Archive: r.Archive}} {
			if got, err := signatures(r, set); err != nil || !slices.Equal(got, want) {
				t.Errorf("%v: %q, error %v", f, got, err)
			}
		}
		if n := log.Sum(storetest.Get).Requests; n != 1 {
			t.Errorf("%v: %d requests, want 1:\n%v", f, n, log)
		}
		if got := archive.Names(); !slices.Equal(got, []string{"duplicity-full-signatures.20231101T120000Z.sigtar.gz"}) {
			t.Errorf("%v: archive holds %q", f, got)
		}
		z, err := gzip.NewReader(bytes.NewReader(get(t, archive, chain.ArchiveKey(full(1)))))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(z); err != nil || len(plain) != 10240 {
			t.Errorf("%v: the copy holds %d bytes, error %v", f, len(plain), err)
		}
	}
}

// A failed fetch leaves no copy, whatever failed.
func TestArchiveFetchFails(t *testing.T) {
	r, st := newRepository()
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz}, []item{dir(""), file("a", "1")})
	set := load(t, st).Latest().Sets[0]
	for name, tt := range map[string]struct {
		store, archive storetest.Rule
		corrupt        bool
		want           error
	}{
		"cut get":       {store: storetest.Rule{Op: storetest.Get, Effect: storetest.Cut, At: 100}, want: storetest.ErrFault},
		"get":           {store: storetest.Rule{Op: storetest.Get}, want: storetest.ErrFault},
		"truncated":     {store: storetest.Rule{Op: storetest.Get, Effect: storetest.Truncate, At: 100}, corrupt: true, want: io.ErrUnexpectedEOF},
		"flipped":       {store: storetest.Rule{Op: storetest.Get, Effect: storetest.Flip, At: 60}, corrupt: true},
		"archive's put": {archive: storetest.Rule{Op: storetest.Put}, want: storetest.ErrFault},
		"cut put":       {archive: storetest.Rule{Op: storetest.Put, Effect: storetest.Cut}, want: storetest.ErrFault},
		"archive's get": {archive: storetest.Rule{Op: storetest.Get}, want: storetest.ErrFault},
	} {
		archive := storetest.NewMem()
		faulty := &chain.Repository{Store: st, Archive: archive}
		if tt.store.Op != "" {
			faulty.Store = storetest.NewFault(st, tt.store)
		}
		if tt.archive.Op != "" {
			faulty.Archive = storetest.NewFault(archive, tt.archive)
		}
		_, err := signatures(faulty, set)
		corrupt := (*chain.CorruptError)(nil)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || errors.As(err, &corrupt) != tt.corrupt {
			t.Errorf("%s: error %v", name, err)
		}
		if got := archive.Names(); len(got) > 0 {
			t.Errorf("%s: archive holds %q", name, got)
		}
		if _, err := signatures(faulty, set); err != nil {
			t.Errorf("%s: the next try: %v", name, err)
		}
	}
}

// A damaged copy, or one that was cut, is fetched again at once; where that cannot be,
// both errors are told and the copy stays.
func TestArchiveDamaged(t *testing.T) {
	r, st := newRepository()
	items := []item{dir("")}
	for _, name := range []string{"a", "b", "c"} {
		items = append(items, file(name, string(noise(100, 1))))
	}
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz}, items)
	set := load(t, st).Latest().Sets[0]
	key := chain.ArchiveKey(full(1))
	whole := get(t, r.Archive, key)
	try := func(what string, copied []byte) {
		t.Helper()
		put(t, r.Archive, key, copied)
		offline := &chain.Repository{Store: storetest.NewFault(st, storetest.Rule{Op: storetest.Get, Times: -1}), Archive: r.Archive}
		got, err := signatures(offline, set)
		harmless := err == nil && len(got) == len(items) // a bit that no reader looks at
		corrupt := (*chain.CorruptError)(nil)
		if !harmless && (!errors.As(err, &corrupt) || !errors.Is(err, storetest.ErrFault) || !strings.HasPrefix(err.Error(), "local archive: ")) {
			t.Fatalf("%s, offline: %q, error %v", what, got, err)
		}
		if got, err := signatures(r, set); err != nil || len(got) != len(items) {
			t.Fatalf("%s: %q, error %v", what, got, err)
		}
		if !harmless && bytes.Equal(get(t, r.Archive, key), copied) {
			t.Fatalf("%s: the copy stays", what)
		}
	}
	for n := range whole {
		try(fmt.Sprintf("copy of %d bytes", n), whole[:n])
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x10
		try(fmt.Sprintf("byte %d flipped", n), flipped)
	}
}

// A merge goes through when the copy of any of its sets is cut between two entries.
func TestArchiveCutMerge(t *testing.T) {
	r, st := newRepository()
	var items []item
	for _, name := range []string{"a", "b", "c", "d"} {
		items = append(items, file(name, string(noise(200_000, 1))))
	}
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz}, items)
	mustBackup(t, r, inc(1, 2), chain.SetOptions{Format: gz}, items[1:2])
	sets := load(t, st).Latest().Sets
	for _, id := range []chain.SetID{full(1), inc(1, 2)} {
		z, err := gzip.NewReader(bytes.NewReader(get(t, r.Archive, chain.ArchiveKey(id))))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		var cut bytes.Buffer
		w := gzip.NewWriter(&cut)
		w.Write(bytes.TrimRight(plain, "\x00"))
		w.Close()
		put(t, r.Archive, chain.ArchiveKey(id), cut.Bytes())
	}
	m, err := r.MergeSignatures(t.Context(), sets)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got, err := drain(m); err != nil || len(got) != len(items) {
		t.Errorf("%q, error %v", got, err)
	}
}

// What fails in the archive says so, lest it be taken for the store.
func TestArchiveErrors(t *testing.T) {
	r, st := newRepository()
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz}, []item{dir(""), file("a", "1")})
	set := load(t, st).Latest().Sets[0]
	for name, rule := range map[string]storetest.Rule{
		"list": {Op: storetest.List}, "get": {Op: storetest.Get}, "delete": {Op: storetest.Delete},
		"put": {Op: storetest.Put}, "second put": {Op: storetest.Put, Nth: 2}, "third put": {Op: storetest.Put, Nth: 3},
		"reading": {Op: storetest.Get, Effect: storetest.Cut, At: 10},
	} {
		archive := r.Archive.(*storetest.Mem).Clone()
		put(t, archive, "changes.20231109T120000Z", nil)
		faulty := &chain.Repository{Store: st, Archive: storetest.NewFault(archive, rule)}
		err := faulty.SyncArchive(t.Context(), load(t, st))
		if err == nil {
			_, err = signatures(faulty, set)
		}
		if err == nil {
			err = backup(faulty, inc(1, 2), chain.SetOptions{Format: gz}, []item{dir(""), file("a", "1")})
		}
		if !errors.Is(err, storetest.ErrFault) || strings.Count(err.Error(), "local archive: ") != 1 {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSyncArchive(t *testing.T) {
	r, st := newRepository()
	mustBackup(t, r, full(1), chain.SetOptions{}, nil)
	mustBackup(t, r, inc(1, 2), chain.SetOptions{}, nil)
	mustBackup(t, r, inc(2, 3), chain.SetOptions{}, nil)
	archive := r.Archive.(*storetest.Mem)
	manifest := func(id chain.SetID) string { return keyOf(id, naming.Manifest, 0, codec.Format{}) }
	for _, name := range []string{
		"changes.20231109T120000Z", "toc-entries.20231109T120000Z", chain.ArchiveKey(full(9)), chain.ArchivedTOC(full(9)), manifest(full(9)), "lockfile", "other",
	} {
		put(t, archive, name, nil)
	}
	if err := st.Delete(t.Context(), keyOf(inc(2, 3), naming.Manifest, 0, codec.Format{})); err != nil {
		t.Fatal(err)
	}
	if err := r.SyncArchive(t.Context(), load(t, st)); err != nil {
		t.Fatal(err)
	}
	want := []string{"lockfile", "other"}
	for _, id := range []chain.SetID{full(1), inc(1, 2)} {
		want = append(want, chain.ArchiveKey(id), chain.ArchivedTOC(id), manifest(id))
	}
	slices.Sort(want)
	if got := archive.Names(); !slices.Equal(got, want) {
		t.Errorf("archive holds %q, want %q", got, want)
	}
	for _, op := range []storetest.Op{storetest.List, storetest.Delete} {
		put(t, archive, chain.ArchiveKey(full(9)), nil)
		faulty := &chain.Repository{Store: st, Archive: storetest.NewFault(archive, storetest.Rule{Op: op})}
		if err := faulty.SyncArchive(t.Context(), load(t, st)); !errors.Is(err, storetest.ErrFault) {
			t.Errorf("%s fails: %v", op, err)
		}
	}
	if err := (&chain.Repository{Store: st}).SyncArchive(t.Context(), load(t, st)); err != nil {
		t.Errorf("without an archive: %v", err)
	}
}

// Signatures of real repositories are the same through the archive.
func TestArchiveGolden(t *testing.T) {
	for _, name := range []string{"plain-gz", "plain-none", "gpg-symmetric-v3", "mixed-encryption", "prefixes", "short-filenames-gz"} {
		c := treetest.LoadCase(t, name)
		r, col := openCase(t, c)
		for _, s := range col.Latest().Sets {
			want, err := signatures(r, s)
			if err != nil {
				t.Fatal(err)
			}
			archived := *r
			archived.Archive = storetest.NewMem()
			for range 2 {
				got, err := signatures(&archived, s)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s, %v: %d entries, want %d; error %v", name, s.SetID, len(got), len(want), err)
				}
			}
		}
	}
}

// TestLocalManifest makes sure that a machine knows what it has written without
// reading the store.
func TestLocalManifest(t *testing.T) {
	r, _ := newRepository()
	mustBackup(t, r, full(1), chain.SetOptions{VolumeSize: 150 << 10, Uploads: 1, Hostname: "h", LocalDir: "/src"}, small())
	want, err := r.Manifest(t.Context(), load(t, r.Store).Latest().Sets[0])
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.LocalManifest(t.Context(), full(1))
	if err != nil {
		t.Fatal(err)
	}
	if got.Hostname != "h" || got.LocalDir != "/src" || !reflect.DeepEqual(got.Volumes, want.Volumes) {
		t.Errorf("local manifest %+v, want %+v", got, want)
	}
	for _, r := range []*chain.Repository{r, {Store: r.Store}} {
		if _, err := r.LocalManifest(t.Context(), full(9)); !errors.Is(err, store.ErrNotExist) {
			t.Errorf("manifest of a set that another machine made: error %v", err)
		}
	}
}

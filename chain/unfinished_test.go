package chain_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/dirstore"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
)

// kill makes the remains of a run that was killed before its manifest was put: the
// objects of a set, and the note in the archive.
func kill(t *testing.T, r *chain.Repository, id chain.SetID) {
	t.Helper()
	w, err := r.NewSetWriter(t.Context(), id, chain.SetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	notes := storetest.NewMem()
	for o, err := range r.Archive.List(t.Context(), "unfinished.") {
		if err != nil {
			t.Fatal(err)
		}
		put(t, notes, o.Name, nil)
	}
	w.Abort()
	for _, name := range notes.Names() {
		put(t, r.Archive, name, nil)
	}
	n := id
	for i, key := range []string{keyOf(n, naming.Volume, 1, codec.Format{}), keyOf(n, naming.Signatures, 0, codec.Format{})} {
		put(t, r.Store, r.Scheme.Prefix+key, []byte{byte(i)})
	}
}

// What a run of this archive left is removed, once; the remains of others and what
// came to its end are not.
func TestRemoveUnfinished(t *testing.T) {
	r, st := newRepository()
	mustBackup(t, r, full(1), chain.SetOptions{}, nil)
	whole := st.Names()
	other := &chain.Repository{Store: st, Archive: storetest.NewMem()}
	kill(t, other, inc(1, 4))
	others := st.Names()
	kill(t, r, inc(1, 2))
	kill(t, r, inc(1, 3))
	put(t, r.Archive, "unfinished."+keyOf(full(1), naming.Manifest, 0, codec.Format{}), nil)
	col := load(t, st)
	if err := r.RemoveUnfinished(t.Context(), col); err != nil {
		t.Fatal(err)
	}
	if got := st.Names(); !slices.Equal(got, others) {
		t.Errorf("store holds %q, want %q", got, others)
	}
	if len(col.Incomplete) != 1 || col.Incomplete[0].SetID != inc(1, 4) {
		t.Errorf("%d incomplete sets in the collection", len(col.Incomplete))
	}
	for _, name := range r.Archive.(*storetest.Mem).Names() {
		if strings.HasPrefix(name, "unfinished.") {
			t.Errorf("the note %s stays", name)
		}
	}
	if err := other.RemoveUnfinished(t.Context(), load(t, st)); err != nil {
		t.Fatal(err)
	}
	if got := st.Names(); !slices.Equal(got, whole) {
		t.Errorf("store holds %q, want %q", got, whole)
	}
}

// To a run whose prefix of manifests is another a complete set looks unfinished, and
// a note about it, which a kill in the very last moment leaves, may be in the archive.
func TestRemoveUnfinishedOtherPrefix(t *testing.T) {
	r, st := newRepository()
	r.Scheme.Manifest = "m-"
	mustBackup(t, r, full(1), chain.SetOptions{}, nil)
	want := st.Names()
	note := "unfinished.m-" + keyOf(full(1), naming.Manifest, 0, codec.Format{})
	put(t, r.Archive, note, nil)
	wrong := &chain.Repository{Store: st, Archive: r.Archive}
	if err := wrong.RemoveUnfinished(t.Context(), load(t, st)); err != nil {
		t.Fatal(err)
	}
	if got := st.Names(); !slices.Equal(got, want) {
		t.Errorf("store holds %q, want %q", got, want)
	}
}

// What a killed put left goes when nothing was written to it for hours, and only where
// the archive tells of a killed run; the note waits for what is younger.
func TestRemoveRemains(t *testing.T) {
	folder := t.TempDir()
	st, err := dirstore.Open(folder, false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	r := &chain.Repository{Store: st, Archive: storetest.NewMem()}
	mustBackup(t, r, full(1), chain.SetOptions{}, nil)
	whole := len(listFolder(t, folder))
	leave := func(name string, age time.Duration) {
		path := filepath.Join(folder, store.TempPrefix+name)
		when := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	leave("old", 4*time.Hour)
	leave("young", 2*time.Hour)
	remove := func(want ...string) {
		t.Helper()
		if err := r.RemoveUnfinished(t.Context(), load(t, st)); err != nil {
			t.Fatal(err)
		}
		got := listFolder(t, folder)
		got = slices.DeleteFunc(got, func(n string) bool { return !strings.HasPrefix(n, store.TempPrefix) })
		for i := range want {
			want[i] = store.TempPrefix + want[i]
		}
		if !slices.Equal(got, want) {
			t.Errorf("remains %q, want %q", got, want)
		}
	}
	remove("old", "young") // of nobody knows whom
	kill(t, r, inc(1, 2))
	remove("young")
	leave("young", 4*time.Hour)
	remove() // the note was kept
	if got := len(listFolder(t, folder)); got != whole {
		t.Errorf("%d files, want %d", got, whole)
	}
	leave("old", 4*time.Hour)
	remove("old") // and is gone now
}

func listFolder(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Signatures that end between two entries are damaged, however they are stored.
func TestSignaturesCut(t *testing.T) {
	for _, f := range []codec.Format{{}, gz} {
		r, st := newRepository()
		items := []item{dir("")}
		for _, name := range []string{"a", "b", "c", "d"} {
			items = append(items, file(name, string(noise(200_000, 1))))
		}
		mustBackup(t, r, full(1), chain.SetOptions{Format: f}, items)
		set := load(t, st).Latest().Sets[0]
		reader := &chain.Repository{Store: st}
		if got, err := signatures(reader, set); err != nil || len(got) != len(items) {
			t.Fatalf("%v: %d entries, error %v", f, len(got), err)
		}
		whole := get(t, st, set.Signatures.Key)
		corrupt := (*chain.CorruptError)(nil)
		for n := 1; n < len(whole); n += 61 {
			put(t, st, set.Signatures.Key, whole[:n])
			got, err := signatures(reader, set)
			if len(got) < len(items) && (!errors.As(err, &corrupt) || !errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Fatalf("%v: %d of %d bytes: %d entries, error %v", f, n, len(whole), len(got), err)
			}
		}
	}
}

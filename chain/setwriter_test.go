package chain_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// small is a set of several volumes, one of them begun and ended in a file's middle.
func small() []item {
	items := []item{dir(""), file("a", "1"), dir("b")}
	items = append(items, parts("b/big", string(noise(5*difftar.PartSize, 3)))...)
	return append(items, deleted("c"), file("d \n", "4"))
}

// The objects of a set go up in the order of duplicity-format.md §1.7.
func TestCommitOrder(t *testing.T) {
	r, st := newRepository()
	log := storetest.NewOpLog(st)
	r.Store = log
	mustBackup(t, r, full(1), chain.SetOptions{VolumeSize: 150 << 10, Uploads: 1, Hostname: "h", LocalDir: "/src"}, small())
	const want = `put duplicity-full.20231101T120000Z.vol1.difftar size=134144 if-absent
put duplicity-full.20231101T120000Z.vol2.difftar size=132096 if-absent
put duplicity-full.20231101T120000Z.vol3.difftar size=68096 if-absent
put duplicity-full-signatures.20231101T120000Z.sigtar size=10240 if-absent
put hindsight-toc.20231101T120000Z size=TOC if-absent
list duplicity-full.20231101T120000Z objects=3
put duplicity-full.20231101T120000Z.manifest size=454 if-absent
`
	size := strconv.Itoa(len(get(t, st, "hindsight-toc.20231101T120000Z")))
	if got := strings.Replace(log.String(), "size="+size+" ", "size=TOC ", 1); got != want {
		t.Errorf("operations:\n%s\nwant:\n%s", got, want)
	}
	archive := r.Archive.(*storetest.Mem).Names()
	if !slices.Equal(archive, []string{chain.ArchiveKey(full(1)), "duplicity-full.20231101T120000Z.manifest", chain.ArchivedTOC(full(1))}) {
		t.Errorf("archive holds %q", archive)
	}
}

// A set whose volumes somebody removes before it is complete is not committed.
func TestCommitRemoved(t *testing.T) {
	r, st := newRepository()
	opt := chain.SetOptions{VolumeSize: 150 << 10}
	opt.Confirm = func(ctx context.Context) error {
		return st.Delete(ctx, keyOf(full(1), naming.Volume, 2, codec.Format{}))
	}
	if err := backup(r, full(1), opt, small()); !errors.Is(err, chain.ErrRemoved) {
		t.Errorf("error %v", err)
	}
	if names := st.Names(); len(names) > 0 {
		t.Errorf("store holds %q", names)
	}
}

// Volumes end where the manifest says, with part numbers as duplicity gives them
// (duplicity-format.md §3.4).
func TestManifestPositions(t *testing.T) {
	r, st := newRepository()
	mustBackup(t, r, full(1), chain.SetOptions{VolumeSize: 150 << 10, Hostname: "h", LocalDir: "/src"}, small())
	set := load(t, st).Latest().Sets[0]
	items, m := readSet(t, r, set)
	var got []string
	for _, v := range m.Volumes {
		got = append(got, fmt.Sprintf("%d %s/%d %s/%d", v.Number, v.Start.Path, v.Start.Block, v.End.Path, v.End.Block))
	}
	want := []string{"1 /0 b/big/2", "2 b/big/3 b/big/4", "3 b/big/5 d \n/0"}
	if !slices.Equal(got, want) {
		t.Errorf("positions %q, want %q", got, want)
	}
	if m.Hostname != "h" || m.LocalDir != "/src" || m.Listed != 3 || m.Changes != 3 {
		t.Errorf("manifest of %q, %q with %d changes of %d", m.Hostname, m.LocalDir, m.Changes, m.Listed)
	}
	text := string(get(t, st, set.Manifest.Key))
	if list := "Filelist 3\n    new      a\n    new      b/big\n    new      \"d\\x20\\x0a\"\n"; !strings.HasSuffix(text, list) {
		t.Errorf("manifest:\n%s", text)
	}
	sameItems(t, items, small())
}

// sameItems compares but for the offsets.
func sameItems(t *testing.T, got, want []item) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
		return
	}
	for i := range got {
		got[i].Offset = 0
		if got[i] != want[i] {
			t.Errorf("entry %d is %+v, want %+v", i, got[i].Entry, want[i].Entry)
		}
	}
}

func TestEmptySet(t *testing.T) {
	for _, f := range []codec.Format{{}, gz} {
		r, st := newRepository()
		mustBackup(t, r, full(1), chain.SetOptions{Format: f, NoChanges: true}, nil)
		set := load(t, st).Latest().Sets[0]
		items, m := readSet(t, r, set)
		if len(items) != 0 || len(m.Volumes) != 1 || m.Volumes[0].Start != (manifest.Position{}) || m.Volumes[0].End != (manifest.Position{}) || m.Listed != 0 {
			t.Errorf("%v: %d entries, manifest %+v", f, len(items), m)
		}
		if text := get(t, st, set.Manifest.Key); !bytes.Contains(text, []byte("    StartingPath   .  \n    EndingPath     .  \n    Hash SHA1 ")) {
			t.Errorf("%v: manifest\n%s", f, text)
		}
		if sigs, err := signatures(&chain.Repository{Store: st}, set); err != nil || len(sigs) != 0 {
			t.Errorf("%v: signatures %q, error %v", f, sigs, err)
		}
	}
}

// Every format, with and without a pool, gives back what was written.
func TestFormats(t *testing.T) {
	keys := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte("secret")), S2KCount: 1024, GPG: "/no/gpg"})
	session, err := keys.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []codec.Format{{}, gz, {Encrypted: true}, {Encrypted: true, Compressed: true}} {
		for _, pool := range []*codec.Pool{nil, newPool(t)} {
			r, st := newRepository()
			r.Keys = keys
			mustBackup(t, r, full(1), chain.SetOptions{Format: f, VolumeSize: 150 << 10, Session: session, Pool: pool}, small())
			set := load(t, st).Latest().Sets[0]
			items, m := readSet(t, r, set)
			sameItems(t, items, small())
			if len(m.Volumes) < 2 || set.Manifest.Encrypted != f.Encrypted || set.Manifest.Compressed {
				t.Errorf("%v: %d volumes, manifest %s", f, len(m.Volumes), set.Manifest.Key)
			}
			want, err := signatures(r, set)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := signatures(&chain.Repository{Store: st, Keys: keys}, set); err != nil || !slices.Equal(got, want) || len(got) != 6 {
				t.Errorf("%v: signatures on the store %q, in the archive %q, error %v", f, got, want, err)
			}
		}
	}
}

// Every block of a compressed volume begins at a header, so that a small file needs
// one block.
func TestBlocksBeginAtHeaders(t *testing.T) {
	treetest.Sequential(t)
	r, st := newRepository()
	var items []item
	for i := range 2000 {
		items = append(items, file(fmt.Sprintf("f%04d", i), string(noise(i%3000, byte(i)))))
	}
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz}, items)
	stored := bytes.NewReader(get(t, st, keyOf(full(1), naming.Volume, 1, gz)))
	blocks := 0
	for z := new(gzip.Reader); z.Reset(stored) == nil; blocks++ {
		z.Multistream(false)
		block, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := tar.NewReader(bytes.NewReader(block)).Next(); err != nil || !strings.HasPrefix(h.Name, "snapshot/f") {
			t.Errorf("block %d begins with %q, error %v", blocks, block[:20], err)
		}
	}
	if blocks < 5 {
		t.Errorf("%d blocks", blocks)
	}
}

// Whatever operation on the store fails, in whatever way, there is no complete set,
// Abort removes the rest, and no goroutine stays.
func TestPutFails(t *testing.T) {
	opt := chain.SetOptions{VolumeSize: 150 << 10, Memory: 64 << 20}
	for n := 1; n <= 5; n++ {
		for _, effect := range []storetest.Effect{storetest.Fail, storetest.Cut, storetest.Lost} {
			r, st := newRepository()
			fault := storetest.NewFault(st, storetest.Rule{Op: storetest.Put, Nth: n, Effect: effect})
			r.Store = fault
			err := backup(r, full(1), opt, small())
			if !errors.Is(err, storetest.ErrFault) || fault.Fired(0) != 1 {
				t.Errorf("put %d fails by %d: %v", n, effect, err)
			}
			if names := st.Names(); len(names) > 0 {
				t.Errorf("put %d fails by %d: %q is left", n, effect, names)
			}
			if names := r.Archive.(*storetest.Mem).Names(); len(names) > 0 {
				t.Errorf("put %d fails by %d: the archive holds %q", n, effect, names)
			}
		}
		// Killed, a run leaves remains without a manifest.
		r, st := newRepository()
		r.Store = storetest.NewFault(st, storetest.Rule{Op: storetest.Put, Nth: n, Effect: storetest.Kill})
		if err := backup(r, full(1), opt, small()); !errors.Is(err, storetest.ErrFault) {
			t.Errorf("killed at put %d: %v", n, err)
		}
		if got := describe(load(t, st)); got != "" && got != "incomplete 1" {
			t.Errorf("killed at put %d: %s", n, got)
		}
	}
}

// The same for the archive, whose every write can fail.
func TestArchivePutFails(t *testing.T) {
	for n := 1; n <= 3; n++ {
		for _, effect := range []storetest.Effect{storetest.Fail, storetest.Cut, storetest.Kill} {
			r, st := newRepository()
			fault := storetest.NewFault(r.Archive, storetest.Rule{Op: storetest.Put, Nth: n, Effect: effect})
			r.Archive = fault
			err := backup(r, full(1), chain.SetOptions{VolumeSize: 150 << 10}, small())
			if !errors.Is(err, storetest.ErrFault) || fault.Fired(0) != 1 {
				t.Errorf("put %d fails by %d: %v", n, effect, err)
			}
			if names := st.Names(); len(names) > 0 {
				t.Errorf("put %d fails by %d: %q is left", n, effect, names)
			}
		}
	}
}

// If the manifest may be there and cannot be deleted, its volumes must stay.
func TestManifestOutlivesNothing(t *testing.T) {
	r, st := newRepository()
	r.Store = storetest.NewFault(st,
		storetest.Rule{Op: storetest.Put, Match: "*.manifest", Effect: storetest.Lost},
		storetest.Rule{Op: storetest.Delete, Match: "*.manifest"})
	if err := backup(r, full(1), chain.SetOptions{VolumeSize: 150 << 10}, small()); !errors.Is(err, storetest.ErrFault) {
		t.Fatal(err)
	}
	items, _ := readSet(t, &chain.Repository{Store: st}, load(t, st).Latest().Sets[0])
	sameItems(t, items, small())
}

// Two runs that chose the same second must not take each other's objects away.
func TestSameSecond(t *testing.T) {
	for _, taken := range []string{"vol1", "vol2", "vol3", "sigtar", "manifest"} {
		r, st := newRepository()
		opt := chain.SetOptions{VolumeSize: 150 << 10}
		mustBackup(t, r, full(1), opt, small())
		other := storetest.NewMem() // what the other run has of its set so far
		for _, name := range st.Names() {
			if taken == "manifest" || strings.Contains(name, taken) || strings.Contains(name, "vol3") {
				put(t, other, name, get(t, st, name))
			}
		}
		if taken == "manifest" { // it began later than our volumes were put, by a clock that is wrong
			for _, name := range other.Names() {
				if !strings.HasSuffix(name, ".manifest") {
					if err := other.Delete(t.Context(), name); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		before := other.Clone()
		second := &chain.Repository{Store: other, Archive: storetest.NewMem()}
		if err := backup(second, full(1), opt, small()); !errors.Is(err, store.ErrExist) {
			t.Errorf("%s taken: error %v", taken, err)
		}
		for _, name := range before.Names() {
			if !slices.Contains(other.Names(), name) {
				t.Errorf("%s taken: %s is gone", taken, name)
			}
		}
		if taken == "manifest" {
			continue
		}
		if got := other.Names(); !slices.Equal(got, before.Names()) {
			t.Errorf("%s taken: %q is left, want %q", taken, got, before.Names())
		}
		if names := second.Archive.(*storetest.Mem).Names(); len(names) > 0 {
			t.Errorf("%s taken: archive holds %q, by which the next run would remove the other's set", taken, names)
		}
	}
}

func TestConfirm(t *testing.T) {
	r, st := newRepository()
	refused := errors.New("refused")
	opt := chain.SetOptions{Confirm: func(context.Context) error {
		if got := describe(load(t, st)); got != "incomplete 1" {
			t.Errorf("when asked there is %s", got)
		}
		return refused
	}}
	if err := backup(r, full(1), opt, small()); err != refused {
		t.Errorf("error %v", err)
	}
	if names := st.Names(); len(names) > 0 {
		t.Errorf("%q is left", names)
	}
}

// Cancelled at any time, a run ends soon and with that reason.
func TestCancel(t *testing.T) {
	cause := errors.New("enough")
	for _, stall := range []string{"", "*vol1*", "*vol2*", "*sigtar*", "*manifest*"} {
		r, st := newRepository()
		r.Store = storetest.NewFault(st, storetest.Rule{Op: storetest.Put, Match: stall, Effect: storetest.Stall})
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
		if stall == "" { // at once
			cancel(cause)
		}
		w, err := r.NewSetWriter(ctx, full(1), chain.SetOptions{VolumeSize: 150 << 10, Pool: newPool(t)})
		if err == nil {
			if err = writeItems(w, small()); err == nil {
				err = w.Commit()
			}
			w.Abort()
		}
		if !errors.Is(err, cause) {
			t.Errorf("stalled at %s: error %v", stall, err)
		}
		if names := st.Names(); len(names) > 0 {
			t.Errorf("stalled at %s: %q is left", stall, names)
		}
		timer.Stop()
	}
}

// With memory for one part only, volumes that need several do not wait for each
// other for ever.
func TestLittleMemory(t *testing.T) {
	r, st := newRepository()
	pool := codec.NewPool(1, 1)
	defer pool.Close()
	data := string(noise(difftar.PartSize-1, 9))
	var items []item
	for i := range 700 { // 44 MiB
		items = append(items, file(fmt.Sprintf("f%04d", i), data))
	}
	opt := chain.SetOptions{VolumeSize: 20 << 20, Memory: 1, Uploads: 4, Pool: pool}
	mustBackup(t, r, full(1), opt, items)
	if n := len(load(t, st).Latest().Sets[0].Volumes); n != 3 {
		t.Errorf("%d volumes", n)
	}
}

func TestStored(t *testing.T) {
	r, st := newRepository()
	w, err := r.NewSetWriter(t.Context(), full(1), chain.SetOptions{VolumeSize: 150 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := errors.Join(writeItems(w, small()), w.Commit()); err != nil {
		t.Fatal(err)
	}
	if w.Stored() != st.Size() || w.Volumes() != 3 {
		t.Errorf("%d bytes stored, the store holds %d; %d volumes", w.Stored(), st.Size(), w.Volumes())
	}
	w.Abort() // does nothing
	if len(st.Names()) != 6 {
		t.Errorf("after Abort: %q", st.Names())
	}
}

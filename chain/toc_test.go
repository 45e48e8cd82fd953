package chain_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store/storetest"
	"hindsight/chain/toc"
	"hindsight/chain/treetest"
)

// tocEntries reads a set's portable index to its end.
func tocEntries(t testing.TB, r *chain.Repository, s *chain.Set) (volumes []*toc.Volume, signatures *toc.Object, entries []toc.Entry) {
	t.Helper()
	volumes, signatures, entries, err := readTOC(t.Context(), r, s)
	if err != nil {
		t.Fatal(err)
	}
	return volumes, signatures, entries
}

func readTOC(ctx context.Context, r *chain.Repository, s *chain.Set) (volumes []*toc.Volume, signatures *toc.Object, entries []toc.Entry, err error) {
	m, err := r.Manifest(ctx, s)
	if err != nil {
		return nil, nil, nil, err
	}
	tr, err := r.TOC(ctx, s, m)
	if err != nil {
		return nil, nil, nil, err
	}
	defer tr.Close()
	for {
		v, err := tr.NextVolume()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, nil, err
		}
		volumes = append(volumes, v)
	}
	if signatures, err = tr.Signatures(); err != nil {
		return nil, nil, nil, err
	}
	for {
		e, err := tr.NextEntry()
		if err == io.EOF {
			return volumes, signatures, entries, nil
		}
		if err != nil {
			return nil, nil, nil, err
		}
		kept := *e
		kept.Stream, kept.Ops = slices.Clone(e.Stream), slices.Clone(e.Ops)
		entries = append(entries, kept)
	}
}

// mixed is a set with every kind of entry; the delta is of librsync's.
func mixed(t testing.TB) []item {
	rng := treetest.Rand(t, 5)
	var delta bytes.Buffer
	basis, now := treetest.Content(rng, 300_000), treetest.Content(rng, 150_000)
	now = slices.Concat(basis[:100_000], now, basis[150_000:])
	var sig bytes.Buffer
	sw := librsync.NewSignatureWriter(&sig, 512)
	sw.Write(basis)
	sw.Close()
	old, err := librsync.ReadSignature(&sig, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	dw := librsync.NewDeltaWriter(old, &delta)
	dw.Write(now)
	dw.Close()
	items := []item{dir(""), file("a", "small"), deleted("b")}
	for _, it := range parts("c", delta.String()) {
		it.Kind = difftar.Diff
		items = append(items, it)
	}
	items = append(items, dir("d"), file("d/empty", ""), item{Entry: difftar.Entry{Path: "d/link", Kind: difftar.Snapshot,
		Meta: difftar.Meta{Type: difftar.Symlink, Mode: 0o777, Linkname: "a"}}})
	items = append(items, parts("e", string(treetest.Content(rng, 500_000)))...)
	return append(items, file("f", "last"))
}

// TestTOC: the portable index says where the bytes of a set lie.
func TestTOC(t *testing.T) {
	keys := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte("secret")), S2KCount: 1024, GPG: "/no/gpg"})
	session, err := keys.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []codec.Format{{}, gz, {Encrypted: true}, {Encrypted: true, Compressed: true}} {
		t.Run(f.String(), func(t *testing.T) {
			r, st := newRepository()
			r.Keys = keys
			items := mixed(t)
			mustBackup(t, r, full(1), chain.SetOptions{Format: f, VolumeSize: 150 << 10, Session: session, Pool: newPool(t)}, items)
			s := load(t, st).Latest().Sets[0]
			if s.TOC == nil || len(s.Volumes) < 3 {
				t.Fatalf("index %v, %d volumes", s.TOC, len(s.Volumes))
			}
			_, _, local := tocEntries(t, r, s)
			r.Archive = nil
			volumes, signatures, entries := tocEntries(t, r, s)
			if len(local) != len(entries) {
				t.Errorf("%d entries in the archive's copy, %d in the stored one", len(local), len(entries))
			}
			tars := make(map[uint32][]byte)
			for i, v := range volumes {
				tars[uint32(v.Number)] = plainOf(t, r, s.Volumes[i])
				if v.Size != s.Volumes[i].Size || v.Table.Size() != int64(len(tars[uint32(v.Number)])) {
					t.Errorf("volume %d: %d bytes stored and %d plain, want %d and %d", v.Number, v.Size, v.Table.Size(), s.Volumes[i].Size, len(tars[uint32(v.Number)]))
				}
			}
			compareTOC(t, entries, items, tars)
			compareSignatures(t, entries, signatures, s, plainOf(t, r, *s.Signatures))
		})
	}
}

// compareTOC holds entries against what was written.
func compareTOC(t *testing.T, entries []toc.Entry, items []item, tars map[uint32][]byte) {
	t.Helper()
	for _, e := range entries {
		first := items[0]
		var data strings.Builder
		for len(items) > 0 && items[0].Path == first.Path {
			data.WriteString(items[0].data)
			items = items[1:]
		}
		want := first.Meta
		if e.Path != first.Path || e.Kind != first.Kind || e.Meta != want {
			t.Fatalf("%q: %v %+v, want %q: %v %+v", e.Path, e.Kind, e.Meta, first.Path, first.Kind, want)
		}
		stream := streamOf(&e, tars)
		if string(stream) != data.String() {
			t.Errorf("%q: the stream of %d bytes is another, of %d", e.Path, data.Len(), len(stream))
		}
		checkOps(t, &e, stream)
	}
	if len(items) > 0 {
		t.Errorf("%d entries are missing", len(items))
	}
}

// checkOps holds the ops of a delta against the delta.
func checkOps(t *testing.T, e *toc.Entry, stream []byte) {
	t.Helper()
	if e.Kind != difftar.Diff {
		return
	}
	var want []librsync.Op
	var d librsync.OpDecoder
	err := d.Decode(stream, func(op librsync.Op, _ []byte) error {
		want = extent.AppendOp(want, op)
		return nil
	})
	if err != nil || len(want) < 2 || !slices.Equal(e.Ops, want) || e.OpsUnknown {
		t.Errorf("%q: %d ops, want %d (%v)", e.Path, len(e.Ops), len(want), err)
	}
}

func compareSignatures(t *testing.T, entries []toc.Entry, o *toc.Object, s *chain.Set, sigtar []byte) {
	t.Helper()
	if o == nil || o.Size != s.Signatures.Size || o.Table.Size() != int64(len(sigtar)) {
		t.Fatalf("signatures: %+v, want %d bytes stored and %d plain", o, s.Signatures.Size, len(sigtar))
	}
	for _, e := range entries {
		if e.Kind == difftar.Deleted || e.Type != difftar.Regular {
			continue
		}
		if got, want := string(sigtar[e.SigOffset:e.SigOffset+e.SigLen]), "signature of "+e.Path; got != want {
			t.Errorf("%q: the signature is %q", e.Path, got)
		}
	}
}

// TestTOCDetails: what only the portable index keeps.
func TestTOCDetails(t *testing.T) {
	r, st := newRepository()
	w, err := r.NewSetWriter(t.Context(), full(1), chain.SetOptions{Format: gz, Pool: newPool(t)})
	if err != nil {
		t.Fatal(err)
	}
	it := file("a", "12345")
	details := &chain.Details{
		ModTime: time.Unix(-5, 123456789), Size: 5, Hash: [32]byte{1, 2, 3},
		Xattrs: []toc.Xattr{{Name: "user.a", Value: []byte("x")}}, Link: toc.Link{Dev: 8, Ino: 77},
	}
	if err := w.Add(&it.Entry, []byte(it.data)); err != nil {
		t.Fatal(err)
	}
	if err := w.AddSignature(&difftar.Entry{Path: "a", Kind: difftar.Signature, Meta: fileMeta()}, nil, details); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	_, _, entries := tocEntries(t, r, load(t, st).Latest().Sets[0])
	e := entries[0]
	if e.Sec != -5 || e.Nsec != 123456789 || e.Size != 5 || !e.HasHash || e.Hash != details.Hash || e.Link != details.Link ||
		len(e.Xattrs) != 1 || e.Xattrs[0].Name != "user.a" || string(e.Xattrs[0].Value) != "x" {
		t.Errorf("got %+v", e)
	}
}

// TestTOCForeign: an index that is not that of the manifest beside it, or damaged, is
// told from one that can be used, and a damaged copy gives way to the stored one.
func TestTOCForeign(t *testing.T) {
	r, st := newRepository()
	opt := chain.SetOptions{Format: gz, Pool: newPool(t)}
	mustBackup(t, r, full(1), opt, []item{dir(""), file("a", "1")})
	s := load(t, st).Latest().Sets[0]
	other, ost := newRepository()
	mustBackup(t, other, full(1), opt, []item{dir(""), file("a", "2")})
	mustBackup(t, other, full(2), opt, []item{dir(""), file("a", "1")})
	good, sameTime := get(t, st, s.TOC.Key), get(t, ost, s.TOC.Key)
	otherTime := get(t, ost, keyOf(full(2), naming.TOC, 0, gz))
	cut := slices.Clone(good[:len(good)-30])
	for name, c := range map[string]struct {
		stored []byte
		want   error
	}{
		"good":         {good, nil},
		"other set":    {sameTime, chain.ErrForeignTOC},
		"other time":   {otherTime, chain.ErrForeignTOC},
		"cut short":    {cut, io.ErrUnexpectedEOF},
		"not an index": {get(t, st, s.Signatures.Key), toc.ErrFormat},
	} {
		stored := st.Clone()
		put(t, stored, s.TOC.Key, c.stored)
		alone := &chain.Repository{Store: stored}
		_, _, entries, err := readTOC(t.Context(), alone, s)
		if !errors.Is(err, c.want) || err == nil && len(entries) != 2 {
			t.Errorf("%s: %d entries, %v; want %v", name, len(entries), err, c.want)
		}
		corrupt := (*chain.CorruptError)(nil)
		if err != nil && (!errors.As(err, &corrupt) || corrupt.Object != s.TOC.Key) {
			t.Errorf("%s: %v does not name the object", name, err)
		}
		copied := &chain.Repository{Store: st, Archive: storetest.NewMem()}
		put(t, copied.Archive, chain.ArchivedTOC(s.SetID), c.stored)
		if _, _, _, err := readTOC(t.Context(), copied, s); !errors.Is(err, c.want) {
			t.Errorf("%s, in the archive: %v; want %v", name, err, c.want)
		}
		if _, _, entries, err := readTOC(t.Context(), copied, s); err != nil || len(entries) != 2 {
			t.Errorf("%s, in the archive, then: %d entries, %v", name, len(entries), err)
		}
	}
	s.TOC = nil
	if _, _, _, err := readTOC(t.Context(), &chain.Repository{Store: st}, s); !errors.Is(err, chain.ErrNoTOC) {
		t.Errorf("without an index: %v", err)
	}
}

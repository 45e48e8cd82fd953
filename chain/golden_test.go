package chain_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zeebo/blake3"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/dirstore"
	"hindsight/chain/extent"
	"hindsight/chain/pgp"
	"hindsight/chain/store/storetest"
	"hindsight/chain/toc"
)

var update = flag.Bool("update", false, "write the golden repositories of this version, if there are none yet")

// goldenVersion is what is written now. Whatever was written once must be read for
// ever: when the format of volumes or of the portable index changes, the number goes
// up, and -update adds a folder beside the older ones.
const goldenVersion = "v1"

func goldenKeys() *pgp.Keyring {
	return pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte("golden")), S2KCount: 65536, GPG: "/no/gpg"})
}

// goldenSets is what is in every golden repository: text, so that it compresses.
func goldenSets() map[chain.SetID][]item {
	text := func(n, every int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "line %d, %d\n", i, i*i%every)
		}
		return b.String()
	}
	link := item{Entry: difftar.Entry{Path: "link", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Symlink, Mode: 0o777, Linkname: "a"}}}
	first := []item{dir(""), file("a", "alpha"), dir("d")}
	first = append(first, parts("d/large", text(12_000, 9973))...)
	first = append(first, file("d/\xff\n", text(3, 7)), file("gone", "soon"), link)
	delta := "rs\x026" + "\x45\x00\x40" + "\x05seven" + "\x46\x03\xe8\x03\xe8" + "\x00"
	changed := file("d/large", delta)
	changed.Kind = difftar.Diff
	return map[chain.SetID][]item{
		full(1):   first,
		inc(1, 2): {dir(""), file("a", "beta"), changed, deleted("gone")},
	}
}

// TestGolden reads the repositories that every version has written, volumes and
// portable indexes, and holds them against the list of what is in them.
func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	manifests, err := filepath.Glob("testdata/v*/*/duplicity-full.*.manifest*")
	if err != nil || len(manifests) < 4 {
		t.Fatalf("%d golden repositories, %v", len(manifests), err)
	}
	for _, name := range manifests {
		dir := filepath.Dir(name)
		t.Run(dir, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "want.txt"))
			if err != nil {
				t.Fatal(err)
			}
			st, err := dirstore.Open(dir, false)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			r := &chain.Repository{Store: st, Keys: goldenKeys()}
			var byVolumes, byIndex strings.Builder
			for _, s := range load(t, st).Latest().Sets {
				items, _ := readSet(t, r, s)
				listItems(&byVolumes, s, items)
				listTOC(t, &byIndex, r, s)
			}
			if got := byVolumes.String(); got != string(want) {
				t.Errorf("the volumes hold\n%s\nwant\n%s", got, want)
			}
			if got := byIndex.String(); got != string(want) {
				t.Errorf("the index tells of\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// writeGolden makes the repositories of this version.
func writeGolden(t *testing.T) {
	base := filepath.Join("testdata", goldenVersion)
	if _, err := os.Stat(base); err == nil {
		t.Fatalf("%s is there already, and is never written again", base)
	}
	session, err := goldenKeys().NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	formats := map[string]codec.Format{
		"plain": {}, "gz": gz, "gpg": {Encrypted: true, Compressed: true}, "gpg-uncompressed": {Encrypted: true},
	}
	var want strings.Builder
	for name, f := range formats {
		st, err := dirstore.Open(filepath.Join(base, name), true)
		if err != nil {
			t.Fatal(err)
		}
		r := &chain.Repository{Store: st, Archive: storetest.NewMem(), Keys: goldenKeys()}
		want.Reset()
		for _, id := range []chain.SetID{full(1), inc(1, 2)} {
			items := goldenSets()[id]
			mustBackup(t, r, id, chain.SetOptions{Format: f, Session: session, VolumeSize: 100 << 10, Hostname: "host", LocalDir: "src"}, items)
			listItems(&want, &chain.Set{SetID: id}, items)
		}
		st.Close()
	}
	if err := os.WriteFile(filepath.Join(base, "want.txt"), []byte(want.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// listItems writes a line for each path: kind, metadata, and a digest of the stored
// stream.
func listItems(b *strings.Builder, s *chain.Set, items []item) {
	fmt.Fprintln(b, s.SetID)
	for i := 0; i < len(items); {
		first, stream := items[i], ""
		for ; i < len(items) && items[i].Path == first.Path; i++ {
			stream += items[i].data
		}
		listLine(b, first.Path, first.Kind, &first.Meta, []byte(stream))
	}
}

func listLine(b *strings.Builder, path string, kind difftar.Kind, m *difftar.Meta, stream []byte) {
	sum := blake3.Sum256(stream)
	fmt.Fprintf(b, "%q %v %v %#o %d %q %d %s\n", path, kind, m.Type, m.Mode, m.MTime, m.Linkname, len(stream), hex.EncodeToString(sum[:8]))
}

// listTOC does it by the portable index, reading the streams where that says they lie.
func listTOC(t *testing.T, b *strings.Builder, r *chain.Repository, s *chain.Set) {
	t.Helper()
	fmt.Fprintln(b, s.SetID)
	volumes, _, entries := tocEntries(t, r, s)
	tars := make(map[uint32][]byte)
	for i, v := range volumes {
		tars[uint32(v.Number)] = plainOf(t, r, s.Volumes[i])
	}
	for _, e := range entries {
		stream := streamOf(&e, tars)
		listLine(b, e.Path, e.Kind, &e.Meta, stream)
		for _, op := range e.Ops {
			if !op.Copy && string(stream[op.Pos:op.Pos+op.Len]) != "seven" {
				t.Errorf("%q: literal %+v", e.Path, op)
			}
		}
	}
}

// streamOf is the stored stream of an entry.
func streamOf(e *toc.Entry, tars map[uint32][]byte) []byte {
	var stream []byte
	for x := range extent.Slice(e.Stream, 0, extent.Size(e.Stream)) {
		for p := range x.Pieces() {
			stream = append(stream, tars[p.Volume][p.Tar:p.Tar+p.Len]...)
		}
	}
	return stream
}

package toc_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/toc"
	"hindsight/chain/treetest"
)

// The shape of treetest.Corpus at scale 1.
const (
	corpusDirs   = 13_071
	corpusFiles  = 40_401
	corpusStored = 274 << 20 // bytes of a full backup, compressed
)

// corpus is entries like those of a full backup of treetest.Corpus: source text in
// directories of three files each, on a file system with nanoseconds.
func corpus(t testing.TB) []toc.Entry {
	g := generator{rng: treetest.Rand(t, 7)}
	words := []string{"core", "lib", "index", "util", "server", "model", "view", "test", "data", "handler", "page", "style"}
	word := func() string { return pick(g.rng, words...) }
	suffix := []string{".php", ".js", ".go", ".css", ".html", ".txt"}
	entries := make([]toc.Entry, 0, corpusDirs+corpusFiles)
	tar, sig, volume := int64(0), int64(0), uint32(1)
	meta := func(e *toc.Entry, typ difftar.Type, mode uint32) {
		e.Kind = difftar.Snapshot
		e.Meta = difftar.Meta{Type: typ, Mode: mode, UID: 1000, GID: 1000, Uname: "www", Gname: "www", MTime: 1_760_000_000 - g.rng.Int64N(5*365*86400)}
		e.Sec, e.Nsec = e.MTime, g.rng.Int32N(1_000_000_000)
		tar, sig = tar+512, sig+512
		if g.chance(3) {
			tar, sig = tar+1024, sig+1024 // a pax header
		}
	}
	for i := range corpusDirs {
		dir := fmt.Sprintf("srv/www/%03d-%s/%03d-%s", i/500, words[i/500%len(words)], i%500, word())
		e := toc.Entry{Path: dir}
		meta(&e, difftar.Directory, 0o755)
		entries = append(entries, e)
		for k := range corpusFiles/corpusDirs + min(1, max(0, corpusFiles%corpusDirs-i)) {
			e := toc.Entry{Path: fmt.Sprintf("%s/%d_%s_%s%s", dir, k, word(), word(), pick(g.rng, suffix...)), HasHash: true}
			meta(&e, difftar.Regular, 0o644)
			e.Size = 1 + g.rng.Int64N(14_000)
			for i := range e.Hash {
				e.Hash[i] = byte(g.rng.Uint32())
			}
			e.Stream = []extent.Extent{{Len: e.Size, Place: extent.Place{Volume: volume, Tar: tar}}}
			e.SigOffset, e.SigLen = sig, 12+12*((e.Size+511)/512)
			tar += (e.Size + 511) &^ 511
			sig += (e.SigLen + 511) &^ 511
			if tar > 600<<20 {
				tar, volume = 0, volume+1
			}
			entries = append(entries, e)
		}
	}
	return entries
}

// compressed is the size of data as it is stored in a .gz.
func compressed(t testing.TB, data []byte) int {
	var out bytes.Buffer
	w, err := codec.NewWriter(t.Context(), &out, codec.Format{Compressed: true}, codec.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}

// corpusVolumes is the volumes of such a backup: 630 MB of content in blocks of 256 KiB.
func corpusVolumes(t testing.TB) []toc.Volume {
	g := generator{rng: treetest.Rand(t, 8)}
	volumes := []toc.Volume{{Number: 1}, {Number: 2}}
	for i := range volumes {
		table := &codec.Table{Deflated: true}
		stored := int64(0)
		for range 1300 {
			b := codec.Block{TarOffset: table.Size(), Len: codec.MinBlock + g.rng.Int32N(64<<10), StoredOffset: stored, StoredLen: 100_000 + g.rng.Int32N(20_000)}
			for i := range b.Sum {
				b.Sum[i] = byte(g.rng.Uint32())
			}
			stored += int64(b.StoredLen)
			table.Blocks = append(table.Blocks, b)
		}
		volumes[i].Object = toc.Object{Size: stored, Table: table}
	}
	return volumes
}

// The toc of a full backup takes less than 2 % of the set, and its entries less than 60
// bytes each, half of them the hash.
func TestCompressedSize(t *testing.T) {
	entries := corpus(t)
	if len(entries) != corpusDirs+corpusFiles {
		t.Fatalf("%d entries", len(entries))
	}
	data := writeEntries(t, entries)
	size := compressed(t, data)
	whole := compressed(t, write(t, &content{Header: toc.Header{End: 1}, Volumes: corpusVolumes(t), Entries: entries}))
	t.Logf("%d entries: %d bytes, %d compressed, %.1f for each file; the toc %d, %.2f %% of the set", len(entries), len(data), size,
		float64(size)/corpusFiles, whole, 100*float64(whole)/corpusStored)
	if size > 60*corpusFiles {
		t.Errorf("%d bytes compressed, more than 60 for each of %d files", size, corpusFiles)
	}
	if whole > corpusStored/50 {
		t.Errorf("%d bytes, more than 2 %% of %d", whole, corpusStored)
	}
}

func BenchmarkEncode(b *testing.B) {
	entries := corpus(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		w := toc.NewEntryWriter(io.Discard)
		for i := range entries {
			if err := w.Write(&entries[i]); err != nil {
				b.Fatal(err)
			}
		}
		n += len(entries)
	}
	perEntry(b, n)
}

func BenchmarkDecode(b *testing.B) {
	data := writeEntries(b, corpus(b))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r := toc.NewEntryReader(bytes.NewReader(data))
		for {
			_, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	perEntry(b, n)
}

func perEntry(b *testing.B, n int) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/entry")
}

package toc_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
	"hindsight/chain/toc"
	"hindsight/chain/treetest"
)

func TestEntriesRoundTrip(t *testing.T) {
	rng := treetest.Rand(t, 1)
	for i := range 60 {
		g := generator{rng: rng}
		want := g.entries(1 + i*5)
		data := writeEntries(t, want)
		src := io.Reader(bytes.NewReader(data))
		if i%3 == 0 {
			src = iotest.OneByteReader(src)
		}
		got, err := readEntries(toc.NewEntryReader(src))
		if err != nil {
			t.Fatal(err)
		}
		sameEntries(t, got, want)
		if again := writeEntries(t, got); !bytes.Equal(again, data) {
			t.Fatal("what was read is written in another way")
		}
	}
}

// An entry stays what it was when another follows, but for what is said to be reused.
func TestEntryStringsStay(t *testing.T) {
	a, b := file("a", 1, 512, 5), file("b", 1, 2048, 5)
	a.Xattrs = []toc.Xattr{{Name: "user.a", Value: []byte("1")}}
	r := toc.NewEntryReader(bytes.NewReader(writeEntries(t, []toc.Entry{a, b})))
	first, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	path, name := first.Path, first.Xattrs[0].Name
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if path != "a" || name != "user.a" {
		t.Errorf("strings became %q and %q", path, name)
	}
}

// What most files are takes few bytes.
func TestEntrySize(t *testing.T) {
	var entries []toc.Entry
	tar, sig := int64(0), int64(0)
	for _, name := range []string{"aa", "bb", "cc"} {
		e := file("some/long/directory/of/a/source/"+name, 1, tar+512, 3000)
		e.HasHash, e.Hash = true, [32]byte{1}
		e.SigOffset, e.SigLen = sig+512, 84
		tar += 512 + 3072
		sig += 512 + 512
		entries = append(entries, e)
	}
	two, three := len(writeEntries(t, entries[:2])), len(writeEntries(t, entries))
	// Tag, length; shared, suffix; flags, owner, time; nanoseconds; place, length; hash; signature.
	if got, want := three-two, 2+(1+1+2)+3+4+(1+2)+32+(1+1); got != want {
		t.Errorf("an entry takes %d bytes, want %d", got, want)
	}
}

func TestManyOwners(t *testing.T) {
	rng := treetest.Rand(t, 2)
	g := generator{rng: rng}
	var want []toc.Entry
	for i, path := range g.paths(6000) {
		e := file(path, 1, int64(i)*4096, 1)
		e.UID = rng.Int64N(9000)
		if i%100 == 0 {
			e.Gname = strings.Repeat("g", rng.IntN(60_000))
		}
		want = append(want, e)
	}
	got, err := readEntries(toc.NewEntryReader(bytes.NewReader(writeEntries(t, want))))
	if err != nil {
		t.Fatal(err)
	}
	sameEntries(t, got, want)
}

// The largest of everything at once fits into a record.
func TestLargestEntry(t *testing.T) {
	e := file(strings.Repeat("p", difftar.MaxPath), 1, 0, 1)
	e.Kind = difftar.Diff
	e.Uname, e.Gname = strings.Repeat("u", toc.MaxOwner), ""
	e.Stream = nil
	for i := range int64(toc.MaxStream) {
		e.Stream = append(e.Stream, extent.Extent{
			Off: i*(1<<40) + 1, Len: 1 << 39,
			Place: extent.Place{Volume: toc.MaxVolume - uint32(i%2), Tar: 1<<55 + i%2, Head: 1<<16 - 1, Gap: extent.MaxGap},
		})
	}
	for i := range int64(toc.MaxOps) {
		e.Ops = append(e.Ops, librsync.Op{Copy: true, Pos: (i % 2) << 62, Len: 1 << 42})
	}
	total := 0
	for i := 0; total < toc.MaxXattrs; i++ {
		x := toc.Xattr{Name: strings.Repeat("x", 200) + string(rune('A'+i)), Value: make([]byte, 64<<10)}
		x.Value = x.Value[:min(len(x.Value), toc.MaxXattrs-total-len(x.Name))]
		total += len(x.Name) + len(x.Value)
		e.Xattrs = append(e.Xattrs, x)
	}
	want := []toc.Entry{file("a", 1, 0, 1), e}
	data := writeEntries(t, want)
	t.Logf("%d bytes", len(data))
	got, err := readEntries(toc.NewEntryReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got[1].Ops) != toc.MaxOps || len(got[1].Stream) != toc.MaxStream || len(got[1].Xattrs) != len(e.Xattrs) {
		t.Fatalf("%d entries", len(got))
	}
	if again := writeEntries(t, got); !bytes.Equal(again, data) {
		t.Fatal("what was read is written in another way")
	}
}

func TestTooManyOps(t *testing.T) {
	e := file("a", 1, 0, 1)
	e.Kind, e.Size = difftar.Diff, toc.MaxOps+1
	for range toc.MaxOps + 1 {
		e.Ops = append(e.Ops, librsync.Op{Copy: true, Len: 1})
	}
	got, err := readEntries(toc.NewEntryReader(bytes.NewReader(writeEntries(t, []toc.Entry{e}))))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || !got[0].OpsUnknown || len(got[0].Ops) != 0 || got[0].Size != toc.MaxOps+1 {
		t.Errorf("OpsUnknown %v, %d ops, size %d", got[0].OpsUnknown, len(got[0].Ops), got[0].Size)
	}
}

// An entry that cannot be is refused and leaves nothing behind.
func TestEntryRefused(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, change := range map[string]func(*toc.Entry){
		"path":        func(e *toc.Entry) { e.Path = "b/../c" },
		"long path":   func(e *toc.Entry) { e.Path = "b" + long },
		"order":       func(e *toc.Entry) { e.Path = "a" },
		"before":      func(e *toc.Entry) { e.Path = "" },
		"kind":        func(e *toc.Entry) { e.Kind = difftar.Signature },
		"no kind":     func(e *toc.Entry) { e.Kind = 0 },
		"deleted":     func(e *toc.Entry) { e.Kind = difftar.Deleted },
		"type":        func(e *toc.Entry) { e.Type = 0 },
		"mode":        func(e *toc.Entry) { e.Mode = 0o10000 },
		"uid":         func(e *toc.Entry) { e.UID = -1 },
		"owner":       func(e *toc.Entry) { e.Uname = long },
		"NUL":         func(e *toc.Entry) { e.Gname = "\x00" },
		"link target": func(e *toc.Entry) { e.Linkname = "x" },
		"device":      func(e *toc.Entry) { e.Minor = 1 },
		"nanoseconds": func(e *toc.Entry) { e.Nsec = 1_000_000_000 },
		"size":        func(e *toc.Entry) { e.Size = -2 },
		"hash":        func(e *toc.Entry) { e.Hash[0] = 1 },
		"content":     func(e *toc.Entry) { e.Type = difftar.Directory },
		"diff of a dir": func(e *toc.Entry) {
			*e = toc.Entry{Path: e.Path, Kind: difftar.Diff, Meta: e.Meta}
			e.Type = difftar.Directory
		},
		"set":             func(e *toc.Entry) { e.Stream[0].Set = 1 },
		"volume":          func(e *toc.Entry) { e.Stream[0].Volume = toc.MaxVolume + 1 },
		"no volume":       func(e *toc.Entry) { e.Stream[0].Volume = 0 },
		"empty extent":    func(e *toc.Entry) { e.Stream[0].Len = 0 },
		"far extent":      func(e *toc.Entry) { e.Stream[0].Tar = 1 << 56 },
		"order of stream": func(e *toc.Entry) { e.Stream = append(e.Stream, e.Stream[0]) },
		"ops":             func(e *toc.Entry) { e.Ops = []librsync.Op{{Len: 1}} },
		"unknown ops":     func(e *toc.Entry) { e.OpsUnknown = true },
		"both ops":        func(e *toc.Entry) { e.Kind, e.OpsUnknown, e.Ops = difftar.Diff, true, []librsync.Op{{Len: 1}} },
		"empty op":        func(e *toc.Entry) { e.Kind, e.Ops = difftar.Diff, []librsync.Op{{}} },
		"far op":          func(e *toc.Entry) { e.Kind, e.Ops = difftar.Diff, []librsync.Op{{Pos: 1<<63 - 1, Len: 1}} },
		"sum of ops":      func(e *toc.Entry) { e.Kind, e.Ops = difftar.Diff, []librsync.Op{{Len: 1 << 62}, {Len: 1 << 62}} },
		"signature":       func(e *toc.Entry) { e.SigLen = -1 },
		"time of nothing": func(e *toc.Entry) { e.SigOffset, e.SigLen, e.SigShift = 0, 0, -1 },
		"no signature":    func(e *toc.Entry) { e.SigOffset = 512 },
		"far signature":   func(e *toc.Entry) { e.SigLen, e.SigOffset = 1, difftar.MaxSize+1 },
		"xattr":           func(e *toc.Entry) { e.Xattrs = []toc.Xattr{{}} },
		"long xattr":      func(e *toc.Entry) { e.Xattrs = []toc.Xattr{{Name: long[:256]}} },
		"large xattr":     func(e *toc.Entry) { e.Xattrs = []toc.Xattr{{Name: "a", Value: []byte(long)}} },
		"order of xattrs": func(e *toc.Entry) { e.Xattrs = []toc.Xattr{{Name: "b"}, {Name: "a"}} },
		"xattr twice":     func(e *toc.Entry) { e.Xattrs = []toc.Xattr{{Name: "a"}, {Name: "a"}} },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := toc.NewEntryWriter(&out)
			want := []toc.Entry{file("a", 1, 512, 100), file("c", 1, 2048, 100)}
			if err := w.Write(&want[0]); err != nil {
				t.Fatal(err)
			}
			bad := file("b", 2, 4096, 100)
			change(&bad)
			if err := w.Write(&bad); err == nil {
				t.Fatalf("%+v was written", bad)
			}
			if err := w.Write(&want[1]); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			got, err := readEntries(toc.NewEntryReader(&out))
			if err != nil {
				t.Fatal(err)
			}
			sameEntries(t, got, want)
		})
	}
}

// Entries that are cut off say so, wherever they are cut but between two of them.
func TestEntriesTruncated(t *testing.T) {
	g := generator{rng: treetest.Rand(t, 3)}
	want := g.entries(20)
	data := writeEntries(t, want)
	whole := map[int]int{0: 0}
	for i := range want {
		whole[len(writeEntries(t, want[:i+1]))] = i + 1
	}
	for n := range data {
		got, err := readEntries(toc.NewEntryReader(bytes.NewReader(data[:n])))
		if count, ok := whole[n]; ok {
			if err != nil || len(got) != count {
				t.Fatalf("%d entries, %v; want %d", len(got), err, count)
			}
		} else if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(data), err)
		}
		sameEntries(t, got, want[:len(got)])
	}
}

func TestEntryReaderPassesErrors(t *testing.T) {
	broken := errors.New("broken")
	_, err := readEntries(toc.NewEntryReader(iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// A length that nothing follows costs no memory.
func TestClaimedLength(t *testing.T) {
	claim := []byte{'e', 0x80, 0x80, 0x80, 0x20, 1, 2, 3} // 64 MiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := toc.NewEntryReader(bytes.NewReader(claim)).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes of memory for a record of 3 bytes", n)
	}
	claim[4]++
	if _, err := toc.NewEntryReader(bytes.NewReader(claim)).Next(); !errors.Is(err, toc.ErrFormat) {
		t.Errorf("a record of 66 MiB: %v", err)
	}
}

// Records that a later version added are skipped.
func TestUnknownRecord(t *testing.T) {
	want := []toc.Entry{file("a", 1, 512, 100)}
	data := append([]byte{'?', 3, 1, 2, 3}, writeEntries(t, want)...)
	got, err := readEntries(toc.NewEntryReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	sameEntries(t, got, want)
}

// So is what it added to the end of an entry.
func TestLongerEntry(t *testing.T) {
	want := []toc.Entry{file("a", 1, 512, 100), file("b", 1, 2048, 100)}
	one := len(writeEntries(t, want[:1]))
	data := writeEntries(t, want)
	longer := append([]byte{'e', data[1] + 2}, data[2:one]...)
	longer = append(append(longer, 7, 7), data[one:]...)
	got, err := readEntries(toc.NewEntryReader(bytes.NewReader(longer)))
	if err != nil {
		t.Fatal(err)
	}
	sameEntries(t, got, want)
}

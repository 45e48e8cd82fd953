package toc_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
	"hindsight/chain/toc"
)

// same compares entries: an empty list is no list.
var same = cmpopts.EquateEmpty()

// clone is an entry that outlives the next one.
func clone(e *toc.Entry) toc.Entry {
	c := *e
	c.Stream, c.Ops, c.Xattrs = slices.Clone(e.Stream), slices.Clone(e.Ops), slices.Clone(e.Xattrs)
	for i := range c.Xattrs {
		c.Xattrs[i].Value = bytes.Clone(c.Xattrs[i].Value)
	}
	return c
}

// writeEntries is the bytes of entries.
func writeEntries(t testing.TB, entries []toc.Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := toc.NewEntryWriter(&out)
	for i := range entries {
		if err := w.Write(&entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if w.Count() != int64(len(entries)) {
		t.Fatalf("Count() = %d, want %d", w.Count(), len(entries))
	}
	return out.Bytes()
}

// readEntries reads what is there, before an error if there is one.
func readEntries(r *toc.EntryReader) ([]toc.Entry, error) {
	var entries []toc.Entry
	for {
		e, err := r.Next()
		if err == io.EOF {
			return entries, nil
		}
		if err != nil {
			if _, again := r.Next(); again != err {
				return nil, errors.New("the error does not stick")
			}
			return entries, err
		}
		entries = append(entries, clone(e))
	}
}

// sameEntries fails the test where got differs from want.
func sameEntries(t testing.TB, got, want []toc.Entry) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i := range want {
		if !equal(&got[i], &want[i]) {
			t.Fatalf("entry %d (-want +got):\n%s", i, cmp.Diff(want[i], got[i], same))
		}
	}
}

// equal is what cmp.Equal says, sooner.
func equal(a, b *toc.Entry) bool {
	return a.Path == b.Path && a.Kind == b.Kind && a.Meta == b.Meta && a.Sec == b.Sec && a.Nsec == b.Nsec &&
		a.Size == b.Size && a.Hash == b.Hash && a.HasHash == b.HasHash && slices.Equal(a.Stream, b.Stream) &&
		slices.Equal(a.Ops, b.Ops) && a.OpsUnknown == b.OpsUnknown && a.SigOffset == b.SigOffset && a.SigLen == b.SigLen && a.SigShift == b.SigShift &&
		slices.EqualFunc(a.Xattrs, b.Xattrs, func(x, y toc.Xattr) bool { return x.Name == y.Name && bytes.Equal(x.Value, y.Value) }) &&
		a.Link == b.Link
}

// file is a small file's entry.
func file(path string, volume uint32, tar, size int64) toc.Entry {
	return toc.Entry{
		Path: path, Kind: difftar.Snapshot,
		Meta: difftar.Meta{Type: difftar.Regular, Mode: 0o644, UID: 1000, GID: 100, Uname: "kim", Gname: "users", MTime: 1_700_000_000},
		Sec:  1_700_000_000, Nsec: 123_456_789, Size: size,
		Stream: []extent.Extent{{Len: size, Place: extent.Place{Volume: volume, Tar: tar}}},
	}
}

// generator makes random entries that go through every field and far numbers.
type generator struct {
	rng  *rand.Rand
	tar  int64
	sig  int64
	last difftar.Meta
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// chance is true once in n times.
func (g *generator) chance(n int) bool { return g.rng.IntN(n) == 0 }

// number is not negative and of any length.
func (g *generator) number(bits int) int64 { return int64(g.rng.Uint64() >> (64 - g.rng.IntN(bits+1))) }

// paths are n different paths in order.
func (g *generator) paths(n int) []string {
	seen := map[string]bool{"": true}
	dirs := []string{""}
	for len(seen) < n {
		name := pick(g.rng, "a", "b", "a.b", "a-b", "\xff\n", "zürich", strings.Repeat("n", 255)) + fmt.Sprint(g.rng.IntN(9))
		path := strings.TrimPrefix(pick(g.rng, dirs...)+"/"+name, "/")
		if len(path) > 2000 || seen[path] {
			continue
		}
		seen[path] = true
		if g.chance(3) {
			dirs = append(dirs, path)
		}
	}
	var paths []string
	for path := range seen {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, difftar.Compare[string, string])
	return paths
}

func (g *generator) entries(n int) []toc.Entry {
	var entries []toc.Entry
	for _, path := range g.paths(n) {
		entries = append(entries, g.entry(path))
	}
	return entries
}

func (g *generator) entry(path string) toc.Entry {
	e := toc.Entry{Path: path, Kind: pick(g.rng, difftar.Snapshot, difftar.Snapshot, difftar.Diff, difftar.Deleted)}
	if e.Kind == difftar.Deleted {
		return e
	}
	e.Meta = g.meta(e.Kind)
	e.Sec = e.MTime
	if g.chance(4) {
		e.Sec = pick(g.rng, -1, -g.number(63), g.number(63))
	}
	if !g.chance(3) {
		e.Nsec = g.rng.Int32N(1_000_000_000)
	}
	if e.Type == difftar.Regular {
		g.content(&e)
	}
	if g.chance(4) {
		g.xattrs(&e)
	}
	if g.chance(6) {
		e.Link = toc.Link{Dev: pick(g.rng, 2049, g.rng.Uint64()), Ino: uint64(g.number(64))}
	}
	return e
}

func (g *generator) meta(kind difftar.Kind) difftar.Meta {
	m := g.last
	if m.Type == 0 || g.chance(3) {
		m = difftar.Meta{
			Mode: g.rng.Uint32N(0o10000), UID: g.number(63), GID: g.number(63),
			Uname: pick(g.rng, "", "root", "kim", "\xfe"), Gname: pick(g.rng, "", "wheel", strings.Repeat("g", 300)),
			MTime: pick(g.rng, 0, 1_700_000_000, g.number(33), -g.number(63)),
		}
	}
	m.Type = pick(g.rng, difftar.Regular, difftar.Regular, difftar.Directory, difftar.Symlink, difftar.CharDevice, difftar.BlockDevice, difftar.Fifo)
	if kind == difftar.Diff {
		m.Type = difftar.Regular
	}
	g.last = m
	switch m.Type {
	case difftar.Symlink:
		m.Linkname = pick(g.rng, "", "../x", "/etc/passwd", "\x80")
	case difftar.CharDevice, difftar.BlockDevice:
		m.Major, m.Minor = uint32(g.number(32)), uint32(g.number(32))
	}
	return m
}

func (g *generator) content(e *toc.Entry) {
	g.stream(e)
	if e.Kind == difftar.Diff {
		if e.OpsUnknown = g.chance(3); !e.OpsUnknown {
			e.Ops = g.ops()
		}
	}
	switch {
	case g.chance(5):
		e.Size = -1
	case g.chance(5):
		e.Size = g.number(63)
	default:
		e.Size = extent.Size(e.Stream)
	}
	if !g.chance(4) {
		e.HasHash = true
		for i := range 4 {
			binary.LittleEndian.PutUint64(e.Hash[8*i:], g.rng.Uint64())
		}
	}
	if !g.chance(4) {
		e.SigOffset, e.SigLen = g.sig+512, 12+g.number(20)
		if g.chance(5) {
			e.SigOffset, e.SigLen = g.number(50), 1+g.number(49)
		}
		if g.chance(5) {
			e.SigShift = g.number(40) - 200
		}
		g.sig = (e.SigOffset + e.SigLen + 511) / 512 * 512
	}
}

func (g *generator) stream(e *toc.Entry) {
	end, volume := int64(0), 1+g.rng.Uint32N(3)
	for range pick(g.rng, 0, 1, 1, 1, 1, 2, 5) {
		x := extent.Extent{Off: end, Len: 1 + g.number(20), Place: extent.Place{Volume: volume, Tar: g.tar + 512*int64(1+g.rng.IntN(3))}}
		switch {
		case g.chance(6):
			x.Off += g.number(40)
		case g.chance(6):
			x.Tar, x.Len = g.number(54), 1+g.number(50)
		case g.chance(4):
			x.Head, x.Gap = pick(g.rng, extent.PartSize, 1+g.rng.Int32N(extent.PartSize)), pick(g.rng, 512, 1+g.rng.Int32N(extent.MaxGap))
			x.Len += int64(x.Head)
		case g.chance(10):
			volume = 1 + g.rng.Uint32N(toc.MaxVolume)
			x.Volume = volume
		}
		e.Stream = append(e.Stream, x)
		end = x.End()
		g.tar = (x.After(x.Len-1).Tar + 512) / 512 * 512
	}
	g.tar %= 1 << 50
}

func (g *generator) ops() []librsync.Op {
	var ops []librsync.Op
	var ends [2]int64
	for range g.rng.IntN(12) {
		i := g.rng.IntN(2)
		op := librsync.Op{Copy: i == 1, Pos: ends[i] + g.number(10), Len: 1 + g.number(20)}
		if g.chance(5) {
			op.Pos = g.number(60)
		}
		ends[i] = op.Pos + op.Len
		ops = append(ops, op)
	}
	return ops
}

func (g *generator) xattrs(e *toc.Entry) {
	for _, name := range []string{"security.selinux", "system.posix_acl_access", "user.\xff", strings.Repeat("x", 255)} {
		if g.chance(2) {
			e.Xattrs = append(e.Xattrs, toc.Xattr{Name: name, Value: bytes.Repeat([]byte{byte(g.rng.Uint32())}, g.rng.IntN(100))})
		}
	}
}

package extent_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"hindsight/chain/extent"
	"hindsight/chain/librsync"
)

// volumes is a store of volumes: sets of streams cut into parts with headers between,
// as difftars have them.
type volumes struct {
	rng  *rand.Rand
	tars map[[2]uint32][]byte // by set and volume
}

// add stores a stream in a new set and returns its extents. It goes to another volume
// now and then.
func (v *volumes) add(set uint32, stream []byte) []extent.Extent {
	var extents []extent.Extent
	volume := uint32(1)
	for off := 0; off < len(stream); {
		if v.rng.IntN(6) == 0 {
			volume++
		}
		header := make([]byte, 512*(1+v.rng.IntN(8)/7))
		key := [2]uint32{set, volume}
		v.tars[key] = append(v.tars[key], header...)
		part := stream[off:min(len(stream), off+extent.PartSize)]
		extents = extent.Append(extents, extent.Extent{
			Off: int64(off), Len: int64(len(part)),
			Place: extent.Place{Set: set, Volume: volume, Tar: int64(len(v.tars[key]))},
		})
		v.tars[key] = append(v.tars[key], part...)
		off += len(part)
	}
	return extents
}

// read reads what extents say of [off, off+n).
func (v *volumes) read(t *testing.T, extents []extent.Extent, off, n int64) []byte {
	t.Helper()
	var out []byte
	for e := range extent.Slice(extents, off, n) {
		for p := range e.Pieces() {
			if p.Off != off+int64(len(out)) || p.Gap != 0 {
				t.Fatalf("piece %+v where offset %d should be", p, off+int64(len(out)))
			}
			tar := v.tars[[2]uint32{p.Set, p.Volume}]
			out = append(out, tar[p.Tar:p.Tar+p.Len]...)
		}
	}
	return out
}

// stored is the delta as it is stored, with something before every literal, and the
// ops that speak of it.
func stored(ops []op) (stream []byte, out []librsync.Op) {
	for _, o := range ops {
		stream = append(stream, 'o')
		if o.lit == nil {
			out = extent.AppendOp(out, librsync.Op{Copy: true, Pos: o.from, Len: o.n})
			continue
		}
		out = extent.AppendOp(out, librsync.Op{Pos: int64(len(stream)), Len: int64(len(o.lit))})
		stream = append(stream, o.lit...)
	}
	return stream, out
}

// TestHistories makes random edit histories and compares three ways to the newest
// version: patching, demands from the newest set down, and composed extents.
func TestHistories(t *testing.T) {
	histories := 2000
	if testing.Short() {
		histories = 200
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	for i := range histories {
		v := &volumes{rng: rng, tars: make(map[[2]uint32][]byte)}
		size := 2000
		if i%20 == 0 {
			size = 5 * extent.PartSize
		}
		want := randomBytes(rng, rng.IntN(size))
		extents := v.add(0, want)
		history := [][]op{{{lit: want}}}
		for set := range uint32(rng.IntN(300)) {
			ops, next := edit(rng, want)
			ops = clip(ops, int64(len(next)))
			stream, eops := stored(ops)
			before := len(extents)
			composed, err := extent.Compose(extents, v.add(set+1, stream), eops)
			if err != nil {
				t.Fatal(err)
			}
			if limit := len(eops)*(1+before) + len(stream)/extent.PartSize; len(composed) > limit {
				t.Fatalf("%d extents of %d ops on %d extents", len(composed), len(eops), before)
			}
			extents, want = composed, next
			history = append(history, ops)
		}
		checkExtents(t, extents, int64(len(want)))
		if got := v.read(t, extents, 0, int64(len(want))); !bytes.Equal(got, want) {
			t.Fatalf("history %d of %d versions: the extents give other bytes", i, len(history))
		}
		for range 5 {
			if len(want) == 0 {
				break
			}
			off := rng.Int64N(int64(len(want)))
			n := rng.Int64N(int64(len(want)) - off + 1)
			if got := v.read(t, extents, off, n); !bytes.Equal(got, want[off:off+n]) {
				t.Fatalf("history %d: bytes %d+%d are others", i, off, n)
			}
		}
		if got := byDemands(t, history, len(want)); !bytes.Equal(got, want) {
			t.Fatalf("history %d of %d versions: the demands give other bytes", i, len(history))
		}
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// byDemands reads a history from the newest version down.
func byDemands(t *testing.T, history [][]op, size int) []byte {
	t.Helper()
	got := make([]byte, size)
	demands := extent.Whole()
	for _, ops := range slices.Backward(history) {
		demands = resolve(t, demands, ops, func(p []byte, to int64) error {
			copy(got[to:], p)
			return nil
		})
	}
	return got
}

func checkExtents(t *testing.T, extents []extent.Extent, size int64) {
	t.Helper()
	if err := extent.Check(extents); err != nil {
		t.Fatal(err)
	}
	if got := extent.Size(extents); got != size {
		t.Fatalf("Size() = %d, want %d", got, size)
	}
	for i := 1; i < len(extents); i++ {
		if extents[i].Off != extents[i-1].End() {
			t.Fatalf("a hole between %+v and %+v", extents[i-1], extents[i])
		}
		if m := extent.Append([]extent.Extent{extents[i-1]}, extents[i]); len(m) == 1 {
			t.Fatalf("%+v and %+v are not merged", extents[i-1], extents[i])
		}
	}
}

// TestAppendParts: the parts of one file in one volume are one extent.
func TestAppendParts(t *testing.T) {
	const header = 512
	var extents []extent.Extent
	tar, off := int64(1000), int64(0)
	for range 100 {
		extents = extent.Append(extents, extent.Extent{Off: off, Len: extent.PartSize, Place: extent.Place{Volume: 1, Tar: tar}})
		off += extent.PartSize
		tar += extent.PartSize + header
	}
	extents = extent.Append(extents, extent.Extent{Off: off, Len: 5, Place: extent.Place{Volume: 1, Tar: tar}})
	want := []extent.Extent{{Off: 0, Len: off + 5, Place: extent.Place{Volume: 1, Tar: 1000, Head: extent.PartSize, Gap: header}}}
	if !slices.Equal(extents, want) {
		t.Fatalf("got %+v, want %+v", extents, want)
	}
	for _, at := range []int64{0, 1, extent.PartSize - 1, extent.PartSize, extent.PartSize + 1, 50*extent.PartSize + 77, off + 4} {
		wantTar := 1000 + at + header*(at/extent.PartSize)
		if got := extents[0].After(at).Tar; got != wantTar {
			t.Errorf("byte %d at %d, want %d", at, got, wantTar)
		}
	}
	if whole := extents[0].Cut(70_000, 80_000); whole.Gap != 0 || whole.Head != 0 || whole.Len != 10_000 {
		t.Errorf("a cut within one part is %+v, want no gap", whole)
	}
}

func TestComposeErrors(t *testing.T) {
	base := []extent.Extent{{Off: 0, Len: 10, Place: extent.Place{Volume: 1}}}
	stream := []extent.Extent{{Off: 0, Len: 5, Place: extent.Place{Set: 1, Volume: 1}}}
	for _, c := range []struct {
		op   librsync.Op
		want error
	}{
		{librsync.Op{Copy: true, Pos: 5, Len: 6}, extent.ErrShort},
		{librsync.Op{Copy: true, Pos: 11, Len: 1}, extent.ErrShort},
		{librsync.Op{Pos: 3, Len: 3}, extent.ErrExtents},
		{librsync.Op{Copy: true, Pos: -1, Len: 3}, extent.ErrExtents},
		{librsync.Op{Copy: true, Pos: 1<<63 - 1, Len: 3}, extent.ErrExtents},
		{librsync.Op{Copy: true, Pos: 0, Len: 10}, nil},
		{librsync.Op{Pos: 5, Len: 0}, nil},
	} {
		if _, err := extent.Compose(base, stream, []librsync.Op{c.op}); !errors.Is(err, c.want) {
			t.Errorf("op %+v: %v, want %v", c.op, err, c.want)
		}
	}
}

// TestComposeLimit: deltas that double the pieces each time meet the limit, not the
// memory.
func TestComposeLimit(t *testing.T) {
	extents := []extent.Extent{{Off: 0, Len: 1, Place: extent.Place{Volume: 1}}, {Off: 1, Len: 1, Place: extent.Place{Volume: 2}}}
	for range 64 {
		size := extent.Size(extents)
		twice := []librsync.Op{{Copy: true, Len: size}, {Copy: true, Len: size}}
		next, err := extent.Compose(extents, nil, twice)
		if err != nil {
			if !errors.Is(err, extent.ErrTooManyExtents) || len(extents) < extent.MaxExtents/4 {
				t.Errorf("at %d extents: %v", len(extents), err)
			}
			return
		}
		extents = next
	}
	t.Error("the extents doubled 64 times")
}

func TestCheck(t *testing.T) {
	ok := extent.Extent{Off: 0, Len: 10, Place: extent.Place{Volume: 1, Tar: 512}}
	for name, c := range map[string]struct {
		change func(*extent.Extent)
		valid  bool
	}{
		"plain":          {func(*extent.Extent) {}, true},
		"with a gap":     {func(e *extent.Extent) { e.Head, e.Gap = 5, 512 }, true},
		"empty":          {func(e *extent.Extent) { e.Len = 0 }, false},
		"before 0":       {func(e *extent.Extent) { e.Off = -1 }, false},
		"before the tar": {func(e *extent.Extent) { e.Tar = -1 }, false},
		"no volume":      {func(e *extent.Extent) { e.Volume = 0 }, false},
		"gap alone":      {func(e *extent.Extent) { e.Gap = 512 }, false},
		"head alone":     {func(e *extent.Extent) { e.Head = 512 }, false},
		"large head":     {func(e *extent.Extent) { e.Head, e.Gap = extent.PartSize+1, 512 }, false},
		"large gap":      {func(e *extent.Extent) { e.Head, e.Gap = 5, extent.MaxGap+1 }, false},
		"too long":       {func(e *extent.Extent) { e.Len = 1<<56 + 1 }, false},
		"too far":        {func(e *extent.Extent) { e.Tar = 1<<56 + 1 }, false},
		"past the end":   {func(e *extent.Extent) { e.Off = 1<<63 - 5 }, false},
	} {
		e := ok
		c.change(&e)
		if err := extent.Check([]extent.Extent{e}); (err == nil) != c.valid || err != nil && !errors.Is(err, extent.ErrExtents) {
			t.Errorf("%s: %v, want it to be valid: %v", name, err, c.valid)
		}
	}
	if err := extent.Check([]extent.Extent{ok, ok}); !errors.Is(err, extent.ErrExtents) {
		t.Errorf("two that overlap: %v", err)
	}
}

// FuzzExtents appends, cuts and slices what the input says and compares with one
// byte at a time.
func FuzzExtents(f *testing.F) {
	f.Add([]byte{1, 0, 10, 1, 1, 5, 0, 0, 3}, uint16(3), uint16(9))
	f.Fuzz(func(t *testing.T, in []byte, off, n uint16) {
		var extents []extent.Extent
		var tars []int64 // of every byte of the stream
		var tar, pos int64
		for ; len(in) >= 3; in = in[3:] {
			tar += int64(in[0] % 4 * 128)
			e := extent.Extent{Off: pos, Len: 1 + int64(in[1])*int64(1+in[2]%64), Place: extent.Place{Volume: 1, Tar: tar}}
			for range e.Len {
				tars = append(tars, tar)
				tar++
			}
			pos = e.End()
			extents = extent.Append(extents, e)
		}
		if err := extent.Check(extents); err != nil {
			t.Fatal(err)
		}
		at := int64(off)
		for e := range extent.Slice(extents, at, int64(n)) {
			for p := range e.Pieces() {
				if p.Off != at {
					t.Fatalf("piece at %d, want %d", p.Off, at)
				}
				for i := range p.Len {
					if p.Tar+i != tars[at] {
						t.Fatalf("byte %d at %d, want %d", at, p.Tar+i, tars[at])
					}
					at++
				}
			}
		}
		if want := max(int64(off), min(int64(off)+int64(n), pos)); at != want {
			t.Fatalf("sliced to %d, want %d", at, want)
		}
	})
}

func BenchmarkCompose(b *testing.B) {
	const pieces = 10_000
	var base []extent.Extent
	var ops []librsync.Op
	for i := range int64(pieces) {
		base = extent.Append(base, extent.Extent{Off: i * 4096, Len: 4096, Place: extent.Place{Set: uint32(i % 7), Volume: 1, Tar: i * 10_000}})
		ops = append(ops, librsync.Op{Copy: true, Pos: (i * 7919 % pieces) * 4096, Len: 4096})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := extent.Compose(base, nil, ops); err != nil {
			b.Fatal(err)
		}
	}
}

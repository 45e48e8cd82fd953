package extent_test

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"hindsight/chain/extent"
)

// op is a piece of a version: bytes of its own, or a copy from the version before.
type op struct {
	lit     []byte
	from, n int64
}

// edit makes a new version of base, and the ops that say how.
func edit(rng *rand.Rand, base []byte) ([]op, []byte) {
	var ops []op
	var out []byte
	for range 1 + rng.IntN(8) {
		if len(base) > 0 && rng.IntN(3) > 0 {
			from := rng.IntN(len(base))
			n := rng.IntN(len(base) - from + 1)
			ops = append(ops, op{from: int64(from), n: int64(n)})
			out = append(out, base[from:from+n]...)
			continue
		}
		lit := make([]byte, rng.IntN(40))
		for i := range lit {
			lit[i] = byte(rng.Uint32())
		}
		ops = append(ops, op{lit: lit})
		out = append(out, lit...)
	}
	return ops, out[:min(len(out), 5000)]
}

// clip cuts ops to the first n bytes of output.
func clip(ops []op, n int64) []op {
	var out []op
	for _, o := range ops {
		size := o.n + int64(len(o.lit))
		if size > n {
			if o.lit != nil {
				o.lit = o.lit[:n]
			} else {
				o.n = n
			}
			size = n
		}
		out = append(out, o)
		n -= size
	}
	return out
}

// TestDemandsEqualPatching resolves random edit histories from the newest version
// down and compares with applying the edits upwards.
func TestDemandsEqualPatching(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 500 {
		first := make([]byte, rng.IntN(2000))
		for i := range first {
			first[i] = byte(rng.Uint32())
		}
		want := first
		var history [][]op
		for range rng.IntN(12) {
			ops, next := edit(rng, want)
			history = append(history, clip(ops, int64(len(next))))
			want = next
		}
		got := make([]byte, len(want))
		written := make([]bool, len(want))
		write := func(p []byte, to int64) error {
			for i := range p {
				if written[to+int64(i)] {
					t.Fatalf("byte %d written twice", to+int64(i))
				}
				written[to+int64(i)] = true
			}
			copy(got[to:], p)
			return nil
		}
		demands := extent.Whole()
		for _, ops := range slices.Backward(history) {
			demands = resolve(t, demands, ops, write)
		}
		resolve(t, demands, []op{{lit: first}}, write)
		if !bytes.Equal(got, want) {
			t.Fatalf("history of %d edits: got %x, want %x", len(history), got, want)
		}
	}
}

func resolve(t *testing.T, demands []extent.Demand, ops []op, write func([]byte, int64) error) []extent.Demand {
	t.Helper()
	r := extent.NewResolver(demands)
	var pos int64
	for _, o := range ops {
		var err error
		if o.lit != nil {
			err = r.Literal(pos, o.lit, write)
		} else {
			err = r.Copy(pos, o.n, o.from)
		}
		if err != nil {
			t.Fatal(err)
		}
		pos += o.n + int64(len(o.lit))
	}
	if r.End() != pos {
		t.Fatalf("End() = %d, want %d", r.End(), pos)
	}
	older := r.Older()
	if !slices.IsSortedFunc(older, func(a, b extent.Demand) int { return int(a.From - b.From) }) {
		t.Fatalf("demands not sorted: %v", older)
	}
	return older
}

func TestResolverMergesNeighbours(t *testing.T) {
	r := extent.NewResolver(extent.Whole())
	for pos := range int64(10) {
		if err := r.Copy(pos*100, 100, 5000+pos*100); err != nil {
			t.Fatal(err)
		}
	}
	want := []extent.Demand{{From: 5000, To: 0, Len: 1000}}
	if got := r.Older(); !slices.Equal(got, want) {
		t.Errorf("Older() = %v, want %v", got, want)
	}
}

func TestResolverRefuses(t *testing.T) {
	r := extent.NewResolver(extent.Whole())
	if err := r.Copy(10, 5, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Copy(12, 5, 0); !errors.Is(err, extent.ErrOrder) {
		t.Errorf("piece behind the last one's start: %v, want ErrOrder", err)
	}
	if err := r.Copy(20, 1<<62, 1<<61); err != nil {
		t.Errorf("large copy: %v", err)
	}
	if err := r.Copy(1<<62+20, 1<<61, 1<<63-1); err == nil {
		t.Error("a copy past 2^63 was taken")
	}
}

// FuzzResolver takes demands and pieces from the input, gaps between pieces
// included, and compares with doing it byte by byte.
func FuzzResolver(f *testing.F) {
	f.Add([]byte{0, 10, 0, 5, 5, 9, 3, 8}, []byte{0, 5, 1, 9, 0, 4, 7, 2, 1})
	f.Add([]byte{0, 255, 0, 255, 0, 255}, []byte{0, 255, 0, 0, 255, 1, 0, 255, 0})
	f.Add([]byte{}, []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, demandBytes, pieceBytes []byte) {
		var demands []extent.Demand
		var from, to int64
		for ; len(demandBytes) >= 2; demandBytes = demandBytes[2:] {
			from += int64(demandBytes[0] % 16)
			n := 1 + int64(demandBytes[1])
			demands = append(demands, extent.Demand{From: from, To: to, Len: n})
			to += n
		}
		r := extent.NewResolver(demands)
		wrote := make(map[int64]byte) // target byte -> value
		older := make(map[int64]int64)
		var wantWrote = make(map[int64]byte)
		var wantOlder = make(map[int64]int64)
		var pos, served int64
		for ; len(pieceBytes) >= 3; pieceBytes = pieceBytes[3:] {
			pos += int64(pieceBytes[0] % 8)
			data := make([]byte, pieceBytes[1])
			for i := range data {
				data[i] = byte(pos) + byte(i)*7
			}
			n, basis := int64(len(data)), int64(pieceBytes[2])*100
			literal := pieceBytes[2]%2 == 0
			for _, d := range demands {
				for at := max(pos, d.From); at < min(pos+n, d.From+d.Len); at++ {
					served++
					if literal {
						wantWrote[d.To+at-d.From] = data[at-pos]
					} else {
						wantOlder[d.To+at-d.From] = basis + at - pos
					}
				}
			}
			var err error
			if literal {
				err = r.Literal(pos, data, func(p []byte, to int64) error {
					for i, c := range p {
						if _, twice := wrote[to+int64(i)]; twice {
							t.Fatalf("byte %d written twice", to+int64(i))
						}
						wrote[to+int64(i)] = c
					}
					return nil
				})
			} else {
				err = r.Copy(pos, n, basis)
			}
			if err != nil {
				t.Fatal(err)
			}
			pos += n
		}
		for _, d := range r.Older() {
			for i := range d.Len {
				older[d.To+i] = d.From + i
			}
		}
		if !maps.Equal(wrote, wantWrote) || !maps.Equal(older, wantOlder) {
			t.Errorf("wrote %v, want %v; older %v, want %v", wrote, wantWrote, older, wantOlder)
		}
		if r.Served() != served || r.End() != pos || extent.Total(r.Older()) != int64(len(wantOlder)) {
			t.Errorf("served %d of %d, end %d of %d", r.Served(), served, r.End(), pos)
		}
	})
}

func BenchmarkResolver(b *testing.B) {
	const pieces, size = 10_000, 4096
	data := make([]byte, size)
	b.SetBytes(pieces * size)
	b.ReportAllocs()
	for b.Loop() {
		demands := extent.Whole()
		for range 2 { // the first leaves its copies as demands to the second
			r := extent.NewResolver(demands)
			for i := range int64(pieces) {
				var err error
				if i%2 == 0 {
					err = r.Copy(i*size, size, i*size)
				} else {
					err = r.Literal(i*size, data, func([]byte, int64) error { return nil })
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			demands = r.Older()
		}
	}
}

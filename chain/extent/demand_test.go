package extent_test

import (
	"bytes"
	"errors"
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

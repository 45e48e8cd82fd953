package deflate_test

import (
	"math/rand/v2"
	"testing"

	"hindsight/chain/codec/deflate"
)

// Codes must be complete, or decoders reject them, and within the limit.
func checkCode(t *testing.T, counts []uint32, limit int) {
	t.Helper()
	kraft := 0
	sizes := deflate.CodeSizes(counts, limit)
	for i, size := range sizes {
		if int(size) > limit || counts[i] > 0 && size == 0 {
			t.Errorf("symbol %d, counted %d times, has %d bits", i, counts[i], size)
		}
		if size > 0 {
			kraft += 1 << (limit - int(size))
		}
		for j := range i {
			if counts[i] > counts[j] && counts[j] > 0 && size > sizes[j] {
				t.Errorf("symbol %d is more frequent than %d but longer", i, j)
			}
		}
	}
	if kraft != 1<<limit {
		t.Errorf("code fills %d of %d: %v", kraft, 1<<limit, counts)
	}
}

func TestCodes(t *testing.T) {
	fibonacci := []uint32{1, 1}
	for len(fibonacci) < 30 {
		n := len(fibonacci)
		fibonacci = append(fibonacci, fibonacci[n-1]+fibonacci[n-2])
	}
	for _, counts := range [][]uint32{
		make([]uint32, 2), {0, 0, 7}, {9, 0, 0}, {0, 3, 0}, {1, 1, 1}, fibonacci, fibonacci[:19],
	} {
		checkCode(t, counts, 15)
		if len(counts) <= 19 {
			checkCode(t, counts, 7)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		counts := make([]uint32, 2+rnd.IntN(284))
		for i := range counts {
			counts[i] = rnd.Uint32() >> (8 + rnd.IntN(24))
		}
		checkCode(t, counts, 15)
	}
}

package librsync_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	//lint:ignore SA1019 the reference for the MD4 that the format demands
	"golang.org/x/crypto/md4"

	"hindsight/chain/librsync"
)

// random is n bytes that depend on the seed alone.
func random(seed uint64, n int) []byte {
	p := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	if _, err := src.Read(p); err != nil {
		panic(err)
	}
	return p
}

func slowMD4(p []byte) (sum [16]byte) {
	h := md4.New()
	h.Write(p)
	h.Sum(sum[:0])
	return sum
}

// slowRollsum follows the definition of duplicity-format.md §4.4.
func slowRollsum(p []byte) uint32 {
	var s1, s2 uint64
	for i, b := range p {
		s1 += uint64(b) + 31
		s2 += uint64(len(p)-i) * (uint64(b) + 31)
	}
	return uint32(s2%65536)<<16 | uint32(s1%65536)
}

func slowRabinKarp(p []byte) uint32 {
	h := uint32(1)
	for _, b := range p {
		h = h*0x08104225 + uint32(b)
	}
	return h
}

func TestMD4(t *testing.T) {
	for n := range 400 {
		p, q := random(uint64(n), n), random(uint64(n)+1000, n)
		var one [16]byte
		var two [2][16]byte
		librsync.MD4(p, &one)
		librsync.MD4Pair(p, q, &two)
		if want := slowMD4(p); one != want || two[0] != want {
			t.Fatalf("MD4 of %d bytes: %x alone, %x in a pair, want %x", n, one, two[0], want)
		}
		if want := slowMD4(q); two[1] != want {
			t.Fatalf("MD4 of %d bytes: %x as second of a pair, want %x", n, two[1], want)
		}
	}
}

func TestWeakSums(t *testing.T) {
	inputs := [][]byte{
		bytes.Repeat([]byte{0xff}, 1<<20),
		make([]byte, 200000),
		random(1, 1<<17+13),
	}
	for n := range 600 {
		inputs = append(inputs, random(uint64(n), n), bytes.Repeat([]byte{0xff}, n))
	}
	for _, p := range inputs {
		if got, want := librsync.Rollsum(p), slowRollsum(p); got != want {
			t.Fatalf("rollsum of %d bytes = %#x, want %#x", len(p), got, want)
		}
		if got, want := librsync.RabinKarp(p), slowRabinKarp(p); got != want {
			t.Fatalf("Rabin-Karp sum of %d bytes = %#x, want %#x", len(p), got, want)
		}
	}
}

func TestRabinKarpPower(t *testing.T) {
	want := uint32(1)
	for n := range 1000 {
		if got := librsync.RabinKarpPower(n); got != want {
			t.Fatalf("power %d = %#x, want %#x", n, got, want)
		}
		want *= 0x08104225
	}
}

func TestGrow(t *testing.T) {
	p := random(3, 700)
	for _, poly := range []bool{false, true} {
		sum := slowRollsum
		if poly {
			sum = slowRabinKarp
		}
		for n := 1; n <= len(p); n++ {
			is := func(k int) bool { return k == n }
			if got := librsync.GrowForward(p, poly, sum(p[:n]), is); got != n {
				t.Fatalf("poly %t: prefix of %d bytes found as %d", poly, n, got)
			}
			if got := librsync.GrowBackward(p, poly, sum(p[len(p)-n:]), is); got != n {
				t.Fatalf("poly %t: suffix of %d bytes found as %d", poly, n, got)
			}
		}
	}
}

func BenchmarkMD4(b *testing.B) {
	p := random(1, 64<<10)
	const block = 2048
	run := func(name string, step int, sum func(p []byte)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			defer reportCPU(b, len(p))()
			for b.Loop() {
				for i := 0; i < len(p); i += step {
					sum(p[i : i+step])
				}
			}
		})
	}
	var one [16]byte
	var two [2][16]byte
	run("alone", block, func(p []byte) { librsync.MD4(p, &one) })
	run("pair", 2*block, func(p []byte) { librsync.MD4Pair(p[:block], p[block:], &two) })
	h := md4.New()
	run("x-crypto", block, func(p []byte) { h.Reset(); h.Write(p); h.Sum(one[:0]) })
}

func BenchmarkWeakSum(b *testing.B) {
	p := random(1, 2048)
	for name, sum := range map[string]func([]byte) uint32{"rollsum": librsync.Rollsum, "rabinkarp": librsync.RabinKarp} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				sum(p)
			}
		})
	}
}

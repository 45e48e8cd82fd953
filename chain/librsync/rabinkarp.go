package librsync

import "math"

// The Rabin-Karp weak sum of librsync 2.2 and later: a polynomial in rabinKarpMult
// mod 2^32 with the bytes as coefficients, and 1 in front of the first byte, so that
// leading zeros count.
const (
	rabinKarpMult  = 0x08104225
	rabinKarpMult2 = rabinKarpMult * rabinKarpMult & math.MaxUint32
	rabinKarpMult3 = rabinKarpMult2 * rabinKarpMult & math.MaxUint32
	rabinKarpMult4 = rabinKarpMult3 * rabinKarpMult & math.MaxUint32
)

func rabinKarp(p []byte) uint32 {
	h := uint32(1)
	for len(p) >= 4 {
		h = h*rabinKarpMult4 + (uint32(p[0])*rabinKarpMult3 + uint32(p[1])*rabinKarpMult2 +
			uint32(p[2])*rabinKarpMult + uint32(p[3]))
		p = p[4:]
	}
	for _, b := range p {
		h = h*rabinKarpMult + uint32(b)
	}
	return h
}

// rabinKarpPower is rabinKarpMult to the power of n.
func rabinKarpPower(n int) uint32 {
	result, square := uint32(1), uint32(rabinKarpMult)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result *= square
		}
		square *= square
	}
	return result
}

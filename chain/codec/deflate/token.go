package deflate

import "math/bits"

// token is a literal byte, or a match: bit 31, length-3 in bits 16..23, distance-1
// in bits 0..15.
type token uint32

const matchFlag token = 1 << 31

const (
	minMatch = 3
	maxMatch = 258

	litSymbols  = 286 // RFC 1951 §3.2.5
	distSymbols = 30
	endOfBlock  = 256
)

func match(length, dist int) token {
	return matchFlag | token(length-minMatch)<<16 | token(dist-1)
}

func (t token) length() int { return int(t>>16&0xff) + minMatch }

// lengthCode is the code of a match length: symbol, first length, extra bits.
type lengthCode struct {
	symbol uint16
	base   uint16 // length-3
	extra  uint8
}

// lengthCodes is indexed by length-3, RFC 1951 §3.2.5.
var lengthCodes = makeLengthCodes()

func makeLengthCodes() (t [256]lengthCode) {
	base := 0
	for symbol := 257; symbol <= 284; symbol++ {
		extra := 0
		if symbol >= 265 {
			extra = (symbol - 261) / 4
		}
		for i := base; i < base+1<<extra && i < len(t); i++ {
			t[i] = lengthCode{uint16(symbol), uint16(base), uint8(extra)}
		}
		base += 1 << extra
	}
	t[255] = lengthCode{285, 255, 0}
	return t
}

// distSymbol is the code of a distance-1, RFC 1951 §3.2.5: two codes for every
// power of two.
func distSymbol(d uint32) uint32 {
	if d < 4 {
		return d
	}
	n := uint32(bits.Len32(d)) - 1
	return 2*n + d>>(n-1)&1
}

// distExtra is the number of extra bits of a distance code.
func distExtra(symbol uint32) uint {
	if symbol < 4 {
		return 0
	}
	return uint(symbol)/2 - 1
}

// histogram counts the symbols of a run of tokens, end of block included.
type histogram struct {
	lit  [litSymbols]uint32
	dist [distSymbols]uint32
	size int // plain bytes
}

func (h *histogram) count(tokens []token) {
	for _, t := range tokens {
		if t&matchFlag == 0 {
			h.lit[t&0xff]++
			h.size++
			continue
		}
		h.lit[lengthCodes[t>>16&0xff].symbol]++
		h.dist[distSymbol(uint32(t)&0xffff)]++
		h.size += t.length()
	}
}

func (h *histogram) sum(a, b *histogram) {
	for i := range h.lit {
		h.lit[i] = a.lit[i] + b.lit[i]
	}
	for i := range h.dist {
		h.dist[i] = a.dist[i] + b.dist[i]
	}
	h.size = a.size + b.size
}

package deflate

import "math/bits"

// seq is a run of literals and the match after it: the number of literals in bits
// 23..31, length-3 in bits 15..22, distance-1 in bits 0..14. What the literals are is
// in the source. After maxRun literals there is no match.
type seq uint32

const maxRun = 1<<9 - 1

const (
	minMatch = 3
	maxMatch = 258

	litSymbols  = 286 // RFC 1951 §3.2.5
	distSymbols = 30
	endOfBlock  = 256
)

func match(literals, length, dist int) seq {
	return seq(literals)<<23 | seq(length-minMatch)<<15 | seq(dist-1)
}

func (s seq) literals() int { return int(s >> 23) }

// length is less minMatch, dist less 1.
func (s seq) length() uint8 { return uint8(s >> 15) }

func (s seq) dist() uint32 { return uint32(s) & (window - 1) }

// tokens are what a block is parsed to, with its grains, each of which has its share of
// the sequences. The literals after the last sequence belong to the last grain.
type tokens struct {
	seqs   []seq
	grains []grain
	ends   []int // in seqs, of each grain
	bytes  int   // of the block, in the grains before the last
}

// reset begins a block and returns where to count the symbols of its first grain.
func (t *tokens) reset() *counts {
	t.seqs, t.grains, t.ends, t.bytes = t.seqs[:0], t.grains[:0], t.ends[:0], 0
	return t.open()
}

// room makes room for n sequences.
func (t *tokens) room(n int) {
	if cap(t.seqs) < n {
		t.seqs = make([]seq, 0, n)
	}
}

func (t *tokens) open() *counts {
	t.grains = append(t.grains, grain{})
	return &t.grains[len(t.grains)-1].counts
}

// cut ends a grain at offset end of the block and returns where to count the next one's
// symbols.
func (t *tokens) cut(end int) *counts {
	t.close(end)
	return t.open()
}

func (t *tokens) close(end int) {
	g := &t.grains[len(t.grains)-1]
	g.size = end - t.bytes
	g.sum()
	t.bytes = end
	t.ends = append(t.ends, len(t.seqs))
}

// run appends runs of maxRun literals and returns where those begin that are left.
func (t *tokens) run(start, end int) int {
	for ; end-start >= maxRun; start += maxRun {
		t.seqs = append(t.seqs, maxRun<<23)
	}
	return start
}

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

// distExtra is the number of extra bits of a distance-1, RFC 1951 §3.2.5: two codes for
// every power of two.
func distExtra(d uint32) uint { return uint(bits.Len32(d>>2)) & 31 }

// distSymbol is the code of a distance-1 that has so many extra bits.
func distSymbol(d uint32, extra uint) uint32 { return 2*uint32(extra) + d>>extra }

package inflate

import (
	"math/bits"
	"sync"
)

// A table entry says what the bits at the head of the stream are:
//
//	 0- 5  bits to consume: the code and, of a length or distance, its extra bits
//	 8-11  bits of the code alone; of a link, index bits of the subtable
//	   12  invalid: no code of the block begins so, or the symbol is reserved
//	   13  end of block
//	   14  neither literal nor length nor distance: see 12 and 13, else a link
//	   15  literal
//	16-31  the literal, the first value of a length or distance, or of a link the
//	       index of the subtable
//
// Bits 6 and 7 are zero, so that an entry can be subtracted from a count of bits of
// which only the lowest byte is looked at.
type entry = uint32

const (
	entryInvalid = 1 << 12
	entryEnd     = 1 << 13
	entryOther   = 1 << 14
	entryLiteral = 1 << 15

	entrySize = 63 // mask of the bits to consume
	entryCode = 15 // mask of the code's bits, once shifted by 8
)

const (
	maxCodeBits = 15
	litSymbols  = 288 // with the two reserved ones of the fixed code
	distSymbols = 32

	litBits  = 11 // index bits of the primary table
	distBits = 8
	lenBits  = 7 // the longest code of a code length: no subtable
	litMask  = 1<<litBits - 1
	distMask = 1<<distBits - 1

	// Only complete codes have subtables, and each subtable is as deep as its
	// longest code: one of k index bits, 1<<k entries, holds at least k+1 symbols.
	// A symbol so brings at most 16/5 entries with the 4 bits that are left of a
	// literal or length, 128/8 with the 7 of a distance.
	litEntries  = 1<<litBits + litSymbols*16/5
	distEntries = 1<<distBits + distSymbols*128/8
)

// tables decode the symbols of one block.
type tables struct {
	lit  [litEntries]entry
	dist [distEntries]entry
	// flat says that nearly all literals have codes of flatBits. literal then has
	// the literal of each such code, and notFlat for bits that are none.
	flat    bool
	literal [1 << flatBits]uint16
}

// litValues and distValues are the entries of symbols but for the code's length
// (RFC 1951 §3.2.5); their lowest bits are the extra bits.
var litValues = func() (v [litSymbols]entry) {
	for i := range 256 {
		v[i] = entryLiteral | entry(i)<<16
	}
	v[256] = entryOther | entryEnd
	length := entry(3)
	for i := range 28 {
		extra := max(i/4, 1) - 1
		v[257+i] = length<<16 | entry(extra)
		length += 1 << extra
	}
	v[285] = 258 << 16
	v[286] = entryOther | entryInvalid
	v[287] = entryOther | entryInvalid
	return v
}()

var distValues = func() (v [distSymbols]entry) {
	dist := entry(1)
	for i := range 30 {
		extra := max(i/2, 1) - 1
		v[i] = dist<<16 | entry(extra)
		dist += 1 << extra
	}
	v[30] = entryOther | entryInvalid
	v[31] = entryOther | entryInvalid
	return v
}()

// lenValues are the symbols of the code length code themselves.
var lenValues = func() (v [19]entry) {
	for i := range v {
		v[i] = entry(i) << 16
	}
	return v
}()

// fixedTables are those of RFC 1951 §3.2.6.
var fixedTables = sync.OnceValue(func() *tables {
	var lens [litSymbols + distSymbols]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		case i < litSymbols:
			lens[i] = 8
		default:
			lens[i] = 5
		}
	}
	t := new(tables)
	if !t.set(lens[:litSymbols], lens[litSymbols:]) {
		panic("inflate: fixed codes are not complete")
	}
	return t
})

// set makes the tables of a block from the lengths of its codes.
func (t *tables) set(lit, dist []uint8) bool {
	var b builder
	if !b.build(t.lit[:], litBits, lit, litValues[:]) {
		return false
	}
	t.setFlat(lit)
	return b.build(t.dist[:], distBits, dist, distValues[:])
}

// builder makes a table of a canonical Huffman code (RFC 1951 §3.2.2).
type builder struct {
	count  [maxCodeBits + 1]int // codes of each length
	sorted [litSymbols]uint16   // symbols by length, then by value
}

// build fills table, which has room for any complete code of that many symbols, and
// whose first 1<<indexBits entries are found by the next bits of the stream. It
// reports whether the lengths are a code that may be used: a complete one, one of a
// single symbol of one bit, or none at all. What zlib writes for blocks with one
// distance or none needs the last two.
func (b *builder) build(table []entry, indexBits int, lens []uint8, values []entry) bool {
	used, ok := b.sort(lens)
	if !ok {
		return false
	}
	symbols := b.sorted[:used]
	table[0] = entryOther | entryInvalid | 1
	table[1] = table[0]
	code := uint32(0) // its first bit lowest
	for l := 1; l <= indexBits; l++ {
		if l > 1 {
			copy(table[1<<(l-1):1<<l], table[:1<<(l-1)])
		}
		for _, s := range symbols[:b.count[l]] {
			table[code] = codeEntry(values[s], l)
			code = nextCode(code, l)
		}
		symbols = symbols[b.count[l]:]
	}
	if len(symbols) > 0 {
		b.link(table, indexBits, symbols, values, code)
	}
	return true
}

// sort counts the lengths, and orders the symbols in use.
func (b *builder) sort(lens []uint8) (used int, ok bool) {
	clear(b.count[:])
	for _, l := range lens {
		b.count[l&maxCodeBits]++
	}
	b.count[0] = 0
	var first [maxCodeBits + 1]int
	space := 0
	for l := 1; l <= maxCodeBits; l++ {
		first[l] = used
		used += b.count[l]
		space += b.count[l] << (maxCodeBits - l)
	}
	if space != 1<<maxCodeBits && used != 0 && (used != 1 || b.count[1] != 1) {
		return 0, false
	}
	for s, l := range lens {
		if l != 0 {
			b.sorted[first[l&maxCodeBits]] = uint16(s)
			first[l&maxCodeBits]++
		}
	}
	return used, true
}

// link makes subtables for the codes longer than indexBits, beginning with code.
func (b *builder) link(table []entry, indexBits int, symbols []uint16, values []entry, code uint32) {
	start, end := 0, 1<<indexBits
	prefix := ^uint32(0)
	index := 0 // bits
	for l := indexBits + 1; l <= maxCodeBits; l++ {
		for left := b.count[l]; left > 0; left-- {
			if p := code & (1<<indexBits - 1); p != prefix {
				prefix = p
				index = b.subtable(l, left, indexBits)
				start, end = end, end+1<<index
				table[prefix] = entryOther | entry(start)<<16 | entry(index)<<8
			}
			e := codeEntry(values[symbols[0]], l)
			symbols = symbols[1:]
			for i := int(code >> indexBits); i < 1<<index; i += 1 << (l - indexBits) {
				table[start+i] = e
			}
			code = nextCode(code, l)
		}
	}
}

// subtable returns the index bits of a subtable whose first code has l bits, where
// left more codes of that length are to come: as many as make it full.
func (b *builder) subtable(l, left, indexBits int) int {
	room := 1<<(l-indexBits) - left
	for room > 0 && l < maxCodeBits {
		l++
		room = room<<1 - b.count[l]
	}
	return l - indexBits
}

// codeEntry completes the entry of a symbol by its code's length.
func codeEntry(value entry, l int) entry { return value + entry(l)*0x101 }

// nextCode adds one to a code of l bits that has its first bit lowest. The last code
// stays.
func nextCode(code uint32, l int) uint32 {
	top := uint32(1) << bits.Len32(code^(1<<l-1)) >> 1
	return code&(top-1) | top
}

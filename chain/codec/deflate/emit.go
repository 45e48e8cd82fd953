package deflate

import "unsafe"

// codeword is up to 20 bits, extra bits included, and their number in bits 24 and up.
type codeword uint32

func makeCodeword(bits uint16, size uint8) codeword { return codeword(bits) | codeword(size)<<24 }

func (c codeword) bits() uint64 { return uint64(c & 0xffffff) }

func (c codeword) size() uint { return uint(c >> 24) }

// fill makes the tables of whole codewords.
func (c *codes) fill() {
	for i := range c.literal {
		c.literal[i] = makeCodeword(c.lit.bits[i], c.lit.size[i])
	}
	for i, l := range lengthCodes {
		base := makeCodeword(c.lit.bits[l.symbol], c.lit.size[l.symbol])
		c.length[i] = base + codeword(l.extra)<<24 | codeword(uint16(i)-l.base)<<base.size()
	}
	for i := range distSymbols {
		c.far[i] = makeCodeword(c.dist.bits[i], c.dist.size[i])
	}
}

// sequences writes a segment, whose plain bytes are src, and the end of the block. Room
// is reserved.
//
// Fewer than 8 bits are left over by a flush, and at most 15 are in the codeword of a
// literal, 20 in that of a length, 28 in that of a distance: the 64 bits of acc hold
// three literals, or a length and a distance. Loads are within src, as sequences
// are of no more than it; stores are within out, as room for all bits is reserved and 8
// bytes more.
func (w *bitWriter) sequences(c *codes, seqs []seq, src []byte) {
	w.flush()
	sp, op := unsafe.Pointer(unsafe.SliceData(src)), unsafe.Pointer(unsafe.SliceData(w.out))
	pos, at, acc, n := 0, w.n, w.acc, w.len
	for _, s := range seqs {
		literals := s.literals()
		for literals > 3 {
			l := c.literal[load8(sp, pos)]
			acc |= l.bits() << (n & 63)
			n += l.size()
			l = c.literal[load8(sp, pos+1)]
			acc |= l.bits() << (n & 63)
			n += l.size()
			l = c.literal[load8(sp, pos+2)]
			acc |= l.bits() << (n & 63)
			n += l.size()
			store64(op, at, acc)
			at += int(n >> 3)
			acc >>= n & 56
			n &= 7
			pos += 3
			literals -= 3
		}
		// Three are there to be loaded, as a match follows or all of three literals do.
		l := c.literal[load8(sp, pos)] & codeword(-literals>>31)
		acc |= l.bits() << (n & 63)
		n += l.size()
		l = c.literal[load8(sp, pos+1)] & codeword((1-literals)>>31)
		acc |= l.bits() << (n & 63)
		n += l.size()
		l = c.literal[load8(sp, pos+2)] & codeword((2-literals)>>31)
		acc |= l.bits() << (n & 63)
		n += l.size()
		store64(op, at, acc)
		at += int(n >> 3)
		acc >>= n & 56
		n &= 7
		pos += literals
		if s.literals() == maxRun {
			continue
		}
		l = c.length[s.length()]
		acc |= l.bits() << (n & 63)
		n += l.size()
		pos += int(s.length()) + minMatch
		dist := s.dist()
		extra := distExtra(dist)
		d := c.far[distSymbol(dist, extra)&31]
		acc |= d.bits() << (n & 63)
		n += d.size()
		acc |= uint64(dist&(1<<extra-1)) << (n & 63)
		n += extra
		store64(op, at, acc)
		at += int(n >> 3)
		acc >>= n & 56
		n &= 7
	}
	w.n, w.acc, w.len = at, acc, n
	for _, b := range src[pos:] {
		w.add(c.literal[b].bits(), c.literal[b].size())
		w.flush()
	}
	w.add(uint64(c.lit.bits[endOfBlock]), uint(c.lit.size[endOfBlock]))
	w.flush()
}

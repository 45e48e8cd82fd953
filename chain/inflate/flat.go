package inflate

import "unsafe"

const (
	flatBits = 8 // length of a code in a flat block, in bits
	flatIn   = 8 // bytes of input that a round of the flat loop may touch
	flatOut  = 8 // and of output

	notFlat = 1 << 8
)

// setFlat fills t.literal if nearly all literals, by the share of code space that
// is theirs, have codes of flatBits: 15 of 16.
func (t *tables) setFlat(lens []uint8) {
	literals := 0
	for _, l := range lens[:256] {
		if l == flatBits {
			literals++
		}
	}
	t.flat = literals*16 >= 15<<flatBits
	if !t.flat {
		return
	}
	for i := range t.literal {
		e := t.lit[i]
		t.literal[i] = uint16(e >> 16 & 0xff)
		if e&entryLiteral == 0 || e&entrySize != flatBits {
			t.literal[i] = notFlat
		}
	}
}

// flatRun decodes literals of a flat block: one in which nearly all of them have
// codes of eight bits, as a compressor makes of files that are compressed or
// encrypted already when it cannot store them. Where the next seven codes begin is
// then known before any is looked up, so that the lookups do not wait for one
// another. It returns where it stopped: at a symbol that is not a literal or has a
// long code, or near the end of src or dst.
//
// All accesses are within bounds: a round begins with pos>>3 <= inMax and
// out <= outMax, and writes at most seven bytes.
func (t *tables) flatRun(dst []byte, out int, src []byte, pos int) (int, int) {
	inMax, outMax := len(src)-flatIn, len(dst)-flatOut
	dp, sp := unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src))
	in, skip := pos>>3, uint(pos&7)
	for in <= inMax && out <= outMax {
		bits := load64(sp, in) >> (skip & 7)
		v := t.literal[uint8(bits)]
		store8(dp, out, uint64(v))
		seen := v
		v = t.literal[uint8(bits>>8)]
		store8(dp, out+1, uint64(v))
		seen |= v
		v = t.literal[uint8(bits>>16)]
		store8(dp, out+2, uint64(v))
		seen |= v
		v = t.literal[uint8(bits>>24)]
		store8(dp, out+3, uint64(v))
		seen |= v
		v = t.literal[uint8(bits>>32)]
		store8(dp, out+4, uint64(v))
		seen |= v
		v = t.literal[uint8(bits>>40)]
		store8(dp, out+5, uint64(v))
		seen |= v
		v = t.literal[uint8(bits>>48)]
		store8(dp, out+6, uint64(v))
		seen |= v
		if seen&notFlat == 0 {
			out += 7
			in += 7
			continue
		}
		for range 5 { // 5 codes of litBits fit the bits loaded
			e := t.lit[bits&litMask]
			if e&entryLiteral == 0 {
				return out, in<<3 + int(skip)
			}
			store8(dp, out, uint64(e>>16))
			out++
			bits >>= e & entrySize
			skip += uint(e & entrySize)
		}
		in, skip = in+int(skip>>3), skip&7
	}
	return out, in<<3 + int(skip)
}

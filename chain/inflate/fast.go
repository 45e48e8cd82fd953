package inflate

import "unsafe"

const (
	// fastIn is how many bytes of input one round of the fast loop may touch: it
	// refills twice at most, each time up to 7 bytes on, and loads 8.
	fastIn = 32
	// fastOut is how many bytes of output it may write: two literals and a third
	// or a match, which is copied in pieces of 16 bytes, the first two without
	// looking at its length.
	fastOut = 2 + 258 + 32
)

func load64(p unsafe.Pointer, i int) uint64 { return *(*uint64)(unsafe.Add(p, i)) }

func store64(p unsafe.Pointer, i int, v uint64) { *(*uint64)(unsafe.Add(p, i)) = v }

func store8(p unsafe.Pointer, i int, v uint64) { *(*byte)(unsafe.Add(p, i)) = byte(v) }

func copy16(p unsafe.Pointer, to, from int) {
	*(*[16]byte)(unsafe.Add(p, to)) = *(*[16]byte)(unsafe.Add(p, from))
}

// fast decodes symbols from bit pos of src to dst[out:], as long as there is so
// much input and room that neither needs a look inside a round, and as long as out is
// not beyond limit. over is the greatest distance so far, less where in dst the match
// was. It returns where it stopped, always between two symbols, over as it is then, and
// whether the block ended there. It stops before a symbol that is not valid, too:
// careful will find what is wrong with it.
//
// All accesses are within bounds: a round begins with in <= inMax and out <= outMax,
// which leaves fastIn and fastOut bytes, the input index grows by at most 7 in each
// refill, and a match begins at most out bytes back. What a load gets that was not
// written yet is masked off, or written over before it is shown.
//
// It is one long function because a call would spill every register: Go has no
// callee-saved ones, and these helpers are inlined.
func (t *tables) fast(dst []byte, out int, src []byte, pos, limit, over int) (int, int, int, bool) {
	inMax, outMax := len(src)-fastIn, min(len(dst)-fastOut, limit)
	in := pos >> 3
	if in > inMax || out > outMax {
		return out, pos, over, false
	}
	dp, sp := unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src))
	// Bits at and above n are either zero or already what the next load will or
	// to them. Only the lowest byte of n counts.
	bits := load64(sp, in) >> (pos & 7)
	in += 7
	n := uint64(56 - pos&7)
	e := uint64(t.lit[bits&litMask])
	for in <= inMax && out <= outMax {
		if e&entryLiteral != 0 {
			store8(dp, out, e>>16)
			out++
			bits >>= e & entrySize
			n -= e
			e = uint64(t.lit[bits&litMask])
			if e&entryLiteral != 0 {
				store8(dp, out, e>>16)
				out++
				bits >>= e & entrySize
				n -= e
				e = uint64(t.lit[bits&litMask])
				if e&entryLiteral != 0 {
					store8(dp, out, e>>16)
					out++
					bits >>= e & entrySize
					n -= e
					bits |= load64(sp, in) << (n & 63)
					in += int(7 - n>>3&7)
					n |= 56
					e = uint64(t.lit[bits&litMask])
					continue
				}
			}
			bits |= load64(sp, in) << (n & 63)
			in += int(7 - n>>3&7)
			n |= 56
		}
		if e&entryOther != 0 {
			if e&(entryEnd|entryInvalid) == 0 {
				e = uint64(t.lit[e>>16+bits>>litBits&(1<<(e>>8&entryCode)-1)])
				if e&entryLiteral != 0 {
					store8(dp, out, e>>16)
					out++
					bits >>= e & entrySize
					n -= e
					bits |= load64(sp, in) << (n & 63)
					in += int(7 - n>>3&7)
					n |= 56
					e = uint64(t.lit[bits&litMask])
					continue
				}
			}
			if e&entryOther != 0 {
				if e&entryEnd != 0 {
					return out, in<<3 - int(n&255) + int(e&entrySize), over, true
				}
				break
			}
		}
		length := int(e>>16 + bits&(1<<(e&entrySize)-1)>>(e>>8&entryCode))
		bits >>= e & entrySize
		n -= e
		de := uint64(t.dist[bits&distMask])
		if de&entryOther != 0 {
			if de&entryInvalid == 0 {
				de = uint64(t.dist[de>>16+bits>>distBits&(1<<(de>>8&entryCode)-1)])
			}
			if de&entryOther != 0 {
				n += e
				break
			}
		}
		d := int(de>>16 + bits&(1<<(de&entrySize)-1)>>(de>>8&entryCode))
		if d-out > over {
			if d > out {
				n += e
				break
			}
			over = d - out
		}
		bits >>= de & entrySize
		n -= de
		bits |= load64(sp, in) << (n & 63)
		in += int(7 - n>>3&7)
		n |= 56
		e = uint64(t.lit[bits&litMask])

		from, to := out-d, out
		out += length
		switch {
		case d >= 16:
			copy16(dp, to, from)
			copy16(dp, to+16, from+16)
			for to += 32; to < out; to += 16 {
				copy16(dp, to, to-d)
			}
		case d >= 8:
			for ; to < out; to += 8 {
				store64(dp, to, load64(dp, to-d))
			}
		default:
			// The pattern is made once; reading back what was just written
			// would wait for it.
			s := uint(d) << 3
			v := load64(dp, from) & (1<<s - 1)
			v |= v << s
			v |= v << (s << 1)
			v |= v << (s << 2)
			step := patternStep[d&7]
			for ; to < out; to += step {
				store64(dp, to, v)
			}
		}
	}
	return out, in<<3 - int(n&255), over, false
}

// patternStep is the largest multiple of a distance below 8 that fits 8 bytes.
var patternStep = [8]int{8, 8, 8, 6, 8, 5, 6, 7}

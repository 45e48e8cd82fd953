package librsync

// roll moves the window on by a byte until the filter takes its weak sum for a
// block's, and tells whether it did before buf ended. The window it stops at was not
// searched for; the one it ran out of bytes at was.
//
// A run of equal bytes has one sum. If the filter takes it wrongly it does so at each
// byte, so the last sum found missing is passed over.
func (d *DeltaWriter) roll() bool {
	t, bl := &d.sig.table, d.sig.blockLen
	for d.pos+bl < len(d.buf) {
		in := d.buf[d.pos+bl:]
		out := d.buf[d.pos:][:len(in)]
		var n int
		var found bool
		if d.sig.magic.rabinKarp() {
			n, d.weak, found = rollRabinKarp(in, out, t.filter, t.shift, d.power, d.weak)
		} else {
			n, d.weak, found = rollRollsum(in, out, t.filter, t.shift, uint32(bl), d.weak)
		}
		d.pos += n
		if found && uint64(d.weak) != d.missed {
			return true
		}
	}
	return false
}

// rollRollsum takes bytes of in into a weak sum, one for each byte of out, which is
// as long, until the filter takes the sum for a block's. It returns how many it took.
// Its loop is what a delta of new data costs, and has no register to spare.
func rollRollsum(in, out []byte, filter []uint64, shift uint8, blockLen, weak uint32) (int, uint32, bool) {
	out = out[:len(in)]
	s1, s2 := weak, weak>>16 // the upper half of s1 is masked off below
	for i, b := range in {
		gone := uint32(out[i])
		s1 += uint32(b) - gone
		s2 += s1 - blockLen*(gone+rollsumOffset)
		if mayHave(filter, shift, s2<<16|s1&0xffff) {
			return i + 1, s2<<16 | s1&0xffff, true
		}
	}
	return len(in), s2<<16 | s1&0xffff, false
}

// rollRabinKarp does as rollRollsum; power is the multiplier to the power of the
// block length.
func rollRabinKarp(in, out []byte, filter []uint64, shift uint8, power, weak uint32) (int, uint32, bool) {
	out = out[:len(in)]
	for i, b := range in {
		weak = weak*rabinKarpMult + uint32(b) - power*(uint32(out[i])+rabinKarpMult-1)
		if mayHave(filter, shift, weak) {
			return i + 1, weak, true
		}
	}
	return len(in), weak, false
}

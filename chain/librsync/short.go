package librsync

// The last block of a basis is as a rule shorter than the others, and the signature
// does not say how long it is. Its weak sum is compared with that of every length.

// followShort copies the last block if it is short and goes on with the last copy.
func (d *DeltaWriter) followShort() bool {
	i, ok := d.expected()
	if !ok || i != d.sig.blocks-1 {
		return false
	}
	p := d.buf[d.pos:]
	p = p[:min(len(p), d.sig.blockLen-1)]
	n := growForward(p, d.sig.magic.rabinKarp(), d.sig.weak(i), func(n int) bool {
		return d.isBlock(i, p[:n])
	})
	if n > 0 {
		d.copy(int64(i)*int64(d.sig.blockLen), n)
	}
	return n > 0
}

// searchEnd copies the last block if it is short and the new file ends with it. The
// buffer holds no whole window that was not searched for.
func (d *DeltaWriter) searchEnd() {
	if d.sig.blocks == 0 {
		return
	}
	if !d.rolling {
		d.followShort()
	}
	i := d.sig.blocks - 1
	p := d.buf[d.pos:]
	p = p[max(0, len(p)-d.sig.blockLen+1):]
	n := growBackward(p, d.sig.magic.rabinKarp(), d.sig.weak(i), func(n int) bool {
		return d.isBlock(i, p[len(p)-n:])
	})
	if n > 0 {
		d.pos = len(d.buf) - n
		d.copy(int64(i)*int64(d.sig.blockLen), n)
	}
}

func (d *DeltaWriter) isBlock(i int, p []byte) bool {
	sum := d.sum(p)
	return sum != nil && d.sig.strongIs(i, sum)
}

// growForward is the length of the shortest prefix of p, at least 1, that has the
// weak sum and is accepted; 0 if there is none.
func growForward(p []byte, poly bool, weak uint32, accept func(n int) bool) int {
	var s1, s2 uint32
	sum := uint32(1)
	for i, b := range p {
		if poly {
			sum = sum*rabinKarpMult + uint32(b)
		} else {
			s1 += uint32(b) + rollsumOffset
			s2 += s1
			sum = s2<<16 | s1&0xffff
		}
		if sum == weak && accept(i+1) {
			return i + 1
		}
	}
	return 0
}

// growBackward does as growForward for the suffixes of p.
func growBackward(p []byte, poly bool, weak uint32, accept func(n int) bool) int {
	var s1, s2 uint32
	sum, power := uint32(1), uint32(1)
	for n := 1; n <= len(p); n++ {
		b := uint32(p[len(p)-n])
		if poly {
			// The leading 1 moves up a place, b takes the one it had.
			sum += power * (rabinKarpMult - 1 + b)
			power *= rabinKarpMult
		} else {
			s1 += b + rollsumOffset
			s2 += uint32(n) * (b + rollsumOffset)
			sum = s2<<16 | s1&0xffff
		}
		if sum == weak && accept(n) {
			return n
		}
	}
	return 0
}

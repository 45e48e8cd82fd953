package inflate

// carefulRound is how many symbols are decoded carefully before the fast loops are
// tried again.
const carefulRound = 16

// careful decodes a few symbols near the ends of src and dst, one by one. It goes on
// after the end of dst until there is something to write, and sees the end of a
// block that just fits.
func (d *Decoder) careful(dst []byte, n int, src []byte, pos int) (int, int, error) {
	t := d.codes
	for range carefulRound {
		bits, avail := peek(src, pos)
		e := t.lit[bits&litMask]
		if e&(entryOther|entryEnd|entryInvalid) == entryOther {
			e = t.lit[e>>16+entry(bits>>litBits)&(1<<(e>>8&entryCode)-1)]
		}
		size := int(e & entrySize)
		switch {
		case size > avail:
			return n, pos, ErrShortSrc
		case e&entryLiteral != 0:
			if n == len(dst) {
				return n, pos, ErrShortDst
			}
			dst[n] = byte(e >> 16)
			n++
			pos += size
			continue
		case e&entryInvalid != 0:
			return n, pos, errSymbol
		case e&entryOther != 0:
			d.endBlock()
			return n, pos + size, nil
		}
		length := value(e, bits)
		bits >>= size
		e = t.dist[bits&distMask]
		if e&(entryOther|entryInvalid) == entryOther {
			e = t.dist[e>>16+entry(bits>>distBits)&(1<<(e>>8&entryCode)-1)]
		}
		size += int(e & entrySize)
		switch {
		case size > avail:
			return n, pos, ErrShortSrc
		case e&entryInvalid != 0:
			return n, pos, errSymbol
		}
		dist := value(e, bits)
		if dist > n {
			return n, pos, errDistance
		}
		d.over = max(d.over, dist-n)
		pos += size
		d.length, d.dist = length, dist
		if n = d.copyMatch(dst, n); d.length > 0 {
			return n, pos, ErrShortDst
		}
	}
	return n, pos, nil
}

// value is the length or distance that entry e and its extra bits stand for.
func value(e entry, bits uint64) int {
	return int(uint64(e>>16) + bits&(1<<(e&entrySize)-1)>>(e>>8&entryCode))
}

// copyMatch copies what there is room for of a match.
func (d *Decoder) copyMatch(dst []byte, n int) int {
	for d.length > 0 && n < len(dst) {
		c := copy(dst[n:min(n+d.length, len(dst))], dst[n-d.dist:n])
		n += c
		d.length -= c
	}
	return n
}

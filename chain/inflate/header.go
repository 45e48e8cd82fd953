package inflate

import "encoding/binary"

// peek returns at least 57 bits of src from bit pos on, or all that are left. avail
// counts them; bits beyond are zero.
func peek(src []byte, pos int) (bits uint64, avail int) {
	in, skip := pos>>3, pos&7
	if len(src)-in >= 8 {
		return binary.LittleEndian.Uint64(src[in:]) >> skip, 64 - skip
	}
	for i := len(src) - 1; i >= in; i-- {
		bits = bits<<8 | uint64(src[i])
	}
	return bits >> skip, max(len(src)-in, 0)<<3 - skip
}

// bitReader reads the fields of a block's header.
type bitReader struct {
	src  []byte
	pos  int // in bits
	bits uint64
	left int // valid bits; negative once more were taken than src has
}

// fill makes at least 57 bits valid, if there are so many.
func (r *bitReader) fill() {
	if r.left >= 0 {
		r.bits, r.left = peek(r.src, r.pos)
	}
}

// take consumes n bits of those that fill made valid.
func (r *bitReader) take(n int) int {
	v := int(r.bits & (1<<(n&63) - 1))
	r.bits >>= n & 63
	r.left -= n
	r.pos += n
	return v
}

const (
	blockStored = iota
	blockFixed
	blockDynamic
)

// lenOrder is the order in which the lengths of the code length code are written.
var lenOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// header reads the header of a block at bit pos of src, with the codes (RFC 1951
// §3.2.3 to §3.2.7), and returns the bit behind it. It changes nothing when it
// returns ErrShortSrc, so it can be tried again with more.
func (d *Decoder) header(src []byte, pos int) (int, error) {
	r := bitReader{src: src, pos: pos}
	r.fill()
	final, kind := r.take(1) == 1, r.take(2)
	if r.left < 0 {
		return pos, ErrShortSrc
	}
	var err error
	stored := 0
	switch kind {
	case blockStored:
		stored, err = r.storedLength()
	case blockFixed:
		d.codes = fixedTables()
	case blockDynamic:
		err = d.dynamicCodes(&r)
	default:
		err = errBlockType
	}
	if err != nil {
		return pos, err
	}
	if kind == blockStored {
		d.state, d.stored = stateStored, stored
	} else {
		d.state = stateCodes
	}
	d.final = final
	return r.pos, nil
}

// storedLength reads what precedes the bytes of a stored block (RFC 1951 §3.2.4).
func (r *bitReader) storedLength() (int, error) {
	r.take(-r.pos & 7)
	n, inverse := r.take(16), r.take(16)
	if r.left < 0 {
		return 0, ErrShortSrc
	}
	if n^inverse != 0xffff {
		return 0, errStoredLength
	}
	return n, nil
}

// dynamicCodes reads the codes of a block (RFC 1951 §3.2.7) and makes its tables.
func (d *Decoder) dynamicCodes(r *bitReader) error {
	lit, dist, n := r.take(5)+257, r.take(5)+1, r.take(4)+4
	if r.left < 0 {
		return ErrShortSrc
	}
	if lit > 286 || dist > 30 {
		return errCodeCount
	}
	var order [19]uint8
	r.fill()
	for i := range n {
		if i == 16 {
			r.fill()
		}
		order[lenOrder[i]] = uint8(r.take(3))
	}
	if r.left < 0 {
		return ErrShortSrc
	}
	var b builder
	if !b.build(d.lens[:], lenBits, order[:], lenValues[:]) {
		return errCode
	}
	lens := d.lengths[:lit+dist]
	if err := d.readLengths(r, lens); err != nil {
		return err
	}
	d.codes = &d.dynamic
	if !d.dynamic.set(lens[:lit], lens[lit:]) {
		return errCode
	}
	return nil
}

// readLengths reads the lengths of both codes, in the code that d.lens decodes.
func (d *Decoder) readLengths(r *bitReader, lens []uint8) error {
	for i := 0; i < len(lens); {
		if r.left < lenBits+7 {
			r.fill()
		}
		e := d.lens[r.bits&(1<<lenBits-1)]
		r.take(int(e & entrySize))
		if r.left < 0 {
			return ErrShortSrc
		}
		if e&entryInvalid != 0 {
			return errCode
		}
		symbol := uint8(e >> 16)
		if symbol < 16 {
			lens[i] = symbol
			i++
			continue
		}
		value, times := uint8(0), 0
		switch symbol {
		case 16:
			if i == 0 {
				return errRepeat
			}
			value, times = lens[i-1], 3+r.take(2)
		case 17:
			times = 3 + r.take(3)
		case 18:
			times = 11 + r.take(7)
		}
		if r.left < 0 {
			return ErrShortSrc
		}
		if times > len(lens)-i {
			return errRepeat
		}
		for range times {
			lens[i] = value
			i++
		}
	}
	return nil
}

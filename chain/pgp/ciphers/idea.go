package ciphers

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

// IDEABlockSize is IDEA's block size in bytes.
const IDEABlockSize = 8

// ideaKeys are six subkeys for each of eight rounds, and four for the output.
type ideaKeys [8*6 + 4]uint16

type idea struct{ enc, dec ideaKeys }

// NewIDEA makes IDEA under a key of 16 bytes.
func NewIDEA(key []byte) (cipher.Block, error) {
	if len(key) != 16 {
		return nil, fmt.Errorf("idea: key of %d bytes", len(key))
	}
	c := new(idea)
	c.enc.expand(key)
	c.dec.invert(&c.enc)
	return c, nil
}

func (c *idea) BlockSize() int { return IDEABlockSize }

func (c *idea) Encrypt(dst, src []byte) { c.enc.crypt(dst, src) }

func (c *idea) Decrypt(dst, src []byte) { c.dec.crypt(dst, src) }

// expand takes eight subkeys at a time from the key, which turns by 25 bits in between.
func (k *ideaKeys) expand(key []byte) {
	turning := pair{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])}
	for i := range k {
		if i > 0 && i%8 == 0 {
			turning = turning.left(25)
		}
		k[i] = uint16(turning[i%8/4] >> (48 - 16*(i%4)))
	}
}

// invert makes k the subkeys that undo those of enc: rounds backwards, each number
// inverse to its operation. The inner rounds swap what they add to the two words in
// the middle, as those rounds swap the words.
func (k *ideaKeys) invert(enc *ideaKeys) {
	for round := range 9 {
		to, from := k[6*round:], enc[6*(8-round):]
		to[0], to[3] = inverse(from[0]), inverse(from[3])
		to[1], to[2] = -from[1], -from[2]
		if round > 0 && round < 8 {
			to[1], to[2] = to[2], to[1]
		}
		if round < 8 {
			before := enc[6*(7-round):]
			to[4], to[5] = before[4], before[5]
		}
	}
}

func (k *ideaKeys) crypt(dst, src []byte) {
	_, _ = src[:IDEABlockSize], dst[:IDEABlockSize] // as all Blocks panic
	a, b := binary.BigEndian.Uint16(src), binary.BigEndian.Uint16(src[2:])
	c, d := binary.BigEndian.Uint16(src[4:]), binary.BigEndian.Uint16(src[6:])
	for i := 0; i < 48; i += 6 {
		a, b, c, d = multiply(a, k[i]), b+k[i+1], c+k[i+2], multiply(d, k[i+3])
		x := multiply(a^c, k[i+4])
		y := multiply(b^d+x, k[i+5])
		x += y
		a, b, c, d = a^y, c^y, b^x, d^x
	}
	binary.BigEndian.PutUint16(dst, multiply(a, k[48]))
	binary.BigEndian.PutUint16(dst[2:], c+k[49])
	binary.BigEndian.PutUint16(dst[4:], b+k[50])
	binary.BigEndian.PutUint16(dst[6:], multiply(d, k[51]))
}

// multiply is modulo the prime 65537, where 0 stands for 65536.
func multiply(x, y uint16) uint16 {
	if x == 0 {
		return 1 - y // 65536 is -1
	}
	if y == 0 {
		return 1 - x
	}
	// 65536 is -1, so the high half is taken from the low one.
	product := uint32(x) * uint32(y)
	high, low := uint16(product>>16), uint16(product)
	if low < high {
		return low - high + 1
	}
	return low - high
}

// inverse is x^(p-2): 65535 is sixteen ones in binary.
func inverse(x uint16) uint16 {
	y := x
	for range 15 {
		y = multiply(multiply(y, y), x)
	}
	return y
}

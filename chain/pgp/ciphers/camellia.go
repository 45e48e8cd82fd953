package ciphers

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// CamelliaBlockSize is Camellia's block size in bytes.
const CamelliaBlockSize = 16

// camellia is the subkeys in the order of their use. Decryption uses those of
// encryption backwards.
type camellia struct{ enc, dec schedule }

// schedule is the key schedule of one direction (RFC 3713 §2.2).
type schedule struct {
	white  [4]uint64 // whitening before and after, kw1 to kw4
	rounds []uint64  // 18 or 24: k1 …
	layers []uint64  // two between each six rounds: ke1 …
}

// NewCamellia makes Camellia under a key of 16, 24 or 32 bytes.
func NewCamellia(key []byte) (cipher.Block, error) {
	switch len(key) {
	case 16, 24, 32:
	default:
		return nil, fmt.Errorf("camellia: key of %d bytes", len(key))
	}
	c := &camellia{enc: expand(key)}
	c.dec = c.enc.backwards()
	return c, nil
}

func (c *camellia) BlockSize() int { return CamelliaBlockSize }

func (c *camellia) Encrypt(dst, src []byte) { c.enc.crypt(dst, src) }

func (c *camellia) Decrypt(dst, src []byte) { c.dec.crypt(dst, src) }

func (s *schedule) crypt(dst, src []byte) {
	_, _ = src[:CamelliaBlockSize], dst[:CamelliaBlockSize] // as all Blocks panic
	l := binary.BigEndian.Uint64(src) ^ s.white[0]
	r := binary.BigEndian.Uint64(src[8:]) ^ s.white[1]
	for i := 0; i < len(s.rounds); i += 2 {
		if i > 0 && i%6 == 0 {
			l, r = fl(l, s.layers[i/3-2]), flInverse(r, s.layers[i/3-1])
		}
		r ^= feistel(l ^ s.rounds[i])
		l ^= feistel(r ^ s.rounds[i+1])
	}
	binary.BigEndian.PutUint64(dst, r^s.white[2])
	binary.BigEndian.PutUint64(dst[8:], l^s.white[3])
}

// feistel is the function F of RFC 3713 §2.4.1, after the key was added.
func feistel(x uint64) uint64 {
	return spread[0][byte(x>>56)] ^ spread[1][byte(x>>48)] ^ spread[2][byte(x>>40)] ^ spread[3][byte(x>>32)] ^
		spread[4][byte(x>>24)] ^ spread[5][byte(x>>16)] ^ spread[6][byte(x>>8)] ^ spread[7][byte(x)]
}

func fl(x, k uint64) uint64 {
	l, r := uint32(x>>32), uint32(x)
	r ^= bits.RotateLeft32(l&uint32(k>>32), 1)
	l ^= r | uint32(k)
	return uint64(l)<<32 | uint64(r)
}

func flInverse(x, k uint64) uint64 {
	l, r := uint32(x>>32), uint32(x)
	l ^= r | uint32(k)
	r ^= bits.RotateLeft32(l&uint32(k>>32), 1)
	return uint64(l)<<32 | uint64(r)
}

// pair is a number of 128 bits, high half first.
type pair [2]uint64

func (p pair) xor(q pair) pair { return pair{p[0] ^ q[0], p[1] ^ q[1]} }

// left rotates by n bits, 0 to 127.
func (p pair) left(n uint) pair {
	if n >= 64 {
		p[0], p[1] = p[1], p[0]
		n -= 64
	}
	return pair{p[0]<<n | p[1]>>(64-n), p[1]<<n | p[0]>>(64-n)}
}

// mix is two rounds with constants for keys.
func (p pair) mix(k0, k1 uint64) pair {
	p[1] ^= feistel(p[0] ^ k0)
	p[0] ^= feistel(p[1] ^ k1)
	return p
}

// expand makes the schedule for encryption (RFC 3713 §2.2).
func expand(key []byte) schedule {
	kl := pair{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])}
	var kr pair
	switch len(key) {
	case 24:
		kr[0] = binary.BigEndian.Uint64(key[16:])
		kr[1] = ^kr[0]
	case 32:
		kr = pair{binary.BigEndian.Uint64(key[16:]), binary.BigEndian.Uint64(key[24:])}
	}
	ka := kl.xor(kr).mix(0xA09E667F3BCC908B, 0xB67AE8584CAA73B2).xor(kl).mix(0xC6EF372FE94F82BE, 0x54FF53A5F1D36F1C)
	if len(key) == 16 {
		return schedule{
			white: [4]uint64{kl[0], kl[1], ka.left(111)[0], ka.left(111)[1]},
			rounds: halves(ka, kl.left(15), ka.left(15), kl.left(45), pair{ka.left(45)[0], kl.left(60)[1]},
				ka.left(60), kl.left(94), ka.left(94), kl.left(111)),
			layers: halves(ka.left(30), kl.left(77)),
		}
	}
	kb := ka.xor(kr).mix(0x10E527FADE682D1D, 0xB05688C2B3E6C1FD)
	return schedule{
		white: [4]uint64{kl[0], kl[1], kb.left(111)[0], kb.left(111)[1]},
		rounds: halves(kb, kr.left(15), ka.left(15), kb.left(30), kl.left(45), ka.left(45),
			kr.left(60), kb.left(60), kl.left(77), kr.left(94), ka.left(94), kl.left(111)),
		layers: halves(kr.left(30), kl.left(60), ka.left(77)),
	}
}

// halves are the high and low halves of all pairs.
func halves(pairs ...pair) []uint64 {
	var list []uint64
	for _, p := range pairs {
		list = append(list, p[0], p[1])
	}
	return list
}

// backwards is the schedule of the other direction.
func (s schedule) backwards() schedule {
	back := schedule{
		white:  [4]uint64{s.white[2], s.white[3], s.white[0], s.white[1]},
		rounds: slices.Clone(s.rounds),
		layers: slices.Clone(s.layers),
	}
	slices.Reverse(back.rounds)
	slices.Reverse(back.layers)
	return back
}

// spread is what each of the eight bytes that enter F makes of its output: an S-box,
// and its byte in all places to which the P-function adds it (RFC 3713 §2.4).
var spread = makeSpread()

func makeSpread() (t [8][256]uint64) {
	boxes := [8]func(x byte) byte{sbox1, sbox2, sbox3, sbox4, sbox2, sbox3, sbox4, sbox1}
	// The outputs, first to last, to which the input is added.
	places := [8]uint64{
		0x0101010001000001, // y1 y2 y3    y5       y8
		0x0001010101010000, //    y2 y3 y4 y5 y6
		0x0100010100010100, // y1    y3 y4    y6 y7
		0x0101000100000101, // y1 y2    y4       y7 y8
		0x0001010100010101, //    y2 y3 y4    y6 y7 y8
		0x0100010101000101, // y1    y3 y4 y5    y7 y8
		0x0101000101010001, // y1 y2    y4 y5 y6    y8
		0x0101010001010100, // y1 y2 y3    y5 y6 y7
	}
	for i, box := range boxes {
		for x := range 256 {
			t[i][x] = places[i] * uint64(box(byte(x)))
		}
	}
	return t
}

func sbox1(x byte) byte { return box[x] }
func sbox2(x byte) byte { return bits.RotateLeft8(box[x], 1) }
func sbox3(x byte) byte { return bits.RotateLeft8(box[x], 7) }
func sbox4(x byte) byte { return box[bits.RotateLeft8(x, 1)] }

// box is SBOX1 of RFC 3713 §2.4.1.
var box = [256]byte{
	112, 130, 44, 236, 179, 39, 192, 229, 228, 133, 87, 53, 234, 12, 174, 65,
	35, 239, 107, 147, 69, 25, 165, 33, 237, 14, 79, 78, 29, 101, 146, 189,
	134, 184, 175, 143, 124, 235, 31, 206, 62, 48, 220, 95, 94, 197, 11, 26,
	166, 225, 57, 202, 213, 71, 93, 61, 217, 1, 90, 214, 81, 86, 108, 77,
	139, 13, 154, 102, 251, 204, 176, 45, 116, 18, 43, 32, 240, 177, 132, 153,
	223, 76, 203, 194, 52, 126, 118, 5, 109, 183, 169, 49, 209, 23, 4, 215,
	20, 88, 58, 97, 222, 27, 17, 28, 50, 15, 156, 22, 83, 24, 242, 34,
	254, 68, 207, 178, 195, 181, 122, 145, 36, 8, 232, 168, 96, 252, 105, 80,
	170, 208, 160, 125, 161, 137, 98, 151, 84, 91, 30, 149, 224, 255, 100, 210,
	16, 196, 0, 72, 163, 247, 117, 219, 138, 3, 230, 218, 9, 63, 221, 148,
	135, 92, 131, 2, 205, 74, 144, 51, 115, 103, 246, 243, 157, 127, 191, 226,
	82, 155, 216, 38, 200, 55, 198, 59, 129, 150, 111, 75, 19, 190, 99, 46,
	233, 121, 167, 140, 159, 110, 188, 142, 41, 245, 249, 182, 47, 253, 180, 89,
	120, 152, 6, 106, 231, 70, 113, 186, 212, 37, 171, 66, 136, 162, 141, 250,
	114, 7, 185, 85, 248, 238, 172, 10, 54, 73, 42, 104, 60, 56, 241, 164,
	64, 40, 211, 123, 187, 201, 67, 193, 21, 227, 173, 244, 119, 199, 128, 158,
}

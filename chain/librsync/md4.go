package librsync

import "encoding/binary"

//go:generate go run md4gen.go

// md4Size is the length of an MD4 digest in bytes.
const md4Size = 16

var md4Init = [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}

// md4Pad lays out the last chunks of a message of n bytes in buf: the bytes beyond
// the last whole chunk, the 1 bit, zeros and the length in bits (RFC 1320 §3.1-3.2).
func md4Pad(buf *[128]byte, rest []byte, n int) []byte {
	used := copy(buf[:], rest)
	buf[used] = 0x80
	size := 64
	if used+9 > 64 {
		size = 128
	}
	clear(buf[used+1 : size-8])
	binary.LittleEndian.PutUint64(buf[size-8:], uint64(n)<<3)
	return buf[:size]
}

func md4Digest(s *[4]uint32, out *[md4Size]byte) {
	for i, v := range s {
		binary.LittleEndian.PutUint32(out[i*4:], v)
	}
}

// md4Sum sets out to the MD4 digest of p.
func md4Sum(p []byte, out *[md4Size]byte) {
	var pad [128]byte
	s := md4Init
	md4Blocks(&s, p)
	md4Blocks(&s, md4Pad(&pad, p[len(p)&^63:], len(p)))
	md4Digest(&s, out)
}

// md4Sum2 sets outs to the MD4 digests of p and q, which are of equal length. It
// takes little longer than one of them does.
func md4Sum2(p, q []byte, outs *[2][md4Size]byte) {
	var pad0, pad1 [128]byte
	s0, s1 := md4Init, md4Init
	md4Blocks2(&s0, p, &s1, q)
	whole := len(p) &^ 63
	md4Blocks2(&s0, md4Pad(&pad0, p[whole:], len(p)), &s1, md4Pad(&pad1, q[whole:], len(q)))
	md4Digest(&s0, &outs[0])
	md4Digest(&s1, &outs[1])
}

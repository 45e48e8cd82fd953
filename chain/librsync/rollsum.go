package librsync

import "encoding/binary"

// rollsumOffset is added to each byte, so that runs of zeros of different lengths
// have different sums.
const rollsumOffset = 31

const (
	evenBytes = 0x00ff00ff00ff00ff
	evenPairs = 0x0000ffff0000ffff
	lane16    = 0x0001000100010001
)

// rollsumRun is how many bytes rollsum takes between two reductions. More would
// overflow the 16-bit lanes of its second-order sums: 16 words of 8 bytes give at
// most 255*(16*17/2) = 34680.
const rollsumRun = 128

// rollsum is the classic weak sum (duplicity-format.md §4.4): s1 is the sum of the
// bytes, s2 the sum of all values s1 went through, both plus the offset, mod 2^16.
//
// Eight bytes are taken at once, as lanes of 16 bits: sum holds the lanes' sums and
// sums the sums of those.
func rollsum(p []byte) uint32 {
	var s1, s2 uint32
	n := uint32(len(p))
	for len(p) >= rollsumRun {
		run := p[:rollsumRun:rollsumRun]
		var even, odd, evens, odds uint64
		for i := 0; i < rollsumRun; i += 8 {
			x := binary.LittleEndian.Uint64(run[i : i+8])
			even += x & evenBytes
			odd += x >> 8 & evenBytes
			evens += even
			odds += odd
		}
		// Byte i of word j counts rollsumRun-8j-i times in s2: 8 times for each
		// word from its own on, less i.
		both := even + odd
		inWord := 2*(both*(3+2<<16+1<<32)>>48) + odd*lane16>>48
		sum := uint32(both * lane16 >> 48)
		s2 += rollsumRun*s1 + 8*(addPairs(evens)+addPairs(odds)) - uint32(inWord)
		s1 += sum
		p = p[rollsumRun:]
	}
	for _, b := range p {
		s1 += uint32(b)
		s2 += s1
	}
	s1 += n * rollsumOffset
	s2 += uint32(uint64(n) * (uint64(n) + 1) / 2 * rollsumOffset)
	return s2<<16 | s1&0xffff
}

// addPairs is the sum of the four 16-bit lanes of x.
func addPairs(x uint64) uint32 {
	y := x&evenPairs + x>>16&evenPairs
	return uint32(y) + uint32(y>>32)
}

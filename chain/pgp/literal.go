package pgp

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

const (
	tagLiteral = 11

	// literalHeader is what stands before the data in a literal packet: format 'b',
	// a name of length 0, no date.
	literalHeader = "b\x00\x00\x00\x00\x00"

	// firstPartial is the least length of a packet's first partial chunk, RFC 4880 §4.2.2.4.
	firstPartial = 512

	// maxPartialBits bounds the partial chunks written here: 2^30, RFC 4880 §4.2.2.4.
	maxPartialBits = 30
)

// MinFirstBlock is the least size, in bytes, of the first block of a literal that
// has more than one.
const MinFirstBlock = firstPartial - len(literalHeader)

// WriteLiteral writes one block of a literal data packet to w, framed so that each
// block begins at a chunk of its own: blocks may be framed in parallel and then
// concatenated, and any of them is read back alone by an [Unframer]. The first
// block carries the packet's header, and must have MinFirstBlock bytes unless it is
// the last as well; the last ends the packet, and may be empty. A block of n bytes
// costs one octet per bit set in n, the last block at most five.
func WriteLiteral(w io.Writer, block []byte, first, last bool) error {
	if uint64(len(block)) >= 1<<maxPartialBits {
		panic("pgp: literal block of 1 GiB or more")
	}
	var head []byte
	if first {
		head = []byte{0xC0 | tagLiteral}
	}
	switch {
	case last:
		n := len(block)
		if first {
			n += len(literalHeader)
		}
		head = appendLength(head, n)
		if first {
			head = append(head, literalHeader...)
		}
		return writeBoth(w, head, block)
	case first:
		if len(block) < MinFirstBlock {
			panic("pgp: first literal block is too short")
		}
		head = append(head, partialOctet(bits.TrailingZeros(firstPartial)))
		head = append(head, literalHeader...)
		if err := writeBoth(w, head, block[:MinFirstBlock]); err != nil {
			return err
		}
		block = block[MinFirstBlock:]
	}
	for len(block) > 0 {
		size := bits.Len(uint(len(block))) - 1
		if err := writeBoth(w, []byte{partialOctet(size)}, block[:1<<size]); err != nil {
			return err
		}
		block = block[1<<size:]
	}
	return nil
}

func writeBoth(w io.Writer, head, data []byte) error {
	if _, err := w.Write(head); err != nil {
		return err
	}
	if len(data) == 0 {
		return nil
	}
	_, err := w.Write(data)
	return err
}

// LiteralHead is what WriteLiteral puts before the data of a first block of n bytes: how
// many octets, and how many bytes of data are in the chunk that they begin.
func LiteralHead(n int, last bool) (octets int, chunk int64) {
	if last {
		return 1 + len(appendLength(nil, n+len(literalHeader))) + len(literalHeader), int64(n)
	}
	return 1 + 1 + len(literalHeader), int64(MinFirstBlock)
}

// Unframer takes the chunk lengths out of the data of a literal packet. The zero value
// begins with the length of a chunk; see Resume. Not for concurrent use.
type Unframer struct {
	left   int64 // of the chunk
	last   bool  // the chunk ends the packet
	octets [5]byte
	seen   int // octets of a length that is not complete
}

// Resume makes the Unframer begin with what is left of a chunk, in bytes.
func (u *Unframer) Resume(chunk int64) { *u = Unframer{left: chunk} }

// Unframe appends to dst the data in the next bytes of the packet, framed, but no more
// than limit bytes; it returns as soon as it has so many. It returns an ErrIntegrity if
// the packet ends before.
func (u *Unframer) Unframe(dst, framed []byte, limit int) ([]byte, error) {
	for len(framed) > 0 && limit > 0 {
		if u.left == 0 {
			if u.last {
				return dst, fmt.Errorf("%w: literal data are cut short", ErrIntegrity)
			}
			u.octets[u.seen] = framed[0]
			u.seen++
			framed = framed[1:]
			if n, used, partial := parseLength(u.octets[:u.seen]); used > 0 {
				u.left, u.last, u.seen = n, !partial, 0
			}
			continue
		}
		n := int(min(u.left, int64(limit), int64(len(framed))))
		dst = append(dst, framed[:n]...)
		framed = framed[n:]
		limit -= n
		u.left -= int64(n)
	}
	return dst, nil
}

// partialOctet is the length octet of a partial chunk of 2^size bytes.
func partialOctet(size int) byte { return 0xE0 | byte(size) }

// appendLength appends a definite new-format length, RFC 4880 §4.2.2.
func appendLength(b []byte, n int) []byte {
	switch {
	case n < 192:
		return append(b, byte(n))
	case n < 8384:
		return append(b, byte((n-192)>>8)+192, byte(n-192))
	default:
		return binary.BigEndian.AppendUint32(append(b, 0xFF), uint32(n))
	}
}

// parseLength reads a new-format length from the head of b: the length in bytes,
// the octets it took (0 if b is too short), and whether more chunks follow.
func parseLength(b []byte) (n int64, used int, partial bool) {
	switch {
	case len(b) == 0:
		return 0, 0, false
	case b[0] < 192:
		return int64(b[0]), 1, false
	case b[0] < 224:
		if len(b) < 2 {
			return 0, 0, false
		}
		return int64(b[0]-192)<<8 + int64(b[1]) + 192, 2, false
	case b[0] < 255:
		return 1 << (b[0] & 0x1F), 1, true
	default:
		if len(b) < 5 {
			return 0, 0, false
		}
		return int64(binary.BigEndian.Uint32(b[1:])), 5, false
	}
}

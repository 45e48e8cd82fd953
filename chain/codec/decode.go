package codec

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/zeebo/blake3"

	"hindsight/chain/inflate"
	"hindsight/chain/pgp"
)

// errBlock is wrapped by the errors of DecodeBlock.
var errBlock = fmt.Errorf("block: %w", ErrCorrupt)

// DecodeBlock appends the plain bytes of block b of an object of format f to dst.
// stored are its stored bytes; in a .gpg object the decrypted content. Nothing is
// returned that does not match b.Sum. Any mismatch is an ErrCorrupt.
func DecodeBlock(dst, stored []byte, f Format, b Block) ([]byte, error) {
	if b.Len < 0 || b.Len > MaxBlock {
		return dst, fmt.Errorf("%w: length %d", errBlock, b.Len)
	}
	plain, err := decode(dst, stored, f, b)
	if err != nil {
		if errors.Is(err, ErrCorrupt) {
			return dst, err
		}
		return dst, fmt.Errorf("%w: %w", errBlock, err)
	}
	if got := plain[len(dst):]; len(got) != int(b.Len) || blake3.Sum256(got) != b.Sum {
		return dst, fmt.Errorf("%w: checksum does not match", errBlock)
	}
	return plain, nil
}

func decode(dst, stored []byte, f Format, b Block) ([]byte, error) {
	switch {
	case f.Encrypted && f.Compressed:
		framed, err := inflateBlock(nil, stored, framedMax(b))
		if err != nil {
			return nil, err
		}
		return unframe(dst, framed, b)
	case f.Encrypted:
		return unframe(dst, stored, b)
	case f.Compressed:
		src := bytes.NewReader(stored)
		head := bufio.NewReaderSize(src, len(memberHeader))
		if err := readHeader(head); err != nil {
			return nil, err
		}
		body := len(stored) - src.Len() - head.Buffered()
		return inflateBlock(dst, stored[body:], int(b.Len))
	}
	return append(dst, stored...), nil
}

// framedMax bounds a block with its literal framing and what precedes the first.
func framedMax(b Block) int { return int(b.Len) + 256 }

// inflateBlock appends up to size bytes of a raw deflate stream to dst. The stream
// may end or just stop there: a block of a message is not a stream's last.
func inflateBlock(dst, raw []byte, size int) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, size)[:start+size]
	n, _, err := inflate.Inflate(dst[start:], raw)
	if err != nil && err != io.ErrShortBuffer {
		return nil, inflateError(err)
	}
	return dst[:start+n], nil
}

// onePassTag opens a one-pass signature packet (RFC 4880 §5.4), which stands
// before the literal data of a signed message.
const onePassTag = 0xC4

func unframe(dst, framed []byte, b Block) ([]byte, error) {
	first := b.TarOffset == 0
	if first && len(framed) > 2 && framed[0] == onePassTag && framed[1] < 192 {
		framed = framed[min(len(framed), 2+int(framed[1])):]
	}
	return pgp.UnframeLiteral(dst, framed, first)
}

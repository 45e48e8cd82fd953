package pgp

import "fmt"

// Layout maps offsets of a message's content (what was given to BodyWriter.Write,
// from 0) to offsets of the stored message. All in bytes. It may be kept beside the
// message, and then serves for reading ranges of it.
type Layout struct {
	Head  int64 // stored offset of the first chunk's length octet
	Start int64 // offset of the content within the SEIPD body
	Len   int64 // length of the content
}

// lastLengthSize is the size of the last chunk's length: see BodyWriter.Close.
const lastLengthSize = 5

// Size is the length of the whole stored message.
func (l Layout) Size() int64 {
	return l.stored(l.Start+l.Len+mdcSize-1) + 1
}

// Stored is the stored offset of the content's byte at off, 0 <= off <= Len.
func (l Layout) Stored(off int64) int64 { return l.stored(l.Start + off) }

// stored maps an offset of the SEIPD body.
func (l Layout) stored(at int64) int64 {
	chunk := at >> chunkBits
	length := int64(1)
	if chunk == l.lastChunk() {
		length = lastLengthSize
	}
	return l.Head + chunk*(chunkSize+1) + length + at&(chunkSize-1)
}

// lastChunk is the number of the chunk with the definite length.
func (l Layout) lastChunk() int64 { return (l.Start + l.Len + mdcSize - 1) >> chunkBits }

// Range is the part of the stored message, offset and length, that [Layout.ReadRange]
// needs for the content [off, off+n): it begins a cipher block early, for the
// feedback.
func (l Layout) Range(off, n int64) (stored, length int64, err error) {
	if off < 0 || n <= 0 || off+n < off || off+n > l.Len {
		return 0, 0, fmt.Errorf("range %d+%d outside of a content of %d bytes", off, n, l.Len)
	}
	stored = l.stored(l.feedback(off))
	return stored, l.Stored(off+n-1) + 1 - stored, nil
}

// feedback is the body offset of the cipher block before the one that holds the
// content's byte at off. The version octet is not encrypted: block boundaries lie at
// body offsets 1 + 16 k.
func (l Layout) feedback(off int64) int64 {
	at := l.Start + off - 1
	return at - at%maxBlockSize - maxBlockSize + 1
}

// ReadRange decrypts the content [off, off+n) from the bytes that Layout.Range
// names. It checks nothing: the MDC covers whole messages alone, so the caller must
// know a digest of the range. raw is overwritten, and the result lies within it.
func (l Layout) ReadRange(key SessionKey, raw []byte, off, n int64) ([]byte, error) {
	_, length, err := l.Range(off, n)
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) != length {
		return nil, fmt.Errorf("range of %d stored bytes, want %d: %w", len(raw), length, ErrIntegrity)
	}
	block, err := key.algo.newBlock(key.key)
	if err != nil {
		return nil, err
	}
	if block.BlockSize() != maxBlockSize {
		return nil, fmt.Errorf("%w: range of a message in cipher algorithm %d", ErrUnsupported, key.algo)
	}
	from := l.feedback(off)
	text := l.unframe(raw, from, l.Start+off+n)
	newCFB(block, text[:maxBlockSize]).decrypt(text[maxBlockSize:])
	return text[l.Start+off-from:], nil
}

// unframe moves the body bytes [from, to) together, over the chunk lengths between
// them; raw begins at the stored place of from.
func (l Layout) unframe(raw []byte, from, to int64) []byte {
	start, out := l.stored(from), 0
	for at := from; at < to; {
		end := min(to, (at>>chunkBits+1)<<chunkBits)
		place := l.stored(at) - start
		out += copy(raw[out:], raw[place:place+end-at])
		at = end
	}
	return raw[:out]
}

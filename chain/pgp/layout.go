package pgp

import (
	"crypto/cipher"
	"fmt"
)

// Layout maps offsets of a message's content to offsets of the stored message. The
// content is what is encrypted, from Start on: what was given to BodyWriter.Write, or
// of a message that somebody else wrote all packets within the encryption. A Layout
// may be kept beside the message, and then serves for reading ranges of it; one that
// was kept must pass Check first. All in bytes.
type Layout struct {
	Head  int64 // stored offset of the first chunk's length octets
	Start int64 // offset of the content within the SEIPD body
	Len   int64 // length of the content
	Runs  []Run // all chunks of the body, which the last one ends
}

// Bounds of a Layout. What gpg writes has about ten runs in a GiB, or, from version
// 2.4 on, about ten in a MiB.
const (
	MaxRuns   = 1 << 16 // runs of a layout
	MaxChunks = 8       // chunks of one run's pattern

	maxBody  = 1 << 50 // bytes
	maxStart = 1 << 16
)

// Run is a sequence of chunks that is repeated.
type Run struct {
	Lengths []byte // length octets of 1 to MaxChunks chunks, as they are stored
	Count   int64  // how many times, at least 1
}

// span is what one repetition has: bytes of the body, and octets of lengths.
func (r Run) span() (size, octets int64) {
	for rest := r.Lengths; len(rest) > 0; {
		n, used, _ := parseLength(rest)
		if used == 0 {
			break // Check has seen to it that there is none
		}
		size += n
		rest = rest[used:]
	}
	return size, int64(len(r.Lengths))
}

// Check reports what is wrong with a layout that comes from somewhere else. All
// methods are safe on one without an error, and cost time and memory that do not
// depend on what it claims.
func (l Layout) Check() error {
	if l.Head < 0 || l.Head > maxBody || l.Start < 1 || l.Start > maxStart || l.Len < 0 || l.Len > maxBody {
		return fmt.Errorf("%w: layout of a message of %d bytes at %d+%d", ErrIntegrity, l.Len, l.Head, l.Start)
	}
	if len(l.Runs) > MaxRuns {
		return fmt.Errorf("%w: layout of %d runs", ErrIntegrity, len(l.Runs))
	}
	var body int64
	for i, r := range l.Runs {
		last := i == len(l.Runs)-1
		size, err := r.check(last)
		if err != nil {
			return err
		}
		if size > 0 && r.Count > (maxBody-body)/size {
			return fmt.Errorf("%w: layout of a message that is too long", ErrIntegrity)
		}
		body += size * r.Count
	}
	if body != l.Start+l.Len+mdcSize {
		return fmt.Errorf("%w: layout of %d bytes has chunks of %d", ErrIntegrity, l.Start+l.Len+mdcSize, body)
	}
	return nil
}

// check checks one run and returns the length of a repetition.
func (r Run) check(last bool) (size int64, err error) {
	chunks, open := 0, true
	for rest := r.Lengths; len(rest) > 0; chunks++ {
		n, used, partial := parseLength(rest)
		if used == 0 || !open || chunks == MaxChunks {
			return 0, fmt.Errorf("%w: layout with a run of chunks of lengths %x", ErrIntegrity, r.Lengths[:min(len(r.Lengths), 16)])
		}
		size += n
		open = partial
		rest = rest[used:]
	}
	if chunks == 0 || r.Count < 1 || r.Count > maxBody || open == last || last && r.Count != 1 {
		return 0, fmt.Errorf("%w: layout with a run of %d times %d chunks", ErrIntegrity, r.Count, chunks)
	}
	return size, nil
}

// Size is the length of the whole stored message.
func (l Layout) Size() int64 {
	n := l.Head
	for _, r := range l.Runs {
		size, octets := r.span()
		n += (size + octets) * r.Count
	}
	return n
}

// place is where a chunk lies.
type place struct {
	body, stored int64 // offsets of its first byte
	n            int64 // its length
}

// chunks yields the chunks from the one that holds the body's byte at on.
func (l Layout) chunks(at int64, yield func(place) bool) {
	p := place{stored: l.Head}
	for _, r := range l.Runs {
		size, octets := r.span()
		skip := r.Count
		if size > 0 {
			skip = min(skip, (at-p.body)/size)
		}
		if at < p.body {
			skip = 0
		}
		p.body += skip * size
		p.stored += skip * (size + octets)
		for range r.Count - skip {
			for rest := r.Lengths; len(rest) > 0; {
				n, used, _ := parseLength(rest)
				if used == 0 {
					return
				}
				p.n = n
				p.stored += int64(used)
				if p.body+n > at && !yield(p) {
					return
				}
				p.body += n
				p.stored += n
				rest = rest[used:]
			}
		}
	}
}

// Stored is the stored offset of the content's byte at off, 0 <= off < Len.
func (l Layout) Stored(off int64) int64 { return l.stored(l.Start + off) }

// stored maps an offset of the body.
func (l Layout) stored(at int64) (stored int64) {
	l.chunks(at, func(p place) bool {
		stored = p.stored + at - p.body
		return false
	})
	return stored
}

// Range is the part of the stored message, offset and length, that [Layout.ReadRange]
// needs for the content [off, off+n): it begins a cipher block early, for the
// feedback.
func (l Layout) Range(off, n int64) (stored, length int64, err error) {
	if off < 0 || n <= 0 || off > l.Len || n > l.Len-off {
		return 0, 0, fmt.Errorf("range %d+%d outside of a content of %d bytes", off, n, l.Len)
	}
	from, _ := l.feedback(off)
	stored = l.stored(from)
	return stored, l.Stored(off+n-1) + 1 - stored, nil
}

// feedback is the body offset of the cipher block before the one that holds the
// content's byte at off, or with smaller cipher blocks of the two before, and their
// length; the first cipher block has none before it. The version octet is not
// encrypted: cipher blocks lie at body offsets 1 + 16 k.
func (l Layout) feedback(off int64) (from int64, size int) {
	at := l.Start + off - 1
	if at < maxBlockSize {
		return 1, 0
	}
	return at - at%maxBlockSize - maxBlockSize + 1, maxBlockSize
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
	block, err := key.newBlock()
	if err != nil {
		return nil, err
	}
	from, size := l.feedback(off)
	text := l.unframe(raw, from, l.Start+off+n)
	iv := text[:size]
	if size > 0 {
		iv = iv[size-block.BlockSize():]
	}
	newCFB(block, iv).decrypt(text[size:])
	return text[l.Start+off-from:], nil
}

func (k SessionKey) newBlock() (cipher.Block, error) { return k.algo.newBlock(k.key) }

// unframe moves the body bytes [from, to) together, over the chunk lengths between
// them; raw begins at the stored place of from.
func (l Layout) unframe(raw []byte, from, to int64) []byte {
	start, out := int64(-1), 0
	l.chunks(from, func(p place) bool {
		skip := max(from-p.body, 0)
		if start < 0 {
			start = p.stored + skip
		}
		at := p.stored + skip - start
		n := min(p.n, to-p.body) - skip
		out += copy(raw[out:], raw[at:at+n])
		return p.body+p.n < to
	})
	return raw[:out]
}

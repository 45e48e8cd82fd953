package deflate

import "fmt"

// MaxInput is the most bytes that Append takes at once.
const MaxInput = 1 << 24

// Encoder compresses blocks at one level. It holds 250 to 400 KiB up to level 6 and 650
// KiB at most, and up to five bytes for every byte of the largest block seen. It is not
// safe for concurrent use.
type Encoder struct {
	effort  effort
	matcher matcher
	tokens  tokens
	split   splitter
	build   builder
	codes   codes
	out     bitWriter
}

// NewEncoder returns an Encoder of the level, 1 (fast) to 9.
func NewEncoder(level int) (*Encoder, error) {
	if level < 1 || level >= len(efforts) {
		return nil, fmt.Errorf("compression level %d is not between 1 and %d", level, len(efforts)-1)
	}
	return &Encoder{effort: efforts[level]}, nil
}

// Append compresses src, of at most MaxInput bytes, and appends the result to dst.
// It refers to nothing before src. If last is set it ends the stream; otherwise it
// ends at a byte boundary, with an empty stored block, and another may follow.
func (e *Encoder) Append(dst, src []byte, last bool) []byte {
	if len(src) > MaxInput {
		panic("deflate: block longer than MaxInput")
	}
	e.out = bitWriter{out: dst[:cap(dst)], n: len(dst)}
	w := &e.out
	w.reserve(16)
	if len(src) > 0 {
		e.compress(src, last)
	}
	switch {
	case !last:
		w.reserve(16)
		w.add(0, 3)
		w.align()
		w.bytes([]byte{0, 0, 0xff, 0xff})
	case len(src) == 0:
		w.add(1|1<<1, 10) // a last block of fixed codes: end of block, seven zeros
		w.align()
	default:
		w.align()
	}
	out := w.out[:w.n]
	e.out = bitWriter{}
	return out
}

func (e *Encoder) compress(src []byte, last bool) {
	e.effort.parse(&e.matcher, &e.tokens, src, &e.effort)
	segments := e.split.split(&e.tokens)
	for i := range segments {
		s := &segments[i]
		e.writeBlock(s, src[:s.grain.size], last && i == len(segments)-1)
		src = src[s.grain.size:]
	}
}

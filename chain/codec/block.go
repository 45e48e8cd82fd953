package codec

import (
	"bytes"

	"github.com/zeebo/blake3"

	"hindsight/chain/codec/deflate"
)

// block is a run of plain bytes on its way through a Writer: filled by Write,
// encoded by a worker, sealed in order. One of them owns it at a time.
type block struct {
	plain []byte // capacity MaxBlock
	out   []byte // encoded
	sum   [32]byte
	start *Resume // of a block that does not begin as others do
	first bool    // of its object
	last  bool
	err   error
	owner *Writer
	done  chan struct{} // told once it is encoded
}

func newBlock() *block {
	return &block{plain: make([]byte, 0, MaxBlock), done: make(chan struct{}, 1)}
}

// encode does all of the work that does not depend on other blocks.
func (b *block) encode(e *encoder) {
	b.sum = blake3.Sum256(b.plain)
	b.out, b.err = b.owner.format.encode(e, b.out[:0], b)
	b.owner.encoded(b)
	b.done <- struct{}{}
}

// encodedMax is the most bytes that n plain bytes may become: deflate stores what
// it cannot compress, and framing is small.
const encodedMax = MaxBlock + MaxBlock>>10 + 1024

func encodedBound(n int) int64 { return int64(n + n>>10 + 1024) }

// encoder is what one goroutine keeps to encode blocks: scratch space, and a
// compressor for every level it met, which are too large to be made for a block.
type encoder struct {
	levels [maxLevel + 1]*deflate.Encoder
	frame  bytes.Buffer
}

// compress appends src to out as raw deflate; see deflate.Encoder.Append.
func (e *encoder) compress(level int, out, src []byte, last bool) ([]byte, error) {
	if e.levels[level] == nil {
		z, err := deflate.NewEncoder(level)
		if err != nil {
			return nil, err
		}
		e.levels[level] = z
	}
	return e.levels[level].Append(out, src, last), nil
}

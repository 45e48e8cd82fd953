package inflate

import (
	"bufio"
	"io"
)

const (
	// sourceSize is how much of a source is read at once.
	sourceSize = 128 << 10
	// minSource is the smallest buffer that holds any block header: 4498 bits.
	minSource = 1 << 10

	// runSize is room for output behind the window. Both stay in a second-level
	// cache beside the input.
	runSize = 256 << 10
	// smallRun is that of a small Reader.
	smallRun = 32 << 10
)

// Reader reads one stream at a time. An error sticks. It holds about 300 KiB, and
// 128 KiB for a source that is not buffered; reuse it with Reset, which the zero value
// needs before its first use. It is not safe for concurrent use.
type Reader struct {
	// Small, if set before the first Reset, makes the Reader hold some 80 KiB in place
	// of 300, at a few per cent more of time.
	Small bool

	// OnBlock, if set before the first read, is called at the start of each block
	// with a checkpoint of it, and whether the block is the stream's last. What is
	// decoded then is ahead of what was read. The window is the Reader's, to be
	// used only until the function returns.
	OnBlock func(c Checkpoint, final bool)

	d    Decoder
	src  *bufio.Reader // nil: mem is all there is
	own  *bufio.Reader // kept for the next source
	mem  []byte
	out  []byte
	next int   // out[next:n] is decoded and not read
	n    int   // end of the output in out
	base int64 // offset in the output of out[0]
	err  error
}

// NewReader returns a Reader of the stream that src is at. A *bufio.Reader of 1 KiB
// or more is read from directly and is right behind the stream at io.EOF; of another
// source more may be read, see Source.
func NewReader(src io.Reader) *Reader {
	r := new(Reader)
	r.Reset(src)
	return r
}

// Reset makes the Reader read another stream; see NewReader. OnBlock stays.
func (r *Reader) Reset(src io.Reader) {
	r.start(Checkpoint{})
	r.setSource(src)
}

// ResetBytes makes the Reader read a stream that b begins with. OnBlock stays. b is
// in use until the end; Rest is what follows the stream.
func (r *Reader) ResetBytes(b []byte) { r.startBytes(Checkpoint{}, b) }

func (r *Reader) startBytes(c Checkpoint, b []byte) {
	r.start(c)
	r.src, r.mem = nil, b
}

func (r *Reader) setSource(src io.Reader) {
	r.mem = nil
	if b, ok := src.(*bufio.Reader); ok && b.Size() >= minSource {
		r.src = b
		return
	}
	if r.own == nil {
		r.own = bufio.NewReaderSize(src, sourceSize)
	}
	r.own.Reset(src)
	r.src = r.own
}

// start makes the Reader ready for the block that begins at c.
func (r *Reader) start(c Checkpoint) {
	if r.out == nil {
		size := runSize
		if r.Small {
			size = smallRun
		}
		r.out = make([]byte, WindowSize+size)
	}
	r.d.ResetAt(c.Bit)
	r.n = copy(r.out, c.Window)
	r.next = r.n
	r.base = c.Out - int64(r.n)
	r.err = nil
}

// Source returns the buffered source, at the first byte that was not decoded; nil
// after ResetBytes. At io.EOF that is what follows the stream.
func (r *Reader) Source() *bufio.Reader { return r.src }

// Rest returns what was not decoded of the bytes given to ResetBytes.
func (r *Reader) Rest() []byte { return r.mem }

// Mark begins to count for Reach, from where the output ends now: in OnBlock, where
// the block begins.
func (r *Reader) Mark() { r.d.Mark() }

// Reach returns how many bytes before the mark what was decoded since refers to.
func (r *Reader) Reach() int { return r.d.Reach() }

// Bits returns the number of bits of the stream that are decoded, as Used does.
func (r *Reader) Bits() int64 { return r.d.Bits() }

// Used returns the number of bytes of the stream that are decoded, counting what
// precedes a checkpoint. At io.EOF that is the stream's length.
func (r *Reader) Used() int64 { return r.d.read }

// Next returns the next bytes of output, at least one and at most 288 KiB, valid
// until the next call of any method. It asks the source for more only when nothing
// is left to return. Errors: io.EOF at the end of the stream, io.ErrUnexpectedEOF if
// the source ends before, those of the source as they are, and a *CorruptError.
func (r *Reader) Next() ([]byte, error) {
	if err := r.fill(); err != nil {
		return nil, err
	}
	p := r.out[r.next:r.n]
	r.next = r.n
	return p, nil
}

// Read implements io.Reader; see Next.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.out[r.next:r.n])
	r.next += n
	return n, nil
}

// WriteTo writes all that is left of the stream to w; see Next.
func (r *Reader) WriteTo(w io.Writer) (written int64, err error) {
	for {
		p, err := r.Next()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(p)
		written += int64(n)
		if err != nil {
			return written, err
		}
		if n != len(p) {
			return written, io.ErrShortWrite
		}
	}
}

// fill decodes until there is something to read.
func (r *Reader) fill() error {
	for r.next == r.n {
		if r.err != nil {
			return r.err
		}
		if len(r.out)-r.n < (len(r.out)-WindowSize)/4 { // too little room to go on
			keep := copy(r.out, r.out[r.n-WindowSize:r.n])
			r.base += int64(r.n - keep)
			r.n, r.next = keep, keep
		}
		r.decode()
	}
	return nil
}

// decode decodes what there is of input, as far as there is room.
func (r *Reader) decode() {
	r.d.StopAtBlocks = r.OnBlock != nil
	for {
		err := r.step()
		switch err {
		case ErrBlock:
			bit, final := r.d.Block()
			r.OnBlock(r.checkpoint(bit), final)
			continue
		case ErrShortDst:
		case ErrShortSrc:
			if r.next < r.n {
				return
			}
			if r.err = r.more(); r.err == nil {
				continue
			}
		default:
			r.err = err
		}
		return
	}
}

// step is one call of the decoder.
func (r *Reader) step() (err error) {
	in := r.mem
	if r.src != nil {
		in, _ = r.src.Peek(r.src.Buffered())
	}
	var used int
	r.n, used, err = r.d.Decode(r.out, r.n, in)
	if r.src != nil {
		r.src.Discard(used) // of what is buffered: no error
	} else {
		r.mem = r.mem[used:]
	}
	return err
}

// more gets at least one more byte of input.
func (r *Reader) more() error {
	if r.src == nil {
		return io.ErrUnexpectedEOF
	}
	_, err := r.src.Peek(r.src.Buffered() + 1)
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

var (
	_ io.Reader   = (*Reader)(nil)
	_ io.WriterTo = (*Reader)(nil)
)

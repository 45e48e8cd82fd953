package inflate

import "io"

// WindowSize is how far back a match may reach, in bytes.
const WindowSize = 32 << 10

// Decoder holds the state of one stream between calls of Decode; the data is its
// caller's. The zero value is ready for the start of a stream. It is about 16 KiB large,
// to be reused with Reset, and not safe for concurrent use.
type Decoder struct {
	// StopAtBlocks makes Decode return ErrBlock before the first symbol of every
	// block, once its header is read.
	StopAtBlocks bool

	state  state
	final  bool // the block is the stream's last
	skip   int  // bits of the next byte of input that are used, 0 to 7
	stored int  // bytes that are left of a stored block
	length int  // bytes that are left of a match for which there was no room
	dist   int  // its distance
	read   int64
	block  int64 // bit at which the block begins
	since  int   // bytes of output since the mark
	reach  int   // how far before the mark matches reached since
	over   int   // during Decode: the greatest distance beyond all of dst[:n] that reach allows
	err    error

	codes   *tables // of the block: &dynamic, or fixed
	dynamic tables
	lens    [1 << lenBits]entry
	lengths [litSymbols + distSymbols]uint8
}

type state uint8

const (
	stateHeader state = iota
	stateStored
	stateCodes
	stateEnd
)

// Reset makes the Decoder ready for the start of another stream. StopAtBlocks stays.
func (d *Decoder) Reset() { d.ResetAt(0) }

// ResetAt makes the Decoder ready for a block that begins at that bit of a stream.
// The first byte of input is the one with that bit. StopAtBlocks stays.
func (d *Decoder) ResetAt(bit int64) {
	d.state, d.final, d.stored, d.length, d.err = stateHeader, false, 0, 0, nil
	d.Mark()
	d.read, d.skip, d.block = bit>>3, int(bit&7), bit
}

// Bits returns the number of bits of the stream that are decoded.
func (d *Decoder) Bits() int64 { return d.read<<3 + int64(d.skip) }

// Mark begins to count for Reach, from where the output ends now. So does a reset.
func (d *Decoder) Mark() { d.since, d.reach = 0, 0 }

// Reach returns how many bytes before the mark matches referred to since: at most
// WindowSize.
func (d *Decoder) Reach() int { return d.reach }

// Block returns the bit of the stream at which the current block begins, and whether
// it is the last.
func (d *Decoder) Block() (bit int64, final bool) { return d.block, d.final }

// Decode decodes src to dst[n:] as far as it can. dst[:n] is what was decoded
// before, at least the last WindowSize bytes of it; a match that reaches beyond is an
// error. Bytes behind those decoded may be overwritten. It returns the end of the
// output in dst, and how many bytes of src it is done with; the caller presents the
// rest again at the start of the next src, in which a bit may be used already.
//
// The error is never nil: ErrShortSrc, ErrShortDst or ErrBlock, which are no
// failures, io.EOF at the end of the stream, or a *CorruptError. After the last two
// it sticks. At the end of the stream the unused bits of the last byte count as used.
func (d *Decoder) Decode(dst []byte, n int, src []byte) (int, int, error) {
	if d.err != nil {
		return n, 0, d.err
	}
	pos, start := d.skip, n
	d.over = d.reach + d.since - n
	n, pos, err := d.run(dst, n, src, pos)
	d.reach = d.over - d.since + start
	d.since += n - start
	if err == io.EOF {
		pos = (pos + 7) &^ 7
		d.err = err
	}
	d.read += int64(pos >> 3)
	d.skip = pos & 7
	if r, ok := err.(reason); ok {
		d.err = &CorruptError{Bit: d.Bits(), Reason: string(r)}
		err = d.err
	}
	return n, pos >> 3, err
}

// run is Decode from bit pos of src on; it returns the bit where it stopped.
func (d *Decoder) run(dst []byte, n int, src []byte, pos int) (int, int, error) {
	var err error
	for {
		switch d.state {
		case stateHeader:
			d.block = d.read<<3 + int64(pos)
			if pos, err = d.header(src, pos); err == nil && d.StopAtBlocks {
				err = ErrBlock
			}
		case stateStored:
			n, pos, err = d.copyStored(dst, n, src, pos)
		case stateCodes:
			n, pos, err = d.decodeBlock(dst, n, src, pos)
		case stateEnd:
			err = io.EOF
		}
		if err != nil {
			return n, pos, err
		}
	}
}

// endBlock is called behind the last symbol or byte of a block.
func (d *Decoder) endBlock() {
	d.state = stateHeader
	if d.final {
		d.state = stateEnd
	}
}

func (d *Decoder) copyStored(dst []byte, n int, src []byte, pos int) (int, int, error) {
	in := src[pos>>3:]
	c := copy(dst[n:], in[:min(d.stored, len(in))])
	d.stored -= c
	n, pos = n+c, pos+c<<3
	switch {
	case d.stored == 0:
		d.endBlock()
	case n == len(dst):
		return n, pos, ErrShortDst
	default:
		return n, pos, ErrShortSrc
	}
	return n, pos, nil
}

// decodeBlock decodes the symbols of a block.
func (d *Decoder) decodeBlock(dst []byte, n int, src []byte, pos int) (int, int, error) {
	t := d.codes
	for {
		if d.length > 0 {
			if n = d.copyMatch(dst, n); d.length > 0 {
				return n, pos, ErrShortDst
			}
		}
		start, end := pos, false
		if t.flat {
			n, pos = t.flatRun(dst, n, src, pos)
			n, pos, d.over, end = t.fast(dst, n, src, pos, n, d.over) // one round
		} else {
			n, pos, d.over, end = t.fast(dst, n, src, pos, len(dst), d.over)
		}
		if end {
			d.endBlock()
			return n, pos, nil
		}
		if pos != start {
			continue
		}
		var err error
		if n, pos, err = d.careful(dst, n, src, pos); err != nil {
			return n, pos, err
		}
		if d.state != stateCodes {
			return n, pos, nil
		}
	}
}

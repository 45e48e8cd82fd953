package librsync

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// OpDecoder reads a delta that comes in pieces of any length, as from the parts of
// an entry that is split over volumes. The zero value is ready for a stream's start.
type OpDecoder struct {
	state   decodeState
	opcode  byte
	head    [16]byte // magic or arguments, as far as they are read
	have    int
	need    int
	literal int64 // bytes of the literal still to come
	off     int64 // of the next piece in the stream
	opAt    int64 // of the command that is read, for errors
	err     error
}

type decodeState uint8

const (
	atMagic decodeState = iota
	atOpcode
	inArguments
	inLiteral
	atEnd
)

// Decode takes the next piece of the stream and calls emit for what it completes:
// once for a copy, with lit nil, and for a literal once for each run of its bytes in
// p, Len of them, with Pos where they lie in the stream. lit is a part of p.
//
// An error of emit is returned as it is. Reserved opcodes, lengths of 0 (librsync
// refuses them too), positions and lengths beyond 2^63-1, alone or added, and bytes
// after the end are a *CorruptError. Errors stick.
func (d *OpDecoder) Decode(p []byte, emit func(op Op, lit []byte) error) error {
	for len(p) > 0 && d.err == nil {
		var n int
		switch d.state {
		case atMagic:
			d.need = 4
			n = d.take(p)
			if d.have == d.need {
				d.checkMagic()
			}
		case atOpcode:
			n = 1
			d.startOp(p[0])
		case inArguments:
			n = d.take(p)
			if d.have == d.need {
				d.finishArguments(int64(n), emit)
			}
		case inLiteral:
			n = int(min(int64(len(p)), d.literal))
			d.err = emit(Op{Pos: d.off, Len: int64(n)}, p[:n:n])
			if d.literal -= int64(n); d.literal == 0 {
				d.state = atOpcode
			}
		case atEnd:
			d.opAt = d.off
			d.corrupt("bytes after the end of the delta")
		}
		d.off += int64(n)
		p = p[n:]
	}
	return d.err
}

// Close tells whether the stream ended where a delta may end: it returns
// io.ErrUnexpectedEOF if the end command is missing, or the error Decode returned.
func (d *OpDecoder) Close() error {
	if d.err == nil && d.state != atEnd {
		return io.ErrUnexpectedEOF
	}
	return d.err
}

// take moves bytes of p to head until there are need of them.
func (d *OpDecoder) take(p []byte) int {
	n := copy(d.head[d.have:d.need], p)
	d.have += n
	return n
}

func (d *OpDecoder) corrupt(format string, args ...any) {
	d.err = &CorruptError{d.opAt, fmt.Sprintf(format, args...)}
}

func (d *OpDecoder) checkMagic() {
	if m := binary.BigEndian.Uint32(d.head[:]); m != deltaMagic {
		d.corrupt("%#x is not the magic of a delta", m)
	}
	d.state = atOpcode
}

func (d *OpDecoder) startOp(op byte) {
	d.opcode, d.opAt, d.have = op, d.off, 0
	switch {
	case op == opEnd:
		d.state = atEnd
	case op <= opMaxShort:
		d.literal, d.state = int64(op), inLiteral
	case op < opCopy:
		d.need, d.state = 1<<(op-opLiteral), inArguments
	case op <= opMaxCopy:
		pos, length := copyWidths(op)
		d.need, d.state = pos+length, inArguments
	default:
		d.corrupt("reserved opcode %#x", op)
	}
}

// copyWidths are the bytes that position and length take.
func copyWidths(op byte) (pos, length int) {
	k := op - opCopy
	return 1 << (k / 4), 1 << (k % 4)
}

// finishArguments acts on a command whose arguments end last bytes ahead of off.
func (d *OpDecoder) finishArguments(last int64, emit func(Op, []byte) error) {
	split := 0
	if d.opcode >= opCopy {
		split, _ = copyWidths(d.opcode)
	}
	pos, length := bigEndian(d.head[:split]), bigEndian(d.head[split:d.need])
	if d.opcode < opCopy {
		pos = d.off + last
	}
	switch {
	case length <= 0 || pos < 0:
		d.corrupt("position %d, length %d", uint64(pos), uint64(length))
	case pos > math.MaxInt64-length:
		d.corrupt("position %d plus length %d overflows", pos, length)
	case d.opcode < opCopy:
		d.literal, d.state = length, inLiteral
	default:
		d.err = emit(Op{Copy: true, Pos: pos, Len: length}, nil)
		d.state = atOpcode
	}
}

func bigEndian(p []byte) int64 {
	var v int64
	for _, b := range p {
		v = v<<8 | int64(b)
	}
	return v
}

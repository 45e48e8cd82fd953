package librsync

import (
	"bufio"
	"io"
	"math/bits"
)

const (
	deltaMagic = 0x72730236

	opEnd          = 0x00
	opMaxShort     = 0x40 // literals up to this length are their own opcode
	opLiteral      = 0x41
	opCopy         = 0x45
	opMaxCopy      = 0x54
	maxLiteral     = 32 << 10 // of one op; librsync writes no longer ones
	opBufferLength = 8 << 10
)

// Op is one command of a delta: Len bytes, at least 1, of the new file.
type Op struct {
	Copy bool  // from the basis; else a literal
	Pos  int64 // copy: in the basis; literal: of its bytes in the delta stream
	Len  int64 // in bytes; Pos+Len does not overflow
}

// opWriter encodes ops, each in as few bytes as it can have, and joins copies that
// follow one another in the basis. Errors stick in the bufio.Writer.
type opWriter struct {
	w       *bufio.Writer
	pos     int64 // of the copy not yet written
	pending int64 // its length, 0 if there is none
}

func (o *opWriter) reset(w io.Writer) {
	if o.w == nil {
		o.w = bufio.NewWriterSize(w, opBufferLength)
	} else {
		o.w.Reset(w)
	}
	o.pending = 0
	o.putInt(deltaMagic, 2)
}

func (o *opWriter) copy(pos, length int64) {
	if o.pending > 0 && o.pos+o.pending == pos {
		o.pending += length
		return
	}
	o.flushCopy()
	o.pos, o.pending = pos, length
}

func (o *opWriter) flushCopy() {
	if o.pending == 0 {
		return
	}
	wpos, wlen := widthLog(o.pos), widthLog(o.pending)
	o.putByte(byte(opCopy + 4*wpos + wlen))
	o.putInt(o.pos, wpos)
	o.putInt(o.pending, wlen)
	o.pending = 0
}

// literal writes p in ops of at most maxLiteral bytes.
func (o *opWriter) literal(p []byte) {
	if len(p) > 0 {
		o.flushCopy()
	}
	for len(p) > 0 {
		n := min(len(p), maxLiteral)
		if n <= opMaxShort {
			o.putByte(byte(n))
		} else {
			w := widthLog(int64(n))
			o.putByte(byte(opLiteral + w))
			o.putInt(int64(n), w)
		}
		o.put(p[:n])
		p = p[n:]
	}
}

func (o *opWriter) end() error {
	o.flushCopy()
	o.putByte(opEnd)
	return o.w.Flush()
}

// err is the error of the writer beneath, if it had one.
func (o *opWriter) err() error {
	_, err := o.w.Write(nil)
	return err
}

// The put methods leave errors to err and end: a bufio.Writer keeps its first one.

func (o *opWriter) put(p []byte) { _, _ = o.w.Write(p) }

func (o *opWriter) putByte(b byte) { _ = o.w.WriteByte(b) }

// putInt writes v, big-endian, in 1<<width bytes.
func (o *opWriter) putInt(v int64, width int) {
	for shift := 8<<width - 8; shift >= 0; shift -= 8 {
		o.putByte(byte(v >> shift))
	}
}

// widthLog is the binary logarithm of how many bytes, 1, 2, 4 or 8, v needs.
func widthLog(v int64) int {
	n := max(1, (bits.Len64(uint64(v))+7)/8)
	return bits.Len(uint(n - 1))
}

package toc

import (
	"encoding/binary"
	"errors"
	"math"
)

// zigzag folds a signed number so that small ones of either sign are small.
func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

var (
	errShort     = errors.New("record is too short for what it says")
	errNumber    = errors.New("number out of range")
	errCanonical = errors.New("not written the one way that it can be")
)

// fields takes the payload of a record apart; its error sticks. Whatever can be said
// is said in one way only, so a number with more bytes than it needs is an error.
type fields struct {
	b   []byte
	err error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
	f.b = nil
}

func (f *fields) uvarint() uint64 {
	if len(f.b) > 0 && f.b[0] < 0x80 {
		v := uint64(f.b[0])
		f.b = f.b[1:]
		return v
	}
	return f.longUvarint()
}

func (f *fields) longUvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	switch {
	case n == 0:
		f.fail(errShort)
		return 0
	case n < 0:
		f.fail(errNumber)
		return 0
	case n > 1 && f.b[n-1] == 0:
		f.fail(errCanonical)
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) varint() int64 { return unzigzag(f.uvarint()) }

// number is a number from 0 to limit, which is not negative.
func (f *fields) number(limit int64) int64 {
	v := f.uvarint()
	if v > uint64(limit) {
		f.fail(errNumber)
		return 0
	}
	return int64(v)
}

// size is a number of bytes or an offset.
func (f *fields) size() int64 { return f.number(math.MaxInt64) }

// count is how many things follow that take at least one byte each.
func (f *fields) count(limit int) int {
	n := f.number(int64(limit))
	if n > int64(len(f.b)) {
		f.fail(errShort)
		return 0
	}
	return int(n)
}

// bytes are the next n, not copied.
func (f *fields) bytes(n int) []byte {
	if n > len(f.b) {
		f.fail(errShort)
		return nil
	}
	p := f.b[:n:n]
	f.b = f.b[n:]
	return p
}

// text is a length of at most limit and that many bytes, not copied.
func (f *fields) text(limit int) []byte { return f.bytes(f.count(limit)) }

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errRecord says that bytes of the index cannot have been written by it.
var errRecord = errors.New("malformed record")

// decoder takes a record apart. After an error it yields zeros; the error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errRecord, what)
	}
	d.b = nil
}

func (d *decoder) uint(what string, limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int(what string) int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes yields the next n bytes, which share the record's memory.
func (d *decoder) bytes(what string, n int) []byte {
	if n > len(d.b) {
		d.fail(what)
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

// text yields bytes behind their length, at most limit of them.
func (d *decoder) text(what string, limit uint64) []byte {
	return d.bytes(what, int(d.uint(what, limit)))
}

// end reports the first error, or that something is left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail(fmt.Sprintf("%d bytes too many", len(d.b)))
	}
	return d.err
}

func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

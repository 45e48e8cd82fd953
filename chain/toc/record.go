package toc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/blake3"
)

// The tags of records.
const (
	tagHeader     = 'h'
	tagVolume     = 'v'
	tagSignatures = 's'
	tagEntry      = 'e'
	tagTrailer    = 'z'
)

// magic is how a toc begins.
const magic = "hindsight-toc\n"

const digestSize = 32

const bufferSize = 64 << 10

// recordWriter writes records, and sums up what it wrote if it has a hash. Errors of
// the destination stick.
type recordWriter struct {
	dst  io.Writer
	hash *blake3.Hasher
	buf  []byte
	err  error
}

func (w *recordWriter) record(tag byte, payload []byte) error {
	if w.err == nil && len(payload) > MaxRecord {
		w.err = fmt.Errorf("write portable index: record of %d bytes, more than %d", len(payload), MaxRecord)
	}
	if w.err != nil {
		return w.err
	}
	w.buf = append(w.buf, tag)
	w.buf = binary.AppendUvarint(w.buf, uint64(len(payload)))
	return w.write(payload)
}

func (w *recordWriter) write(p []byte) error {
	if len(w.buf)+len(p) > bufferSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(p) > bufferSize {
		return w.put(p)
	}
	w.buf = append(w.buf, p...)
	return w.err
}

func (w *recordWriter) flush() error {
	err := w.put(w.buf)
	w.buf = w.buf[:0]
	return err
}

// put hands p to the destination.
func (w *recordWriter) put(p []byte) error {
	if w.err == nil && len(p) > 0 {
		if w.hash != nil {
			w.hash.Write(p)
		}
		_, w.err = w.dst.Write(p)
	}
	return w.err
}

// trailer writes the last record: its payload gets the digest behind it.
func (w *recordWriter) trailer(payload []byte) error {
	w.buf = append(w.buf, tagTrailer)
	w.buf = binary.AppendUvarint(w.buf, uint64(len(payload)+digestSize))
	w.buf = append(w.buf, payload...)
	if err := w.flush(); err != nil {
		return err
	}
	w.buf = w.hash.Sum(w.buf)
	return w.flush()
}

// recordReader reads records. Memory grows with what really comes, not with what
// lengths claim.
type recordReader struct {
	src    io.Reader
	srcErr error
	hash   *blake3.Hasher
	buf    []byte
	lo, hi int   // buf[lo:hi] is read but not consumed
	hashed int   // buf[:hashed] is in the hash; at most lo
	pos    int64 // offset of buf[lo]
	start  int64 // offset of the record read last

	skipped bool // something that this version does not know
}

// preamble reads what comes before the first record.
func (r *recordReader) preamble() error {
	if err := r.fill(len(magic) + 1); err != nil && err != io.EOF {
		return r.cut(err)
	}
	have := r.buf[r.lo:r.hi]
	n := min(len(have), len(magic))
	switch {
	case string(have[:n]) != magic[:n]:
		return fmt.Errorf("%w: it does not begin like one", ErrFormat)
	case len(have) <= len(magic):
		return r.cut(io.EOF)
	case have[len(magic)] == 0:
		return fmt.Errorf("%w: version 0", ErrFormat)
	case have[len(magic)] > Version:
		return ErrVersion
	}
	r.consume(len(magic) + 1)
	return nil
}

// next returns the next record. Its payload is valid until the next call. The error is
// io.EOF where the source ends between records, io.ErrUnexpectedEOF where it ends
// within one.
func (r *recordReader) next() (tag byte, payload []byte, err error) {
	r.start = r.pos
	if err := r.fill(1); err == io.EOF {
		return 0, nil, io.EOF
	} else if err != nil {
		return 0, nil, r.cut(err)
	}
	n, head, err := r.head()
	if err != nil {
		return 0, nil, err
	}
	if err := r.fill(head + n); err != nil {
		return 0, nil, r.cut(err)
	}
	record := r.buf[r.lo : r.lo+head+n]
	r.consume(head + n)
	return record[0], record[head:], nil
}

// entry decodes the record read last.
func (r *recordReader) entry(d *decoder, payload []byte, e *Entry) error {
	rest, err := d.decode(payload, e)
	if err != nil {
		return r.malformed(err)
	}
	r.skipped = r.skipped || rest > 0
	return nil
}

// head returns the lengths of the next record's payload, and of the tag and length
// before it.
func (r *recordReader) head() (payload, head int, err error) {
	for head = 2; ; head++ {
		if err := r.fill(head); err != nil {
			return 0, 0, r.cut(err)
		}
		if r.buf[r.lo+head-1] < 0x80 || head > binary.MaxVarintLen32 {
			break
		}
	}
	f := fields{b: r.buf[r.lo+1 : r.lo+head]}
	n := f.number(MaxRecord)
	if f.err != nil {
		return 0, 0, r.malformed(fmt.Errorf("length of a record: %w", f.err))
	}
	return int(n), head, nil
}

func (r *recordReader) consume(n int) {
	r.lo += n
	r.pos += int64(n)
}

// fill sees to it that at least n bytes are buffered.
func (r *recordReader) fill(n int) error {
	for r.hi-r.lo < n {
		if r.srcErr != nil {
			return r.srcErr
		}
		r.compact()
		if err := r.read(); err != nil {
			return err
		}
	}
	return nil
}

// compact makes room behind buf[hi].
func (r *recordReader) compact() {
	r.sum(r.lo)
	r.hi = copy(r.buf, r.buf[r.lo:r.hi])
	r.lo, r.hashed = 0, 0
	if r.hi == len(r.buf) {
		grown := make([]byte, min(max(bufferSize, 2*len(r.buf)), MaxRecord+bufferSize))
		copy(grown, r.buf)
		r.buf = grown
	}
}

// sum takes buf up to end into the hash.
func (r *recordReader) sum(end int) {
	if r.hash != nil {
		r.hash.Write(r.buf[r.hashed:end])
	}
	r.hashed = end
}

func (r *recordReader) read() error {
	for range 100 {
		n, err := r.src.Read(r.buf[r.hi:])
		r.hi += n
		r.srcErr = err
		if n > 0 || err != nil {
			return nil
		}
	}
	return io.ErrNoProgress
}

// digest is that of all up to the digest with which the record read last ends.
func (r *recordReader) digest() (d [digestSize]byte) {
	r.sum(r.lo - digestSize)
	r.hash.Sum(d[:0])
	return d
}

// end returns io.EOF if there is nothing more.
func (r *recordReader) end() error {
	r.start = r.pos
	switch err := r.fill(1); err {
	case nil:
		return r.malformed(errors.New("more behind the end"))
	case io.EOF:
		return io.EOF
	default:
		return r.cut(err)
	}
}

// cut is an error of the source within a record.
func (r *recordReader) cut(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("portable index, record at offset %d: %w", r.start, err)
}

// malformed is an ErrFormat that says where; causes keep their own identity.
func (r *recordReader) malformed(err error) error {
	return fmt.Errorf("%w: record at offset %d: %w", ErrFormat, r.start, err)
}

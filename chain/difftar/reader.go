package difftar

import (
	"errors"
	"fmt"
	"io"
)

const blockSize = 512

const (
	// MaxPath is the longest path, or target of a symlink, in bytes.
	MaxPath = 64 << 10
	// MaxSize is the largest size of an entry in bytes: 1 PiB.
	MaxSize = 1 << 50
	// maxExtended bounds the bytes of all the extended headers of one entry.
	maxExtended = 1 << 20

	readerBuffer = 128 << 10
	smallBuffer  = 8 << 10
)

// ErrFormat is the error, by errors.Is, of an archive that breaks the format or
// holds a name that must not be used.
var ErrFormat = errors.New("malformed archive")

// Reader takes an archive apart, entry by entry. An archive that is cut short gives
// io.ErrUnexpectedEOF, one that makes no sense ErrFormat; other errors are those of
// the source. Errors stick.
type Reader struct {
	src    io.Reader
	srcErr error
	buf    []byte
	lo, hi int   // buf[lo:hi] is read but not consumed
	pos    int64 // offset in the archive of buf[lo]

	entry   Entry
	left    int64 // of the entry's data
	padding int64 // behind the entry's data
	err     error // sticks

	header   header
	extended extended
	names    interner
}

// NewReader returns a Reader of the archive that src yields.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, readerBuffer)}
}

// NewSmallReader returns a Reader with a small buffer, for where many are open at once.
func NewSmallReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, smallBuffer)}
}

// Offset is the position in the archive of the next byte to be consumed.
func (r *Reader) Offset() int64 { return r.pos }

// Next goes to the next entry, which stays valid until the call after. It returns
// io.EOF at the first zero block or where the source ends between entries: what
// follows a zero block is not part of the archive (duplicity-format.md §3.1).
func (r *Reader) Next() (*Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.next(); err != nil {
		r.err = err
		return nil, err
	}
	return &r.entry, nil
}

func (r *Reader) next() error {
	if err := r.discard(r.left + r.padding); err != nil {
		return err
	}
	r.left, r.padding = 0, 0
	r.extended.reset()
	start := r.pos
	for {
		block, err := r.take(blockSize)
		if err == io.EOF && !r.extended.any {
			return io.EOF
		}
		if err != nil {
			return noEOF(err)
		}
		if block[0] == 0 && isZero(block) {
			if r.extended.any {
				return malformed(start, errors.New("extended header without an entry"))
			}
			return io.EOF
		}
		if err := r.header.parse(block); err != nil {
			return malformed(start, err)
		}
		if !r.header.isExtension() {
			return r.begin(start)
		}
		if err := r.extend(start); err != nil {
			return err
		}
	}
}

// extend takes in the extension header that r.header is.
func (r *Reader) extend(start int64) error {
	size, typeflag := r.header.size, r.header.typeflag
	held := len(r.extended.data)
	if size < 0 || size > int64(maxExtended-held) {
		return malformed(start, fmt.Errorf("extended headers of more than %d bytes", maxExtended))
	}
	if typeflag == 'g' { // of the archive as a whole: nothing in it concerns us
		return r.discard(size + pad(size))
	}
	// Memory grows with what really comes, not with what the header claims.
	for end := held + int(size); len(r.extended.data) < end; {
		if r.lo == r.hi {
			if err := r.fill(); err != nil {
				return noEOF(err)
			}
		}
		n := min(end-len(r.extended.data), r.hi-r.lo)
		r.extended.data = append(r.extended.data, r.buf[r.lo:r.lo+n]...)
		r.consume(n)
	}
	if err := r.discard(pad(size)); err != nil {
		return err
	}
	if err := r.extended.add(typeflag, r.extended.data[held:]); err != nil {
		return malformed(start, err)
	}
	return nil
}

// begin makes r.entry from r.header and the extensions before it.
func (r *Reader) begin(start int64) error {
	if err := r.header.apply(&r.extended); err != nil {
		return malformed(start, err)
	}
	e, err := r.header.entry(&r.names)
	if err != nil {
		return malformed(start, err)
	}
	e.Offset = r.pos
	r.entry, r.left, r.padding = e, e.Size, pad(e.Size)
	return nil
}

// Chunk returns the next bytes of the entry's data, between 1 and limit of them,
// without copying: they stay valid until the next call of any method. limit must be
// at least 1. It returns
// io.EOF at the end of the data.
func (r *Reader) Chunk(limit int) ([]byte, error) {
	if r.err != nil && r.err != io.EOF {
		return nil, r.err
	}
	if r.left == 0 {
		return nil, io.EOF
	}
	if r.lo == r.hi {
		if err := r.fill(); err != nil {
			r.err = noEOF(err)
			return nil, r.err
		}
	}
	n := int(min(int64(r.hi-r.lo), r.left, int64(limit)))
	p := r.buf[r.lo : r.lo+n]
	r.consume(n)
	r.left -= int64(n)
	return p, nil
}

// Read reads the entry's data.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := r.Chunk(len(p))
	return copy(p, c), err
}

// take returns the next n bytes, n at most the buffer's size, valid until more is
// read. io.EOF means that there is nothing at all.
func (r *Reader) take(n int) ([]byte, error) {
	for r.hi-r.lo < n {
		if err := r.fill(); err != nil {
			if err == io.EOF && r.hi > r.lo {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	p := r.buf[r.lo : r.lo+n]
	r.consume(n)
	return p, nil
}

func (r *Reader) consume(n int) {
	r.lo += n
	r.pos += int64(n)
}

func (r *Reader) discard(n int64) error {
	for n > 0 {
		if r.lo == r.hi {
			if err := r.fill(); err != nil {
				return noEOF(err)
			}
		}
		k := int(min(n, int64(r.hi-r.lo)))
		r.consume(k)
		n -= int64(k)
	}
	return nil
}

// fill reads at least one more byte behind buf[lo:hi].
func (r *Reader) fill() error {
	if r.srcErr != nil {
		return r.srcErr
	}
	r.lo, r.hi = 0, copy(r.buf, r.buf[r.lo:r.hi]) // less than a block, if anything
	for range 100 {
		n, err := r.src.Read(r.buf[r.hi:])
		r.hi += n
		r.srcErr = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// malformed is an ErrFormat that says where; causes keep their own identity.
func malformed(offset int64, err error) error {
	return fmt.Errorf("%w: tar offset %d: %w", ErrFormat, offset, err)
}

// noEOF is for places where the archive must not end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// pad is the number of bytes that fill n up to a whole block.
func pad(n int64) int64 { return -n & (blockSize - 1) }

func isZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// interner keeps one string for each of the few user and group names that every
// entry of an archive repeats.
type interner struct{ last [8]string }

func (in *interner) intern(s []byte) string {
	if len(s) == 0 {
		return ""
	}
	slot := &in.last[(len(s)+int(s[0])*3+int(s[len(s)-1]))%len(in.last)]
	if *slot != string(s) {
		*slot = string(s)
	}
	return *slot
}

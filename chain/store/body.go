package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
)

// PartSize is the length in bytes of every part of a body but the last, which may
// be shorter: some servers demand equal parts. PartSizeOf has the exceptions.
const PartSize = 16 << 20

// Part is a piece of a body, held in memory so that it can be sent again.
type Part struct {
	Data    []byte // 1 to PartSize bytes; not changed by anyone until Release
	release func()
}

// NewPart returns a part whose Release calls release, which may be nil and may be
// called from any goroutine.
func NewPart(data []byte, release func()) Part {
	return Part{Data: data, release: release}
}

// Release gives the part's memory back to its maker. Put calls it once, when the
// part is stored or the put has failed; Data must not be used after.
func (p Part) Release() {
	if p.release != nil {
		p.release()
	}
}

// Body is the content of one Put. It is used up by it.
type Body interface {
	// Next returns the next part, and io.EOF after the last. An object of zero bytes
	// has no parts. Any other error makes the Put fail with it and leave nothing. The
	// part belongs to the caller, which must Release it.
	Next(ctx context.Context) (Part, error)
}

// Bytes returns a body of the bytes b, which must not be changed until Put has
// returned.
func Bytes(b []byte) Body { return &bytesBody{rest: b} }

type bytesBody struct{ rest []byte }

func (b *bytesBody) Next(context.Context) (Part, error) {
	if len(b.rest) == 0 {
		return Part{}, io.EOF
	}
	n := min(len(b.rest), PartSize)
	p := Part{Data: b.rest[:n:n]}
	b.rest = b.rest[n:]
	return p, nil
}

// firstRead is how much of a reader is read before a whole part's memory is taken:
// most objects that are not volumes are smaller.
const firstRead = 64 << 10

// partPool keeps the buffers of bodies made by FromReader.
var partPool = sync.Pool{New: func() any { return new([PartSize]byte) }}

// FromReader returns a body of all that r gives. It holds one part at a time, in
// memory that is used again once the part is released. An error of r other than
// io.EOF, io.ErrUnexpectedEOF among them, is the body's error.
func FromReader(r io.Reader) Body { return &readerBody{r: r} }

type readerBody struct {
	r     io.Reader
	begun bool
	err   error // sticks
}

func (b *readerBody) Next(ctx context.Context) (Part, error) {
	if b.err != nil {
		return Part{}, b.err
	}
	if err := ctx.Err(); err != nil {
		return Part{}, err
	}
	var first []byte
	if !b.begun {
		b.begun = true
		first = make([]byte, firstRead)
		n, err := readFull(b.r, first)
		if first = first[:n]; err != nil {
			return b.last(Part{Data: first}, err)
		}
	}
	buf := partPool.Get().(*[PartSize]byte)
	p := NewPart(buf[:], sync.OnceFunc(func() { partPool.Put(buf) }))
	n := copy(buf[:], first)
	m, err := readFull(b.r, buf[n:])
	if err != nil {
		p.Data = buf[:n+m]
		return b.last(p, err)
	}
	return p, nil
}

// last returns the part at which the reader ended with err.
func (b *readerBody) last(p Part, err error) (Part, error) {
	b.err = err
	if err == io.EOF && len(p.Data) > 0 {
		return p, nil
	}
	p.Release()
	return Part{}, err
}

// readFull fills p, or returns the error that kept it from that. Unlike io.ReadFull
// it leaves io.ErrUnexpectedEOF to the reader, so that a source that broke off is not
// taken for one that has ended.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for idle := 0; n < len(p) && err == nil; idle++ {
		var m int
		m, err = r.Read(p[n:])
		if m > 0 {
			idle = 0
		}
		if idle > 100 {
			err = io.ErrNoProgress
		}
		n += m
	}
	return n, err
}

// EachPart calls fn with every part of body in order and releases the part when fn
// has returned. It stops at the first error, its own being that of a done context or
// of a part that is empty, longer than PartSize or the first, or follows a shorter one.
// It serves stores that write parts one after the other.
func EachPart(ctx context.Context, body Body, fn func(data []byte) error) error {
	size := 0 // of the first
	for short := false; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := body.Next(ctx)
		if err == io.EOF {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		n := len(p.Data)
		if size == 0 {
			size = min(n, PartSize)
		}
		if n == 0 || n > size || short {
			p.Release()
			return fmt.Errorf("part of %d bytes, want %d, or 1 to that for the last", n, size)
		}
		short = n < size
		err = fn(p.Data)
		p.Release()
		if err != nil {
			return err
		}
	}
}

// ReadAll returns the whole object, or an error that wraps ErrTooLarge if it has
// more than limit bytes. It takes memory for what is there, not for limit.
func ReadAll(ctx context.Context, s Store, name string, limit int64) ([]byte, error) {
	limit = max(0, min(limit, math.MaxInt64-1))
	// One byte more than allowed tells that there is more.
	rc, err := s.Get(ctx, name, 0, limit+1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(rc, limit+1))
	if err = errors.Join(err, rc.Close()); err != nil {
		return nil, &Error{Op: "get", Name: name, Err: err}
	}
	if int64(len(b)) > limit {
		return nil, &Error{Op: "get", Name: name, Kind: ErrTooLarge, Err: fmt.Errorf("more than %d bytes", limit)}
	}
	return b, nil
}

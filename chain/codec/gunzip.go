package codec

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"hindsight/chain/inflate"
)

var inflaters = sync.Pool{New: func() any { return new(inflate.Reader) }}

// gunzip reads the members of a gzip file one after the other.
type gunzip struct {
	stored counter
	src    *bufio.Reader // of stored
	z      *inflate.Reader
	gather *gatherer // nil: nobody wants a table
	small  bool      // src and z are its own
	member bool      // inside one
	begun  bool      // at least one was read
	crc    uint32
	inner  int64 // plain bytes of the member
}

func newGunzip(r io.Reader, gather *gatherer) *gunzip {
	g := &gunzip{stored: counter{r: r}, src: sources.Get().(*bufio.Reader), z: inflaters.Get().(*inflate.Reader), gather: gather}
	g.src.Reset(&g.stored)
	if gather != nil {
		g.z.OnBlock = func(c inflate.Checkpoint, _ bool) { gather.onBlock(g.z, c) }
	}
	return g
}

// smallSource is how much of the store a small gunzip reads at once.
const smallSource = 16 << 10

// newSmallGunzip takes no buffers of the pools, which are large.
func newSmallGunzip(r io.Reader) *gunzip {
	g := &gunzip{stored: counter{r: r}, z: &inflate.Reader{Small: true}, small: true}
	g.src = bufio.NewReaderSize(&g.stored, smallSource)
	return g
}

// offset is that of the next byte of src.
func (g *gunzip) offset() int64 { return g.stored.n - int64(g.src.Buffered()) }

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (g *gunzip) Read(p []byte) (int, error) {
	for {
		if !g.member {
			if err := g.next(); err != nil {
				return 0, err
			}
		}
		n, err := g.z.Read(p)
		g.crc = crc32.Update(g.crc, crc32.IEEETable, p[:n])
		if g.gather != nil {
			g.gather.inflated(p[:n], g.inner, 0)
		}
		g.inner += int64(n)
		if err == io.EOF {
			g.member = false
			if g.gather != nil {
				g.gather.endStream()
			}
			err = g.check()
		} else if err != nil {
			err = inflateError(err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// next goes to the next member; io.EOF if there is none.
func (g *gunzip) next() error {
	if g.begun {
		if err := g.skipPadding(); err != nil {
			return err
		}
	}
	if err := readHeader(g.src); err != nil {
		return fmt.Errorf("gzip header: %w", err)
	}
	g.member, g.begun = true, true
	g.crc, g.inner = 0, 0
	g.z.Reset(g.src)
	if g.gather != nil {
		g.gather.begin(g.offset())
	}
	return nil
}

// skipPadding passes over zeros between and after members, as Python and gzip do.
func (g *gunzip) skipPadding() error {
	for {
		c, err := g.src.ReadByte()
		if err != nil {
			return err
		}
		if c != 0 {
			return g.src.UnreadByte()
		}
	}
}

// check compares the trailer of the member with what was read.
func (g *gunzip) check() error {
	var t [trailerLen]byte
	if _, err := io.ReadFull(g.src, t[:]); err != nil {
		return fmt.Errorf("gzip trailer: %w", noEOF(err))
	}
	if binary.LittleEndian.Uint32(t[:]) != g.crc || binary.LittleEndian.Uint32(t[4:]) != uint32(g.inner) {
		return fmt.Errorf("gzip: %w: checksum does not match", ErrCorrupt)
	}
	return nil
}

func (g *gunzip) finish() error { return drain(g.src) }

func (g *gunzip) table() *Table { return g.gather.table(true, nil) }

func (g *gunzip) release() {
	if g.small {
		return
	}
	g.src.Reset(nil)
	g.z.OnBlock = nil
	sources.Put(g.src)
	inflaters.Put(g.z)
	g.src, g.z = nil, nil
}

// inflateError tells bad data from a bad source.
func inflateError(err error) error {
	var corrupt *inflate.CorruptError
	if errors.As(err, &corrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err == io.ErrUnexpectedEOF {
		return fmt.Errorf("inflate: %w", err)
	}
	return err
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

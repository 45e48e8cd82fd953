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
	src    *bufio.Reader
	z      *inflate.Reader
	member bool // inside one
	begun  bool // at least one was read
	crc    uint32
	length uint32 // plain bytes of the member, modulo 2^32
}

func newGunzip(r io.Reader) *gunzip {
	src := sources.Get().(*bufio.Reader)
	src.Reset(r)
	return &gunzip{src: src, z: inflaters.Get().(*inflate.Reader)}
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
		g.length += uint32(n)
		if err == io.EOF {
			g.member = false
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
	g.crc, g.length = 0, 0
	g.z.Reset(g.src)
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
	if binary.LittleEndian.Uint32(t[:]) != g.crc || binary.LittleEndian.Uint32(t[4:]) != g.length {
		return fmt.Errorf("gzip: %w: checksum does not match", ErrCorrupt)
	}
	return nil
}

func (g *gunzip) finish() error { return drain(g.src) }

func (g *gunzip) release() {
	g.src.Reset(nil)
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

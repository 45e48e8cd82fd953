package pgp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

const (
	tagCompressed = 8
	tagSED        = 9
	tagMarker     = 10
	tagAEAD       = 20
	tagPadding    = 21
)

var errNoPacket = errors.New("not an OpenPGP packet")

// header is a packet header, old or new format (RFC 4880 §4.2).
type header struct {
	tag           int
	length        int64  // bytes of the body, or of its first chunk
	partial       bool   // chunks follow
	indeterminate bool   // the body goes on to the end of what holds the packet
	octets        string // of a new-format length, as they are
}

// readHeader reads a header. The error is io.EOF only where nothing follows.
func readHeader(r io.ByteReader) (header, error) {
	first, err := r.ReadByte()
	if err != nil {
		return header{}, err
	}
	if first&0x80 == 0 {
		return header{}, errNoPacket
	}
	if first&0x40 != 0 {
		h := header{tag: int(first & 0x3F)}
		err = h.readLength(r)
		return h, err
	}
	h := header{tag: int(first >> 2 & 0x0F)}
	if first&3 == 3 {
		h.indeterminate = true
		return h, nil
	}
	h.length, err = readUint(r, 1<<(first&3))
	return h, err
}

// readLength reads a new-format length, that of the packet or of its next chunk.
func (h *header) readLength(r io.ByteReader) error {
	var octets [5]byte
	for i := range octets {
		next, err := r.ReadByte()
		if err != nil {
			return noEOF(err)
		}
		octets[i] = next
		if n, used, partial := parseLength(octets[:i+1]); used > 0 {
			h.length, h.partial, h.octets = n, partial, string(octets[:used])
			return nil
		}
	}
	panic("pgp: length of more than five octets")
}

// readUint reads a big-endian number of n octets.
func readUint(r io.ByteReader, n int) (int64, error) {
	var v int64
	for range n {
		b, err := r.ReadByte()
		if err != nil {
			return 0, noEOF(err)
		}
		v = v<<8 | int64(b)
	}
	return v, nil
}

// noEOF makes an end inside of something unexpected.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// body reads a packet's body: io.EOF at its end, io.ErrUnexpectedEOF if it is cut short.
type body struct {
	r    *bufio.Reader
	h    header // what is left: length, and the kind of what follows
	runs *runs  // takes in all chunks; nil: nothing does
}

func newBody(r *bufio.Reader, h header) *body { return &body{r: r, h: h} }

// record makes runs take in all chunks of a body that was not read yet.
func (b *body) record() {
	b.runs = new(runs)
	b.runs.add(b.h.octets)
}

func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.h.indeterminate {
		return b.r.Read(p)
	}
	for b.h.length == 0 {
		if !b.h.partial {
			return 0, io.EOF
		}
		if err := b.h.readLength(b.r); err != nil {
			return 0, err
		}
		if b.runs != nil {
			b.runs.add(b.h.octets)
		}
	}
	if int64(len(p)) > b.h.length {
		p = p[:b.h.length]
	}
	n, err := b.r.Read(p)
	b.h.length -= int64(n)
	return n, noEOF(err)
}

// readSmall reads the whole body of a packet that has a definite length of at most limit.
func readSmall(r *bufio.Reader, h header, limit int64) ([]byte, error) {
	if h.partial || h.indeterminate || h.length > limit {
		return nil, fmt.Errorf("packet with tag %d is too long", h.tag)
	}
	p := make([]byte, h.length)
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, noEOF(err)
	}
	return p, nil
}

// appendPacket appends a packet with a definite length.
func appendPacket(b []byte, tag int, body []byte) []byte {
	b = append(b, 0xC0|byte(tag))
	return append(appendLength(b, len(body)), body...)
}

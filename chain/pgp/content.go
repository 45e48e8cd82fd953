package pgp

import (
	"bufio"
	"compress/bzip2"
	"fmt"
	"io"

	"hindsight/chain/inflate"
)

// Bounds on the packets within the encrypted data.
const (
	maxNesting   = 4  // compressed packets in one another; gpg writes one
	maxOnePass   = 8  // signatures of one message
	maxPackets   = 64 // before the literal
	maxSignature = 16 << 10
)

// Compression algorithms, RFC 4880 §9.3.
const (
	compressNone  = 0
	compressZIP   = 1
	compressZLIB  = 2
	compressBZip2 = 3
)

// content is the decrypted side: packets down to the literal data.
type content struct {
	inner   *bufio.Reader // what holds the literal packet
	literal *body
	onePass []*signature // outermost first
	trace   trace
	onBlock func(*inflate.Reader, inflate.Checkpoint)
}

// openContent reads the packets before the literal's data. One-pass signatures are
// noted if they are to be checked.
func openContent(plain io.Reader, opt ReaderOptions) (*content, error) {
	signed := opt.SignKey != ""
	c := &content{onBlock: opt.OnBlock}
	c.trace.outer.r = plain
	c.inner = bufio.NewReaderSize(&c.trace.outer, bufferSize)
	nesting := 0
	for range maxPackets {
		h, err := readHeader(c.inner)
		if err != nil {
			return nil, noEOF(err)
		}
		switch h.tag {
		case tagLiteral:
			c.literal = newBody(c.inner, h)
			return c, skipLiteralHeader(c.literal)
		case tagCompressed:
			if nesting++; nesting > maxNesting {
				return nil, fmt.Errorf("compressed data nested more than %d deep", maxNesting)
			}
			err = c.decompress(h)
		case tagOnePass:
			err = c.addOnePass(h, signed)
		case tagMarker, tagPadding, tagSignature:
			_, err = readSmall(c.inner, h, maxSignature)
		default:
			err = fmt.Errorf("unexpected packet with tag %d", h.tag)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no literal data among %d packets", maxPackets)
}

// decompress goes into a compressed packet.
func (c *content) decompress(h header) error {
	in := c.inner
	if !h.indeterminate || c.trace.z != nil {
		c.trace.lost = true
	}
	if !h.indeterminate {
		in = bufio.NewReaderSize(newBody(c.inner, h), bufferSize)
	}
	algo, err := in.ReadByte()
	if err != nil {
		return noEOF(err)
	}
	switch algo {
	case compressNone:
		c.inner = in
		return nil
	case compressZIP:
		z := inflate.NewReader(in)
		c.inflated(in, z, z)
	case compressZLIB:
		z, err := newZlibReader(in)
		if err != nil {
			return err
		}
		c.inflated(in, z.z, z)
	case compressBZip2:
		c.trace.lost = true
		c.inner = bufio.NewReaderSize(bzip2.NewReader(in), bufferSize)
	default:
		return fmt.Errorf("%w: compression algorithm %d", ErrUnsupported, algo)
	}
	return nil
}

// inflated goes into a deflate stream that begins at in, which z reads and r checks.
func (c *content) inflated(in *bufio.Reader, z *inflate.Reader, r io.Reader) {
	c.trace.stream = c.trace.outer.n - int64(in.Buffered())
	c.trace.z = z
	if c.onBlock != nil && !c.trace.lost {
		z.OnBlock = func(p inflate.Checkpoint, _ bool) { c.onBlock(z, p) }
	}
	c.trace.inner = counter{r: r} // lost, if it is the second
	c.inner = bufio.NewReaderSize(&c.trace.inner, bufferSize)
}

// addOnePass takes in a one-pass signature packet (RFC 4880 §5.4).
func (c *content) addOnePass(h header, signed bool) error {
	p, err := readSmall(c.inner, h, maxSignature)
	if err != nil || !signed {
		return err
	}
	if len(c.onePass) == maxOnePass {
		return fmt.Errorf("more than %d signatures", maxOnePass)
	}
	s, err := parseOnePass(p)
	if err != nil {
		return err
	}
	c.onePass = append(c.onePass, s)
	return nil
}

// skipLiteralHeader reads format, name and date (RFC 4880 §5.9).
func skipLiteralHeader(r io.Reader) error {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return noEOF(err)
	}
	rest := make([]byte, int(head[1])+4)
	if _, err := io.ReadFull(r, rest); err != nil {
		return noEOF(err)
	}
	return nil
}

// Read reads the literal's data and feeds the signatures' hashes.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.literal.Read(p)
	for _, s := range c.onePass {
		if s.hash != nil {
			s.hash.Write(p[:n])
		}
	}
	return n, err
}

package pgp

import (
	"io"

	"hindsight/chain/inflate"
)

// Place says where a byte of the literal lies.
type Place struct {
	// Stream is where the deflate stream begins in the message's content, as a Layout
	// counts; 0 if nothing is compressed.
	Stream int64
	// Inner is the byte's offset in what the stream inflates to, or in the content.
	Inner int64
	// Chunk is how many bytes are left of the literal's chunk, the byte included. 0:
	// the length of the next one precedes the byte.
	Chunk int64
}

// trace is what openContent learns of where things lie.
type trace struct {
	outer  counter         // what is encrypted
	stream int64           // offset in it of the deflate stream
	z      *inflate.Reader // of the stream; nil: there is none
	inner  counter         // what it inflates to, if there is one
	lost   bool            // the literal is wrapped in a way for which there are no places
}

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

// Deflated reports whether the literal is compressed, and whether Place and Layout can
// tell anything: not of a message without MDC, be it old or AEAD, nor of one compressed by bzip2, twice,
// or in a packet that is cut into chunks.
func (r *Reader) Deflated() (deflated, traceable bool) {
	t := &r.content.trace
	return t.z != nil, r.opt.OnBlock != nil && !t.lost && r.sealed.protection() == byMDC
}

// Place is that of the next byte to be read.
func (r *Reader) Place() Place {
	c := r.content
	p := Place{Stream: c.trace.stream, Chunk: c.literal.h.length}
	if c.literal.h.indeterminate {
		p.Chunk = maxBody
	}
	p.Inner = c.trace.outer.n
	if c.trace.z != nil {
		p.Inner = c.trace.inner.n
	}
	p.Inner -= int64(c.inner.Buffered())
	return p
}

// Layout is that of the message, once Read has returned io.EOF. There is none if it is
// not traceable, see Deflated, or of too many different chunks.
func (r *Reader) Layout() (Layout, bool) {
	if _, ok := r.Deflated(); !ok || r.err != io.EOF {
		return Layout{}, false
	}
	l := Layout{Head: r.head, Start: r.Start(), Runs: r.body.runs.end()}
	body := l.Size() - l.Head
	for _, run := range l.Runs {
		body -= int64(len(run.Lengths)) * run.Count
	}
	l.Len = body - l.Start - mdcSize
	return l, l.Check() == nil
}

// ESK is a copy of the packets before the encrypted data, and Prefix of its first
// octets, at most PrefixSize: what [Keyring.SessionKey] needs.
func (r *Reader) ESK() []byte { return append([]byte(nil), r.esk...) }

// Prefix: see ESK. There is none of AEAD encrypted data.
func (r *Reader) Prefix() []byte {
	octets, _ := r.sealed.before()
	return append([]byte(nil), octets...)
}

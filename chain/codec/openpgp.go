package codec

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"hindsight/chain/pgp"
)

// openpgpFormat makes an OpenPGP message whose literal data are the plain bytes.
// Every block is deflated with its literal framing, without history, up to a byte
// boundary; a last deflate block of nothing but the signature packet, or of nothing
// at all, ends the compressed packet.
type openpgpFormat struct {
	level      int
	compressed bool
	w          io.Writer
	session    *pgp.Session
	signer     *pgp.Signer     // nil if the session does not sign
	body       *pgp.BodyWriter // from the first block on
}

func newOpenpgpFormat(ctx context.Context, w io.Writer, f Format, opt WriterOptions) (*openpgpFormat, error) {
	if opt.Session == nil {
		return nil, errors.New("write encrypted object: no session")
	}
	signer, err := opt.Session.NewSigner(ctx)
	if err != nil {
		return nil, err
	}
	return &openpgpFormat{
		level: opt.Level, compressed: f.Compressed, w: w,
		session: opt.Session, signer: signer,
	}, nil
}

func (o *openpgpFormat) encode(e *encoder, out []byte, b *block) ([]byte, error) {
	e.frame.Reset()
	if b.first {
		e.frame.Write(o.signer.OnePass())
		octets, chunk := pgp.LiteralHead(len(b.plain), b.last)
		b.start = &Resume{Skip: int32(e.frame.Len() + octets), Chunk: chunk}
	}
	if err := pgp.WriteLiteral(&e.frame, b.plain, b.first, b.last); err != nil {
		return nil, err
	}
	if !o.compressed {
		return append(out, e.frame.Bytes()...), nil
	}
	return e.compress(o.level, out, e.frame.Bytes(), false)
}

// needs: the last block ends the literal packet even if it is empty.
func (o *openpgpFormat) needs(b *block) bool { return len(b.plain) > 0 || b.last }

func (o *openpgpFormat) seal(b *block) error {
	if o.body == nil {
		body, err := o.session.NewWriter(o.w, pgp.WriterOptions{Compressed: o.compressed})
		if err != nil {
			return err
		}
		o.body = body
	}
	if _, err := o.signer.Write(b.plain); err != nil {
		return err
	}
	_, err := o.body.Write(b.out)
	return err
}

func (o *openpgpFormat) margins() (head, tail int) { return 0, 0 }

func (o *openpgpFormat) finish() error {
	sig, err := o.signer.Finish()
	if err != nil {
		return err
	}
	if o.compressed {
		if sig, err = lastDeflateBlock(sig); err != nil {
			return err
		}
	}
	if _, err := o.body.Write(sig); err != nil {
		return err
	}
	return o.body.Close()
}

func (o *openpgpFormat) abort() error { return o.signer.Close() }

// lastDeflateBlock ends a deflate stream with a stored block (RFC 1951 §3.2.4), or
// with the shortest block there is, of fixed codes.
func lastDeflateBlock(p []byte) ([]byte, error) {
	if len(p) == 0 {
		return []byte{3, 0}, nil
	}
	if len(p) > math.MaxUint16 {
		return nil, fmt.Errorf("signature of %d bytes is too long", len(p))
	}
	out := binary.LittleEndian.AppendUint16([]byte{1}, uint16(len(p)))
	out = binary.LittleEndian.AppendUint16(out, ^uint16(len(p)))
	return append(out, p...), nil
}

// messageOverhead is about what stands around the content: prefix, lengths, MDC.
const messageOverhead = 64

// signatureSize is about that of the two signature packets.
const signatureSize = 600

func (o *openpgpFormat) size(encoded int64) int64 {
	n := encoded + encoded>>16 + int64(len(o.session.ESK())) + messageOverhead
	if o.session.Signed() {
		n += signatureSize
	}
	return n
}

// openpgpLayer reads a message; its compression is its own affair.
type openpgpLayer struct {
	*pgp.Reader
	gather *gatherer // nil: nobody wants a table
}

func newOpenpgpLayer(ctx context.Context, r io.Reader, opt ReaderOptions, raw bool) (*openpgpLayer, error) {
	if opt.Keyring == nil {
		return nil, errors.New("read encrypted object: no keyring")
	}
	l := &openpgpLayer{}
	po := pgp.ReaderOptions{SignKey: opt.SignKey, Raw: raw}
	if opt.Gather && !raw {
		l.gather = newGatherer()
		po.OnBlock = l.gather.onBlock
	}
	var err error
	if l.Reader, err = pgp.NewReader(ctx, r, opt.Keyring, po); err != nil {
		return nil, err
	}
	if l.gather != nil {
		if _, ok := l.Deflated(); ok {
			l.gather.stream = l.Place().Stream // whose first blocks were heard of already
		} else {
			l.gather.lost = true
		}
	}
	return l, nil
}

func (l *openpgpLayer) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.gather == nil {
		return n, err
	}
	deflated, _ := l.Deflated()
	if n > 0 {
		end := l.Place() // of what follows in the same chunk, or would
		if deflated {
			l.gather.inflated(p[:n], end.Inner-int64(n), end.Chunk+int64(n))
		} else {
			l.gather.stored(p[:n], end.Inner-int64(n), end.Chunk+int64(n))
		}
	}
	if err == io.EOF && deflated {
		l.gather.endStream()
	}
	return n, err
}

func (l *openpgpLayer) table() *Table {
	deflated, _ := l.Deflated()
	layout, ok := l.Layout()
	esk := l.ESK()
	if !ok || len(esk) > MaxESK {
		l.gather.lost = true
	}
	return l.gather.table(deflated, &Message{ESK: esk, Prefix: l.Prefix(), Layout: layout})
}

func (l *openpgpLayer) finish() error { return l.Finish() }

func (l *openpgpLayer) release() {}

package pgp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"hindsight/chain/inflate"
)

const (
	// bufferSize is that of the buffers between layers, in bytes.
	bufferSize = 64 << 10

	// defaultMaxTail is ReaderOptions.MaxTail's default.
	defaultMaxTail = 64 << 20
)

// ReaderOptions say what a Reader checks.
type ReaderOptions struct {
	// SignKey demands a good signature made by this key, or by a subkey of it: a key
	// id or fingerprint in hex, of at least 8 digits, compared by the last digits
	// that both have (duplicity-format.md §7). Empty: signatures are not checked.
	SignKey string
	// MaxTail bounds the plain bytes that Finish reads where it must read on, which is
	// for a signature or an unprotected message; 0: 64 MiB.
	MaxTail int64
	// AllowUnprotected accepts messages without MDC (tag 9) whatever their cipher.
	// Without it only those of the old ciphers with blocks of 8 bytes are accepted, for
	// which gpg 1 left the MDC away. Who can write to the store can take the MDC off a
	// message, but cannot change its cipher: a modern message without one was changed,
	// or written with gpg's --disable-mdc or --rfc2440.
	AllowUnprotected bool
	// Raw makes Read give what is encrypted, the packets as they are, from Start on. It
	// goes with neither SignKey nor OnBlock.
	Raw bool
	// OnBlock, if set, is called at the start of each deflate block of what is
	// compressed in the message, as inflate.Reader.OnBlock is, with the Reader of the
	// stream. With it the Reader keeps what Place and Layout tell.
	OnBlock func(z *inflate.Reader, c inflate.Checkpoint)
}

// Reader reads one message's literal data. It holds some 250 KiB, and a chunk of AEAD
// encrypted data, which gpg makes 4 MiB long, twice at first. Not for concurrent use.
type Reader struct {
	src     *source
	outer   *bufio.Reader
	esk     []byte
	body    *body // of the encrypted packet
	sealed  sealedBody
	content *content
	head    int64 // stored offset of the length of the encrypted packet
	opt     ReaderOptions
	err     error // sticks; io.EOF after the message was found good
}

// errFinished is what Read returns after Finish cut the reading short.
var errFinished = errors.New("pgp: read after Finish")

// NewReader reads the message's head up to the first plain byte. Errors: those of r as
// they are, else an ErrDecrypt, ErrSignature, or what the Keyring's passphrase function
// or the context returned.
func NewReader(ctx context.Context, r io.Reader, kr *Keyring, opt ReaderOptions) (*Reader, error) {
	if opt.MaxTail == 0 {
		opt.MaxTail = defaultMaxTail
	}
	src := &source{r: r}
	rd := &Reader{src: src, outer: bufio.NewReaderSize(src, bufferSize), opt: opt}
	list, err := rd.readHead()
	if err != nil {
		return nil, rd.explain(err)
	}
	key, err := kr.open(ctx, &list, rd.sealed.fits)
	if err != nil {
		return nil, err
	}
	if rd.Unprotected() && !opt.AllowUnprotected && !key.algo.small() {
		return nil, fmt.Errorf("%w: no modification detection code, though its cipher is a modern one", ErrIntegrity)
	}
	if err := rd.sealed.start(key.SessionKey); err != nil {
		return nil, rd.explain(err)
	}
	if opt.Raw {
		return rd, nil
	}
	rd.content, err = openContent(rd.sealed, opt)
	if err != nil {
		err = rd.explain(err)
		if key.byPassphrase && rd.sealed.protection() != byChunk && errors.Is(err, ErrIntegrity) {
			// A wrong key passes the check of two octets once in 65536 times.
			err = fmt.Errorf("%w, or: %w", ErrWrongPassphrase, err)
		}
		return nil, err
	}
	if opt.SignKey != "" {
		if err := rd.content.findSigners(ctx, kr, opt.SignKey); err != nil {
			return nil, err
		}
	}
	return rd, nil
}

// readHead reads up to and including the first octets of the encrypted data.
func (r *Reader) readHead() (eskList, error) {
	list, h, err := readESKs(r.outer)
	if err != nil {
		return list, fmt.Errorf("read head of message: %w", noEOF(err))
	}
	r.esk, r.body = list.raw, newBody(r.outer, h)
	if r.opt.OnBlock != nil {
		r.body.record()
	}
	r.head = r.src.n - int64(r.outer.Buffered()) - int64(len(h.octets))
	r.sealed, err = readSealed(r.body, h)
	return list, err
}

// Read reads plain bytes. They are to be trusted only when io.EOF was returned, which
// means that MDC and, if asked for, signature are good. Those of AEAD encrypted data are
// what was encrypted, but perhaps not all of it.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.read(p)
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		err = r.check()
	}
	if err == nil {
		r.err = io.EOF
	} else {
		r.err = r.explain(err)
	}
	return n, r.err
}

func (r *Reader) read(p []byte) (int, error) {
	if r.opt.Raw {
		return r.sealed.Read(p)
	}
	return r.content.Read(p)
}

// Start is the offset in the body of the encrypted packet at which the packets within
// begin, as Layout counts.
func (r *Reader) Start() int64 {
	_, random := r.sealed.before()
	return 1 + int64(random)
}

// Finish ends the reading: it consumes the rest of the underlying reader and reports
// whether the whole message is good, as Read does with io.EOF. The rest is decrypted
// but not inflated, unless there is a signature to verify or, in an old message, no MDC.
func (r *Reader) Finish() error {
	switch {
	case r.err == io.EOF || r.err == errFinished:
		return nil
	case r.err != nil:
		return r.err
	}
	var err error
	if !r.opt.Raw && (r.opt.SignKey != "" || r.Unprotected()) {
		err = discard(r.content, r.opt.MaxTail)
		if err == nil {
			err = r.check()
		}
	} else {
		err = r.drain()
	}
	if err != nil {
		r.err = r.explain(err)
		return r.err
	}
	r.err = errFinished
	return nil
}

// Unprotected reports whether the message is an old one without MDC (tag 9), which
// duplicity accepts too: damage may go unnoticed. See ReaderOptions.AllowUnprotected.
func (r *Reader) Unprotected() bool { return r.sealed.protection() == unprotected }

// check is done at the end of the literal data: what follows it, MDC, signature.
func (r *Reader) check() error {
	var tailErr error
	if !r.opt.Raw && r.opt.SignKey != "" {
		tailErr = r.content.verify()
	}
	if r.Unprotected() && !r.opt.Raw && tailErr == nil { // for the compression's own checksum
		tailErr = discard(r.content.inner, r.opt.MaxTail)
	}
	if err := r.drain(); err != nil {
		return err
	}
	return tailErr
}

// drain decrypts to the end, which makes the last checks, and sees that nothing follows.
func (r *Reader) drain() error {
	if err := r.sealed.drain(); err != nil {
		return err
	}
	if _, err := r.outer.ReadByte(); err != io.EOF {
		if err == nil {
			err = errors.New("data after the message")
		}
		return err
	}
	return nil
}

// explain gives an error of the layers its kind. An error of the underlying reader
// hides whatever it led to.
func (r *Reader) explain(err error) error {
	switch {
	case r.src.err != nil:
		return r.src.err
	case errors.Is(err, ErrDecrypt), errors.Is(err, ErrSignature):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
}

// source counts what the underlying reader gives, and notes its error.
type source struct {
	r   io.Reader
	n   int64
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// discard reads up to limit bytes to the end of r.
func discard(r io.Reader, limit int64) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("more than %d bytes to the end of the message", limit)
	}
	return err
}

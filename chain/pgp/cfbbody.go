package pgp

import (
	"crypto/sha1"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
)

// cfbBody decrypts the body of an encrypted data packet: SEIPDv1 (tag 18), whose
// MDC it checks before it tells the end, or the old tag 9, which has none.
type cfbBody struct {
	src    io.Reader
	head   []byte // the first octets: random prefix, perhaps more
	random int    // length of the prefix
	resync bool   // tag 9
	cfb    *cfb
	mac    hash.Hash // nil: no MDC
	buf    []byte    // decrypted; the last mdcSize bytes may be the MDC
	from   int       // buf[from:to] is ready to be read,
	to     int       // buf[to:end] held back
	end    int
	err    error // after buf[:to]
}

// PrefixSize is how many encrypted octets tell whether a session key fits: a cipher
// block, at its largest, and two more.
const PrefixSize = maxBlockSize + 2

// readCFB reads the first octets of a packet's body.
func readCFB(src io.Reader, tag int) (*cfbBody, error) {
	s := &cfbBody{src: src, resync: tag == tagSED}
	if tag == tagSEIPD {
		s.mac = sha1.New()
	}
	head := make([]byte, PrefixSize)
	n, err := readFill(src, head)
	if err != nil && err != io.EOF {
		return nil, err
	}
	s.head = head[:n]
	return s, nil
}

func (s *cfbBody) protection() protection {
	if s.mac == nil {
		return unprotected
	}
	return byMDC
}

func (s *cfbBody) before() ([]byte, int) { return s.head, s.random }

// prefix decrypts the random prefix under the key, and checks the two octets that
// it repeats. All but one in 65536 wrong keys are found out.
func (s *cfbBody) prefix(key SessionKey) (c *cfb, prefix []byte, ok bool) {
	block, err := key.algo.newBlock(key.key)
	if err != nil {
		return nil, nil, false
	}
	size := block.BlockSize()
	if len(s.head) < size+2 {
		return nil, nil, false
	}
	c = newCFB(block, nil)
	prefix = append([]byte(nil), s.head[:size+2]...)
	c.decrypt(prefix)
	if s.resync {
		c = newCFB(block, s.head[2:size+2])
	}
	return c, prefix, subtle.ConstantTimeCompare(prefix[size-2:size], prefix[size:]) == 1
}

// fits reports whether the key may be the message's.
func (s *cfbBody) fits(key SessionKey) bool {
	_, _, ok := s.prefix(key)
	return ok
}

// start sets up the decryption with a key that fits.
func (s *cfbBody) start(key SessionKey) error {
	c, prefix, ok := s.prefix(key)
	if !ok {
		return errors.New("session key does not fit")
	}
	s.cfb, s.random = c, len(prefix)
	if s.mac != nil {
		s.mac.Write(prefix)
	}
	s.buf = make([]byte, bufferSize+mdcSize)
	rest := s.head[len(prefix):]
	s.end = copy(s.buf, rest)
	s.cfb.decrypt(s.buf[:s.end])
	return nil
}

func (s *cfbBody) Read(p []byte) (int, error) {
	for s.from == s.to {
		if s.err != nil {
			return 0, s.err
		}
		s.fill()
	}
	n := copy(p, s.buf[s.from:s.to])
	s.from += n
	return n, nil
}

// drain decrypts to the end and returns nil where Read would return io.EOF.
func (s *cfbBody) drain() error {
	for s.err == nil {
		s.fill()
	}
	s.from = s.to
	if s.err == io.EOF {
		return nil
	}
	return s.err
}

// fill decrypts the next stretch, over what has been read. What a failed check of
// the MDC comes with is not given out.
func (s *cfbBody) fill() {
	held := copy(s.buf, s.buf[s.to:s.end])
	n, err := readFill(s.src, s.buf[held:])
	s.cfb.decrypt(s.buf[held : held+n])
	s.from, s.end = 0, held+n
	s.to = s.end
	if s.mac != nil {
		s.to = max(0, s.end-mdcSize)
		s.mac.Write(s.buf[:s.to])
	}
	if err == io.EOF && s.mac != nil {
		err = s.checkMDC()
	}
	if err != nil && err != io.EOF {
		s.to = 0
	}
	s.err = err
}

// checkMDC returns io.EOF if what is held back is the right MDC.
func (s *cfbBody) checkMDC() error {
	mdc := s.buf[s.to:s.end]
	if len(mdc) < mdcSize {
		return fmt.Errorf("%w: %w", ErrIntegrity, io.ErrUnexpectedEOF)
	}
	s.mac.Write(mdc[:2])
	if mdc[0] != 0xC0|tagMDC || mdc[1] != sha1.Size ||
		subtle.ConstantTimeCompare(s.mac.Sum(nil), mdc[2:]) != 1 {
		return fmt.Errorf("%w: modification detection code does not match", ErrIntegrity)
	}
	return io.EOF
}

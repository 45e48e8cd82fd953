package pgp

import (
	"fmt"
	"io"
)

// sealedBody decrypts the body of an encrypted data packet. Once it was started it reads
// what is encrypted, the packets within, and tells the end only after the last check.
type sealedBody interface {
	io.Reader
	// fits reports whether the key may be the message's, see protection.
	fits(key SessionKey) bool
	// start sets up the decryption with a key that fits.
	start(key SessionKey) error
	// drain decrypts to the end and returns nil where Read would return io.EOF.
	drain() error
	protection() protection
	// before is what a Layout and [Keyring.SessionKey] need to know of what precedes the
	// packets within: the first encrypted octets, and how many of them are random.
	before() (octets []byte, random int)
}

// protection says how changes to an encrypted body are noticed.
type protection int

const (
	unprotected protection = iota // not at all
	byMDC                         // by a hash at its end; one wrong key in 65536 seems to fit
	byChunk                       // before anything is given out; no wrong key fits
)

// readSealed reads the first octets of the body of a packet with the header h.
func readSealed(src io.Reader, h header) (sealedBody, error) {
	switch h.tag {
	case tagSED:
		return readCFB(src, h.tag)
	case tagSEIPD, tagAEAD:
	default:
		return nil, fmt.Errorf("%w: no encrypted data, but a packet with tag %d", ErrUnsupported, h.tag)
	}
	var version [1]byte
	if _, err := io.ReadFull(src, version[:]); err != nil {
		return nil, noEOF(err)
	}
	if version[0] != 1 {
		return nil, fmt.Errorf("%w: encrypted data of version %d (packet %d)", ErrUnsupported, version[0], h.tag)
	}
	if h.tag == tagAEAD {
		return readAEAD(src)
	}
	return readCFB(src, h.tag)
}

// readFill reads until p is full or r returns an error, and returns that as it is.
func readFill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

package pgp

import (
	"fmt"
)

const (
	tagPKESK = 1
	tagSKESK = 3

	maxKeySize = 32 // bytes, of any cipher

	// maxWrapped bounds a wrapped session key: an algorithm octet and the longest key.
	maxWrapped = 1 + maxKeySize

	// cipherUnsaid is the algorithm of a session key that came without one.
	cipherUnsaid cipherID = 0
)

// skesk is a symmetric-key encrypted session key packet, version 4 (RFC 4880 §5.3) or,
// with a mode, 5 (RFC 4880bis §5.3).
type skesk struct {
	algo    cipherID // of the passphrase's key
	mode    aeadMode // of the wrapping; 0: plain CFB
	s2k     s2k
	iv      []byte // with a mode
	wrapped []byte // session key under the passphrase's key; none: the latter is the session key
}

// parseSKESK reads a packet's body.
func parseSKESK(body []byte) (skesk, error) {
	var p skesk
	if len(body) < 2 {
		return p, errShort
	}
	switch body[0] {
	case 4:
	case 5:
		return parseSKESK5(body)
	default:
		return p, fmt.Errorf("%w: passphrase packet of version %d", ErrUnsupported, body[0])
	}
	p.algo = cipherID(body[1])
	var err error
	if p.s2k, p.wrapped, err = parseS2K(body[2:]); err != nil {
		return p, err
	}
	if len(p.wrapped) > maxWrapped {
		return p, fmt.Errorf("session key of %d bytes", len(p.wrapped))
	}
	return p, nil
}

func parseSKESK5(body []byte) (skesk, error) {
	var p skesk
	if len(body) < 3 {
		return p, errShort
	}
	p.algo, p.mode = cipherID(body[1]), aeadMode(body[2])
	if err := p.mode.check(p.algo); err != nil {
		return p, err
	}
	var rest []byte
	var err error
	if p.s2k, rest, err = parseS2K(body[3:]); err != nil {
		return p, err
	}
	size := p.mode.nonceSize()
	if n := len(rest) - size - aeadTagSize; n < 1 || n > maxKeySize {
		return p, fmt.Errorf("session key of %d bytes", n)
	}
	p.iv, p.wrapped = rest[:size], rest[size:]
	return p, nil
}

// appendTo appends the whole packet of version 4.
func (p skesk) appendTo(b []byte) []byte {
	body := p.s2k.appendTo([]byte{4, byte(p.algo)})
	body = append(body, p.wrapped...)
	b = append(b, 0xC0|tagSKESK)
	return append(appendLength(b, len(body)), body...)
}

// open gives the session key, with the key made from the passphrase. A wrong one is
// noticed surely by a mode, else only where the session key is wrapped, and not surely.
func (p skesk) open(key []byte) (SessionKey, error) {
	if p.mode != 0 {
		return p.openAEAD(key)
	}
	if len(p.wrapped) == 0 {
		return SessionKey{p.algo, key}, nil
	}
	block, err := p.algo.newBlock(key)
	if err != nil {
		return SessionKey{}, err
	}
	text := append([]byte(nil), p.wrapped...)
	newCFB(block, nil).decrypt(text)
	sk := SessionKey{cipherID(text[0]), text[1:]}
	if size := sk.algo.keySize(); size == 0 || size != len(sk.key) {
		return SessionKey{}, ErrWrongPassphrase
	}
	return sk, nil
}

func (p skesk) openAEAD(key []byte) (SessionKey, error) {
	aead, err := p.mode.under(p.algo, key)
	if err != nil {
		return SessionKey{}, err
	}
	text, err := aead.Open(nil, p.iv, p.wrapped, []byte{0xC0 | tagSKESK, 5, byte(p.algo), byte(p.mode)})
	if err != nil {
		return SessionKey{}, ErrWrongPassphrase
	}
	return SessionKey{cipherUnsaid, text}, nil
}

// wrap puts a session key under the key made from the passphrase. The feedback starts
// at zero: never two session keys under one key.
func (p *skesk) wrap(key []byte, sk SessionKey) error {
	block, err := p.algo.newBlock(key)
	if err != nil {
		return err
	}
	p.wrapped = append([]byte{byte(sk.algo)}, sk.key...)
	newCFB(block, nil).encrypt(p.wrapped)
	return nil
}

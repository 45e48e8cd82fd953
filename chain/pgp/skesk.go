package pgp

import (
	"fmt"
)

const (
	tagPKESK = 1
	tagSKESK = 3

	// maxWrapped bounds a wrapped session key: an algorithm octet and the longest key.
	maxWrapped = 1 + 32
)

// skesk is a symmetric-key encrypted session key packet, version 4 (RFC 4880 §5.3).
type skesk struct {
	algo    cipherID
	s2k     s2k
	wrapped []byte // session key under the passphrase's key; none: the latter is the session key
}

// parseSKESK reads a packet's body.
func parseSKESK(body []byte) (skesk, error) {
	var p skesk
	if len(body) < 2 {
		return p, errShort
	}
	if body[0] != 4 {
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

// appendTo appends the whole packet.
func (p skesk) appendTo(b []byte) []byte {
	body := p.s2k.appendTo([]byte{4, byte(p.algo)})
	body = append(body, p.wrapped...)
	b = append(b, 0xC0|tagSKESK)
	return append(appendLength(b, len(body)), body...)
}

// open gives the session key, with the key made from the passphrase. A wrong one is
// noticed only where the session key is wrapped, and not surely.
func (p skesk) open(key []byte) (SessionKey, error) {
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

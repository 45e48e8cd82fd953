package pgp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// Recipients say who can read what a Session writes, and who signs it. Keys are named
// as for gpg: a key id or fingerprint in hex with optional 0x, or, for keys that gpg
// holds, whatever gpg takes. Whether a named key is trusted is not asked: naming it is trust.
type Recipients struct {
	Symmetric  bool     // with the Keyring's passphrase
	Keys       []string // --encrypt-key
	HiddenKeys []string // --hidden-encrypt-key: the message does not name the recipient
	SignKey    string   // --sign-key; empty: unsigned
}

// SessionOptions are rarely needed.
type SessionOptions struct {
	// ESK, from ReadESK of an object of the same chain, makes a purely symmetric
	// Session take over that object's salt, so that the whole chain costs one key
	// derivation. It is ignored, and a fresh salt taken, if the recipients are not purely
	// symmetric or the packet is not one that NewSession would make: an object on a
	// store is hostile, and may not weaken what is written.
	ESK []byte
}

// Session is one session key and the packets that head every object of one set.
// Each message still has its own random prefix. Safe for concurrent use.
type Session struct {
	kr   *Keyring
	key  SessionKey
	esk  []byte
	sign *signingKey // nil: unsigned

	symmetric bool // the passphrase opens it
}

// NewSession makes the session key, AES-256, and its packets; it looks up, and for a
// signing key unlocks and tries, all keys named. Errors: ErrNoKey, ErrNoPassphrase,
// ErrWrongPassphrase, ErrNoSecretKey.
func (kr *Keyring) NewSession(ctx context.Context, rcpt Recipients, opt SessionOptions) (*Session, error) {
	keys := len(rcpt.Keys) + len(rcpt.HiddenKeys)
	if !rcpt.Symmetric && keys == 0 {
		return nil, errors.New("encrypt: neither a passphrase nor a recipient")
	}
	s := &Session{kr: kr, symmetric: rcpt.Symmetric}
	var err error
	switch {
	case keys == 0:
		err = s.direct(ctx, opt.ESK)
	default:
		err = s.wrapped(ctx, rcpt)
	}
	if err != nil {
		return nil, err
	}
	if rcpt.SignKey != "" {
		if s.sign, err = kr.signingKey(ctx, rcpt.SignKey); err != nil {
			return nil, fmt.Errorf("sign with key %s: %w", rcpt.SignKey, err)
		}
	}
	return s, nil
}

// direct makes the key that comes from the passphrase the session key.
func (s *Session) direct(ctx context.Context, reuse []byte) error {
	p, ok := s.kr.reusable(reuse)
	if !ok {
		p = s.kr.newSKESK()
	}
	key, err := s.kr.derive(ctx, p.s2k, p.algo.keySize())
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	s.key = SessionKey{p.algo, key}
	s.esk = p.appendTo(nil)
	return nil
}

// wrapped makes a random session key and wraps it for each recipient. A passphrase
// beside them gets a salt of its own: who is a recipient once must not learn the
// chain's passphrase key.
func (s *Session) wrapped(ctx context.Context, rcpt Recipients) error {
	s.key = SessionKey{cipherAES256, make([]byte, cipherAES256.keySize())}
	rand.Read(s.key.key)
	var esk bytes.Buffer
	for _, id := range rcpt.Keys {
		if err := s.kr.wrapFor(ctx, &esk, id, s.key, false); err != nil {
			return fmt.Errorf("encrypt to key %s: %w", id, err)
		}
	}
	for _, id := range rcpt.HiddenKeys {
		if err := s.kr.wrapFor(ctx, &esk, id, s.key, true); err != nil {
			return fmt.Errorf("encrypt to key %s: %w", id, err)
		}
	}
	s.esk = esk.Bytes()
	if !rcpt.Symmetric {
		return nil
	}
	p := s.kr.newSKESK()
	key, err := s.kr.derive(ctx, p.s2k, p.algo.keySize())
	if err == nil {
		err = p.wrap(key, s.key)
	}
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	s.esk = p.appendTo(s.esk)
	return nil
}

// newSKESK is a packet with a fresh salt: AES-256, iterated SHA-256, which gpg reads
// since 1.4.
func (kr *Keyring) newSKESK() skesk {
	p := skesk{algo: cipherAES256, s2k: s2k{mode: s2kIterated, hash: 8}}
	rand.Read(p.s2k.salt[:])
	p.s2k.count = decodeCount(encodeCount(kr.opt.S2KCount))
	return p
}

// reusable is the packet in esk if it is no weaker than a new one.
func (kr *Keyring) reusable(esk []byte) (skesk, bool) {
	list, err := parseESK(esk)
	if err != nil || len(list.symmetric) != 1 || len(list.public) != 0 {
		return skesk{}, false
	}
	p, fresh := list.symmetric[0], kr.newSKESK()
	strongHash := p.s2k.hash == 2 || p.s2k.hash >= 8 && p.s2k.hash <= 11
	ok := p.algo == fresh.algo && len(p.wrapped) == 0 && strongHash &&
		p.s2k.mode == s2kIterated && p.s2k.count >= fresh.s2k.count
	return p, ok
}

// ESK is a copy of the packets that head every message of the session.
func (s *Session) ESK() []byte { return bytes.Clone(s.esk) }

// Key is the session key, for Layout.ReadRange.
func (s *Session) Key() SessionKey { return s.key }

// Signed reports whether the session's messages are signed.
func (s *Session) Signed() bool { return s.sign != nil }

// Symmetric reports whether the passphrase is among what opens the messages.
func (s *Session) Symmetric() bool { return s.symmetric }

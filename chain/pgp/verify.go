package pgp

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// signature is one that a message announces, and what verifies it.
type signature struct {
	id     uint64 // of the signing key
	hashID byte
	hash   hash.Hash // of the literal's data; nil: not of a kind to be verified
	keys   []openpgp.Key
}

// parseOnePass reads the body of a one-pass signature packet, version 3.
func parseOnePass(p []byte) (*signature, error) {
	if len(p) < 1 {
		return nil, errShort
	}
	if p[0] != 3 {
		return &signature{}, nil
	}
	if len(p) != 13 {
		return nil, errShort
	}
	s := &signature{id: binary.BigEndian.Uint64(p[4:12]), hashID: p[2]}
	if id, ok := hashByID(s.hashID); ok && p[1] == sigBinary {
		s.hash = id.New()
	}
	return s, nil
}

// findSigners looks up the public keys of the message's signatures, so that a message
// that cannot pass is refused before it is read.
func (c *content) findSigners(ctx context.Context, kr *Keyring, want string) error {
	tail, err := hexID(want)
	if err != nil {
		return fmt.Errorf("%w: signing key %q: %w", ErrSignature, want, err)
	}
	if len(c.onePass) == 0 {
		return fmt.Errorf("%w: message is not signed", ErrSignature)
	}
	var last error
	found := false
	for _, s := range c.onePass {
		if s.hash == nil {
			last = fmt.Errorf("%w: unknown kind of signature", ErrSignature)
			continue
		}
		list, err := kr.publicKeys(ctx, fmt.Sprintf("%016X", s.id))
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			last = fmt.Errorf("%w: no public key %016X: %w", ErrSignature, s.id, err)
			continue
		}
		for _, k := range list.KeysById(s.id) {
			if maySign(k) && signedBy(tail, k) {
				s.keys = append(s.keys, k)
				found = true
			}
		}
		last = fmt.Errorf("%w: signed by key %016X, not by %s", ErrSignature, s.id, want)
	}
	if !found {
		return last
	}
	return nil
}

// maySign reports whether the key is one for data, as far as it says.
func maySign(k openpgp.Key) bool {
	return k.SelfSignature == nil || !k.SelfSignature.FlagsValid || k.SelfSignature.FlagSign
}

// signedBy reports whether the key, or the primary key that it belongs to, is the one
// whose id or fingerprint ends in tail (the shorter length's digits, duplicity-format.md §7).
func signedBy(tail string, k openpgp.Key) bool {
	for _, fp := range [][]byte{k.PublicKey.Fingerprint, k.Entity.PrimaryKey.Fingerprint} {
		if strings.HasSuffix(fmt.Sprintf("%X", fp), tail) {
			return true
		}
	}
	return false
}

// verify reads the signature packets after the literal and wants a good one. They
// come in the reverse order of the one-pass packets.
func (c *content) verify() error {
	if _, err := c.literal.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("pgp: verify before the end of the literal: %w", err)
	}
	result := fmt.Errorf("%w: signature is missing", ErrSignature)
	for i := len(c.onePass) - 1; i >= 0; i-- {
		h, err := readHeader(c.inner)
		if err == io.EOF {
			return result
		}
		if err != nil {
			return err
		}
		raw, err := readSmall(c.inner, h, maxSignature)
		if err != nil {
			return err
		}
		if h.tag != tagSignature {
			return result
		}
		if result = c.onePass[i].verify(appendPacket(nil, tagSignature, raw)); result == nil {
			return nil
		}
	}
	return result
}

// verify checks one signature packet against the hash.
func (s *signature) verify(raw []byte) error {
	if len(s.keys) == 0 {
		return fmt.Errorf("%w: signed by another key", ErrSignature)
	}
	sig, err := parseSignature(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if id, ok := hashByID(s.hashID); !ok || sig.Hash != id || *sig.IssuerKeyId != s.id {
		return fmt.Errorf("%w: not the signature that was announced", ErrSignature)
	}
	for _, k := range s.keys {
		switch {
		case k.Entity.Revoked(sig.CreationTime) || k.Revoked(sig.CreationTime):
			err = fmt.Errorf("%w: key %016X is revoked", ErrSignature, s.id)
		case k.PublicKey.VerifySignature(s.hash, sig) == nil:
			return nil
		default:
			err = fmt.Errorf("%w: made by key %016X, but of other data", ErrSignature, s.id)
		}
	}
	return err
}

package pgp

import (
	"bytes"
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	tagSignature = 2
	tagOnePass   = 4

	sigBinary = 0x00 // signature of binary data, RFC 4880 §5.2.1
)

// signingKey makes signatures with a secret key from a file, or through gpg.
type signingKey struct {
	kr     *Keyring
	priv   *packet.PrivateKey // nil: gpg holds it
	user   string             // what gpg calls the key
	hash   crypto.Hash
	hashID byte
	algo   byte
	id     uint64
}

// onePass is the packet that announces the signature, RFC 4880 §5.4.
func (k *signingKey) onePass() []byte {
	b := []byte{0xC0 | tagOnePass, 13, 3, sigBinary, k.hashID, k.algo}
	b = binary.BigEndian.AppendUint64(b, k.id)
	return append(b, 1) // no further signature
}

// Signer signs the literal of one message. Not for concurrent use.
type Signer struct {
	key    *signingKey
	hash   hash.Hash    // nil with gpg
	gpg    *gpgStream   // nil without
	out    bytes.Buffer // gpg's signature
	closed bool
}

// NewSigner begins the signature of one message; with an unsigned Session it is nil,
// and a nil Signer's methods yield nothing and accept everything. A signing key that
// gpg holds costs a gpg process for the Signer's life, which ctx ends; Close must be
// called.
func (s *Session) NewSigner(ctx context.Context) (*Signer, error) {
	if s.sign == nil {
		return nil, nil
	}
	sg := &Signer{key: s.sign}
	if s.sign.priv != nil {
		sg.hash = s.sign.hash.New()
		return sg, nil
	}
	var err error
	sg.gpg, err = s.kr.startSign(ctx, s.sign.user, &sg.out)
	if err != nil {
		return nil, err
	}
	return sg, nil
}

// OnePass is the packet to put before the literal packet.
func (s *Signer) OnePass() []byte {
	if s == nil {
		return nil
	}
	return s.key.onePass()
}

// Write takes the literal's bytes, without framing, in order.
func (s *Signer) Write(p []byte) (int, error) {
	switch {
	case s == nil:
		return len(p), nil
	case s.gpg != nil:
		n, err := s.gpg.Write(p)
		if err != nil {
			return n, errors.Join(fmt.Errorf("sign: %w", err), s.Close())
		}
		return n, nil
	default:
		return s.hash.Write(p)
	}
}

// Finish makes the signature packet, to put after the literal packet.
func (s *Signer) Finish() ([]byte, error) {
	if s == nil {
		return nil, nil
	}
	if s.gpg != nil {
		s.closed = true
		if err := s.gpg.Close(); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		return s.key.checkSignature(s.out.Bytes())
	}
	sig := &packet.Signature{
		SigType:      packet.SigTypeBinary,
		PubKeyAlgo:   s.key.priv.PubKeyAlgo,
		Hash:         s.key.hash,
		CreationTime: s.key.kr.opt.Now(),
		IssuerKeyId:  &s.key.id,
	}
	if err := sig.Sign(s.hash, s.key.priv, signConfig(s.key.hash)); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var b bytes.Buffer
	if err := sig.Serialize(&b); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return b.Bytes(), nil
}

// Close frees what the Signer holds. It may be called at any time, and more than once.
func (s *Signer) Close() error {
	if s == nil || s.gpg == nil || s.closed {
		return nil
	}
	s.closed = true
	return s.gpg.Abort()
}

// signConfig keeps to plain RFC 4880 signatures.
func signConfig(h crypto.Hash) *packet.Config {
	plain := false
	return &packet.Config{DefaultHash: h, NonDeterministicSignaturesViaNotation: &plain}
}

// checkSignature checks that gpg's signature is the one that was announced.
func (k *signingKey) checkSignature(raw []byte) ([]byte, error) {
	sig, err := parseSignature(raw)
	if err != nil {
		return nil, err
	}
	if sig.Hash != k.hash || byte(sig.PubKeyAlgo) != k.algo || *sig.IssuerKeyId != k.id {
		return nil, errors.New("sign: gpg changed key or algorithm between two signatures")
	}
	return raw, nil
}

// parseSignature reads one binary signature packet that names its issuer.
func parseSignature(raw []byte) (*packet.Signature, error) {
	p, err := packet.Read(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	sig, ok := p.(*packet.Signature)
	if !ok || sig.SigType != packet.SigTypeBinary || sig.IssuerKeyId == nil {
		return nil, fmt.Errorf("%w: not a signature of binary data", ErrUnsupported)
	}
	return sig, nil
}

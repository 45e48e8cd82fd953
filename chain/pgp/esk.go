package pgp

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Bounds on what may stand before the encrypted data of a message.
const (
	maxESKs      = 64
	maxSymmetric = 8 // each may cost a key derivation
	maxESKSize   = 4 << 10
)

// eskList is the head of a message.
type eskList struct {
	public    []pkesk
	symmetric []skesk
	other     error  // why the last unreadable packet was left out
	raw       []byte // all packets, each with a new-format header
}

// pkesk is a public-key encrypted session key packet, version 3 (RFC 4880 §5.1).
type pkesk struct {
	id     uint64 // 0: hidden
	packet []byte
}

// readESKs reads up to the first packet that is none; the header of that is returned too.
func readESKs(r *bufio.Reader) (eskList, header, error) {
	var l eskList
	for range maxESKs + 1 {
		h, err := readHeader(r)
		if err != nil {
			return l, h, err
		}
		switch h.tag {
		case tagPKESK, tagSKESK, tagMarker, tagPadding:
		default:
			return l, h, nil
		}
		body, err := readSmall(r, h, maxESKSize)
		if err != nil {
			return l, h, err
		}
		l.add(h.tag, body)
	}
	return l, header{}, errors.New("too many session key packets")
}

// add takes in one packet. One that cannot be read is left out: another may serve.
func (l *eskList) add(tag int, body []byte) {
	switch tag {
	case tagPKESK:
		l.addPublic(body)
	case tagSKESK:
		p, err := parseSKESK(body)
		switch {
		case err != nil:
			l.other = err
		case len(l.symmetric) == maxSymmetric:
			l.other = errors.New("too many passphrase packets")
		default:
			l.symmetric = append(l.symmetric, p)
		}
	default:
		return
	}
	l.raw = appendPacket(l.raw, tag, body)
}

func (l *eskList) addPublic(body []byte) {
	switch {
	case len(body) < 10:
		l.other = errShort
	case body[0] != 3:
		l.other = fmt.Errorf("%w: recipient packet of version %d", ErrUnsupported, body[0])
	default:
		id := binary.BigEndian.Uint64(body[1:9])
		l.public = append(l.public, pkesk{id, appendPacket(nil, tagPKESK, body)})
	}
}

// hidden reports whether a recipient is not named.
func (l *eskList) hidden() bool {
	return slices.ContainsFunc(l.public, func(p pkesk) bool { return p.id == 0 })
}

// digest names the exact packets.
func (l *eskList) digest() [sha256.Size]byte { return sha256.Sum256(l.raw) }

// parse decodes the packet for a try with a secret key: it is written to.
func (p pkesk) parse() (*packet.EncryptedKey, error) {
	got, err := packet.Read(bytes.NewReader(p.packet))
	if err != nil {
		return nil, err
	}
	ek, ok := got.(*packet.EncryptedKey)
	if !ok {
		return nil, errNoPacket
	}
	return ek, nil
}

// parseESK reads the packets at the head of b.
func parseESK(b []byte) (eskList, error) {
	l, _, err := readESKs(bufio.NewReader(bytes.NewReader(b)))
	if err != nil && err != io.EOF {
		return l, err
	}
	if len(l.raw) == 0 {
		return l, errNoPacket
	}
	return l, nil
}

// ReadESK is the session key packets at the head of a stored message, of which the
// first 4 KiB are enough for all but many recipients. It returns an ErrIntegrity if
// there are none, or if head ends within one.
func ReadESK(head []byte) ([]byte, error) {
	l, err := parseESK(head)
	if err != nil {
		return nil, fmt.Errorf("%w: session key packets: %w", ErrIntegrity, err)
	}
	return l.raw, nil
}

// Symmetric reports whether a passphrase is among what opens the message that begins
// with these session key packets.
func Symmetric(esk []byte) bool {
	l, err := parseESK(esk)
	return err == nil && len(l.symmetric) > 0
}

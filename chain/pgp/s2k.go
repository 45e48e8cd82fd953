package pgp

import (
	"bytes"
	"crypto"
	_ "crypto/md5"    // hash 1
	_ "crypto/sha1"   // hash 2
	_ "crypto/sha256" // hashes 8 and 11
	_ "crypto/sha512" // hashes 9 and 10
	"errors"
	"fmt"
	"hash"

	_ "golang.org/x/crypto/ripemd160" //lint:ignore SA1019 hash 3 of old messages
)

// S2K specifiers, RFC 4880 §3.7.1.
const (
	s2kSimple   = 0
	s2kSalted   = 1
	s2kIterated = 3

	saltSize = 8

	// maxCount is the highest count that S2K 3 can express, and gpg's default.
	maxCount = 65011712
)

// s2kBuffer is how much of the repeated salt and passphrase is laid out for the
// hash at a time.
const s2kBuffer = 64 << 10

// s2k says how a key is made from a passphrase. It is comparable: equal ones give
// equal keys.
type s2k struct {
	mode  byte
	hash  byte // RFC 4880 §9.4
	salt  [saltSize]byte
	count int // bytes to hash, S2K 3
}

var errShort = errors.New("packet is too short")

// parseS2K reads a specifier and returns what follows it.
func parseS2K(b []byte) (s2k, []byte, error) {
	var s s2k
	if len(b) < 2 {
		return s, nil, errShort
	}
	s.mode, s.hash, b = b[0], b[1], b[2:]
	switch s.mode {
	case s2kSimple:
		return s, b, nil
	case s2kSalted, s2kIterated:
		if len(b) < saltSize {
			return s, nil, errShort
		}
		b = b[copy(s.salt[:], b):]
	default:
		return s, nil, fmt.Errorf("%w: passphrase specifier %d", ErrUnsupported, s.mode)
	}
	if s.mode == s2kIterated {
		if len(b) < 1 {
			return s, nil, errShort
		}
		s.count, b = decodeCount(b[0]), b[1:]
	}
	return s, b, nil
}

// appendTo appends the specifier.
func (s s2k) appendTo(b []byte) []byte {
	b = append(b, s.mode, s.hash)
	if s.mode != s2kSimple {
		b = append(b, s.salt[:]...)
	}
	if s.mode == s2kIterated {
		b = append(b, encodeCount(s.count))
	}
	return b
}

// decodeCount is the count of an S2K 3 octet, RFC 4880 §3.7.1.3.
func decodeCount(c byte) int { return (16 + int(c&15)) << (c>>4 + 6) }

// encodeCount is the octet of the least count that is not below n, or the highest.
func encodeCount(n int) byte {
	for c := range 255 {
		if decodeCount(byte(c)) >= n {
			return byte(c)
		}
	}
	return 255
}

// key derives size bytes, RFC 4880 §3.7.1. When size is more than one digest, each
// further digest is of the same bytes with one more zero octet before them.
func (s s2k) key(passphrase []byte, size int) ([]byte, error) {
	id, ok := hashByID(s.hash)
	if !ok {
		return nil, fmt.Errorf("%w: hash algorithm %d", ErrUnsupported, s.hash)
	}
	text := passphrase
	if s.mode != s2kSimple {
		text = append(bytes.Clone(s.salt[:]), passphrase...)
	}
	count := max(s.count, len(text))
	var repeated []byte
	if count > len(text) { // then text holds a salt and is not empty
		repeated = bytes.Repeat(text, (s2kBuffer+len(text)-1)/len(text))
	}
	var out []byte
	for zeros := 0; len(out) < size; zeros++ {
		h := id.New()
		h.Write(make([]byte, zeros))
		hashRepeated(h, text, repeated, count)
		out = h.Sum(out)
	}
	return out[:size], nil
}

// hashRepeated writes the first count bytes of text, endlessly repeated.
func hashRepeated(h hash.Hash, text, repeated []byte, count int) {
	for ; count >= len(repeated) && len(repeated) > 0; count -= len(repeated) {
		h.Write(repeated)
	}
	if len(repeated) > 0 {
		h.Write(repeated[:count])
		return
	}
	h.Write(text)
}

// hashByID is the hash algorithm of RFC 4880 §9.4.
func hashByID(id byte) (crypto.Hash, bool) {
	switch id {
	case 1:
		return crypto.MD5, true
	case 2:
		return crypto.SHA1, true
	case 3:
		return crypto.RIPEMD160, true
	case 8:
		return crypto.SHA256, true
	case 9:
		return crypto.SHA384, true
	case 10:
		return crypto.SHA512, true
	case 11:
		return crypto.SHA224, true
	}
	return 0, false
}

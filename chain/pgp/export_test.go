package pgp

import (
	"context"
	"crypto/cipher"
)

// CFB is the cipher feedback under test.
type CFB = cfb

// NewCFB starts after the ciphertext block iv, nil for zeros.
func NewCFB(b cipher.Block, iv []byte) *CFB { return newCFB(b, iv) }

// Encrypt encrypts in place.
func (c *cfb) Encrypt(p []byte) { c.encrypt(p) }

// Decrypt decrypts in place.
func (c *cfb) Decrypt(p []byte) { c.decrypt(p) }

// S2K derives a key as the specifier says.
func S2K(mode, hash byte, salt [8]byte, count int, passphrase []byte, size int) ([]byte, error) {
	return s2k{mode, hash, salt, count}.key(passphrase, size)
}

// DecodeCount and EncodeCount are the octet of an iterated specifier.
var DecodeCount, EncodeCount = decodeCount, encodeCount

// Flight is the single-flight cache under test.
type Flight = flight[int, int]

// NewFlight remembers up to limit results.
func NewFlight(limit int) *Flight { return newFlight[int, int](limit) }

// Get is get.
func (f *flight[K, V]) Get(ctx context.Context, key K, fn func() (V, error)) (V, bool, error) {
	return f.get(ctx, key, fn)
}

// Runs finds the runs of chunks with these length octets.
func Runs(octets []string) []Run {
	var r runs
	for _, o := range octets {
		r.add(o)
	}
	return r.end()
}

// ParseLength and AppendLength are of a new-format length.
var ParseLength, AppendLength = parseLength, appendLength

package pgp

import (
	"crypto/cipher"
	"crypto/subtle"
)

// cfbRun is how many bytes of keystream are made at a time: it stays in the
// processor's first cache.
const cfbRun = 4 << 10

// cfb is cipher feedback with a full block of feedback, as SEIPDv1 uses it
// throughout and tag 9 between its resynchronisations (RFC 4880 §13.9). Whole
// blocks are done in runs: decryption knows all of a run's feedback beforehand,
// encryption leaves it to the CBC mode of the standard library (see encrypt).
type cfb struct {
	block cipher.Block
	size  int                // block size in bytes
	prev  [maxBlockSize]byte // ciphertext of the block in hand, up to used
	ks    [maxBlockSize]byte // keystream of the block in hand
	used  int                // bytes of ks already used, 0 to size-1
	run   []byte             // keystream scratch, cfbRun bytes
}

// newCFB starts after the ciphertext block iv; nil stands for zeros.
func newCFB(block cipher.Block, iv []byte) *cfb {
	c := &cfb{block: block, size: block.BlockSize(), run: make([]byte, cfbRun)}
	copy(c.prev[:c.size], iv)
	block.Encrypt(c.ks[:c.size], c.prev[:c.size])
	return c
}

// partial processes the rest of a block in hand, or a tail shorter than a block,
// and returns the number of bytes done.
func (c *cfb) partial(p []byte, encrypt bool) int {
	n := min(len(p), c.size-c.used)
	for i := range n {
		in := p[i]
		p[i] ^= c.ks[c.used]
		if encrypt {
			in = p[i]
		}
		c.prev[c.used] = in
		c.used++
	}
	if c.used == c.size {
		c.block.Encrypt(c.ks[:c.size], c.prev[:c.size])
		c.used = 0
	}
	return n
}

// decrypt decrypts p in place.
func (c *cfb) decrypt(p []byte) {
	if c.used > 0 {
		p = p[c.partial(p, false):]
	}
	size := c.size
	for len(p) >= size {
		n := min(len(p)/size*size, cfbRun)
		run := c.run[:n]
		copy(run, c.ks[:size])
		for i := size; i < n; i += size {
			c.block.Encrypt(run[i:i+size], p[i-size:i])
		}
		c.block.Encrypt(c.ks[:size], p[n-size:n])
		subtle.XORBytes(p[:n], p[:n], run)
		p = p[n:]
	}
	c.partial(p, false)
}

// encrypt encrypts p in place. With X the keystream, C[i] = P[i] ^ X[i] and
// X[i+1] = E(C[i]) = E(P[i] ^ X[i]): the keystream is the CBC encryption of the
// plaintext, begun at X[0].
func (c *cfb) encrypt(p []byte) {
	if c.used > 0 {
		p = p[c.partial(p, true):]
	}
	size := c.size
	if len(p) >= size {
		cbc := cipher.NewCBCEncrypter(c.block, c.ks[:size])
		for len(p) >= size {
			n := min(len(p)/size*size, cfbRun)
			run := c.run[:n]
			cbc.CryptBlocks(run, p[:n])
			subtle.XORBytes(p[:size], p[:size], c.ks[:size])
			subtle.XORBytes(p[size:n], p[size:n], run[:n-size])
			copy(c.ks[:size], run[n-size:])
			p = p[n:]
		}
	}
	c.partial(p, true)
}

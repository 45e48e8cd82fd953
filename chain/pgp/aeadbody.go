package pgp

import (
	"crypto/cipher"
	"fmt"
	"io"
	"slices"
)

// aeadBody decrypts the body of an AEAD encrypted data packet (tag 20): chunks, each with
// a tag, and a final tag for how many there are. It gives no byte out whose chunk was not
// found good, nor, of the last chunk, before the final tag was.
type aeadBody struct {
	src  io.Reader
	head aeadHead
	aead cipher.AEAD // of key; nil before one was found that fits
	key  SessionKey

	buf   []byte // stored bytes of the chunk in hand, and as many behind it as a final tag has
	chunk int    // bytes of buf that are the chunk with its tag; 0: none is left
	last  bool   // what is behind it is the final tag
	first []byte // what the first chunk decrypts to under key
	index uint64 // number of the chunk
	total uint64 // bytes decrypted before it
	plain []byte // decrypted, and not yet read
	err   error  // after plain
}

// readAEAD reads the head of a packet's body, from behind the version, and its first chunk.
func readAEAD(src io.Reader) (*aeadBody, error) {
	head, err := readAEADHead(src)
	if err != nil {
		return nil, err
	}
	b := &aeadBody{src: src, head: head}
	return b, b.fetch()
}

func (b *aeadBody) protection() protection { return byChunk }

func (b *aeadBody) before() ([]byte, int) { return nil, 0 }

// fetch reads the next chunk. The buffer grows with what there is of it, whatever length
// the head claims.
func (b *aeadBody) fetch() error {
	want := b.head.chunkSize() + 2*aeadTagSize
	n := copy(b.buf, b.buf[b.chunk:])
	var err error
	for b.buf = b.buf[:n]; n < want && err == nil; n = len(b.buf) {
		if n == cap(b.buf) {
			b.buf = slices.Grow(b.buf, min(want-n, max(n, bufferSize)))
		}
		var more int
		more, err = readFill(b.src, b.buf[n:min(cap(b.buf), want)])
		b.buf = b.buf[:n+more]
	}
	if err != nil && err != io.EOF {
		return err
	}
	b.last = err == io.EOF
	b.chunk = n - aeadTagSize
	if b.chunk < 0 || b.chunk > 0 && b.chunk < aeadTagSize {
		return fmt.Errorf("%w: %w", ErrIntegrity, io.ErrUnexpectedEOF)
	}
	return nil
}

// open decrypts the chunk in hand to the end of dst. Of a body without any chunk the
// final tag stands for it.
func (b *aeadBody) open(aead cipher.AEAD, dst []byte) ([]byte, error) {
	if b.chunk == 0 {
		return dst, b.checkFinal(aead)
	}
	plain, err := aead.Open(dst, b.head.nonce(b.index), b.buf[:b.chunk], b.head.data(b.index))
	if err != nil {
		return nil, fmt.Errorf("%w: chunk %d of AEAD encrypted data does not match its tag", ErrIntegrity, b.index)
	}
	return plain, nil
}

// checkFinal checks the tag at the end, when all chunks are counted.
func (b *aeadBody) checkFinal(aead cipher.AEAD) error {
	if _, err := aead.Open(nil, b.head.nonce(b.index), b.buf[b.chunk:], b.head.finalData(b.index, b.total)); err != nil {
		return fmt.Errorf("%w: AEAD encrypted data of %d bytes do not match the final tag", ErrIntegrity, b.total)
	}
	return nil
}

// fits reports whether the first chunk is good under the key. What comes of it is kept
// for start: it may be 4 MiB.
func (b *aeadBody) fits(key SessionKey) bool {
	aead, err := b.head.under(key)
	if err != nil {
		return false
	}
	first, err := b.open(aead, make([]byte, 0, b.chunk))
	if err != nil {
		return false
	}
	b.aead, b.key, b.first = aead, key, first
	return true
}

func (b *aeadBody) start(key SessionKey) error {
	known := b.aead != nil && b.key.algo == key.algo && slices.Equal(b.key.key, key.key)
	if !known && !b.fits(key) {
		return errMisfit
	}
	b.plain, b.err = b.take(b.first)
	b.first = nil
	return nil
}

// take counts the chunk in hand and, after the last one, checks the final tag. The error
// goes with what is returned, io.EOF if all is well.
func (b *aeadBody) take(plain []byte) ([]byte, error) {
	b.total += uint64(len(plain))
	if b.chunk > 0 {
		b.index++
	}
	if !b.last {
		return plain, nil
	}
	if err := b.checkFinal(b.aead); err != nil {
		return nil, err
	}
	return plain, io.EOF
}

// fill decrypts the next chunk, over what is stored of it.
func (b *aeadBody) fill() {
	if b.err = b.fetch(); b.err != nil {
		return
	}
	plain, err := b.open(b.aead, b.buf[:0])
	if err != nil {
		b.err = err
		return
	}
	b.plain, b.err = b.take(plain)
}

func (b *aeadBody) Read(p []byte) (int, error) {
	for len(b.plain) == 0 {
		if b.err != nil {
			b.buf = nil
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.plain)
	b.plain = b.plain[n:]
	return n, nil
}

func (b *aeadBody) drain() error {
	for b.err == nil {
		b.fill()
	}
	b.plain, b.buf = nil, nil
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

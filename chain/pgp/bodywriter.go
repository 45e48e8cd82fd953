package pgp

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"hash"
	"io"
)

const (
	tagSEIPD = 18
	tagMDC   = 19

	// chunkBits makes the body's partial chunks 64 KiB.
	chunkBits = 16
	chunkSize = 1 << chunkBits

	mdcSize = 2 + sha1.Size // D3 14 and the digest, in bytes
)

// compressedHeader opens a compressed data packet: old format, indeterminate
// length, algorithm ZIP, which is raw deflate.
const compressedHeader = "\xA3\x01"

var errClosed = errors.New("pgp: write after Close")

// WriterOptions say what a BodyWriter's content is.
type WriterOptions struct {
	// Compressed: the content is one raw deflate stream; the header of the compressed
	// packet is put before it. Otherwise the content is plain packets.
	Compressed bool
}

// BodyWriter encrypts the content of one message: ESK packets, then a SEIPDv1
// packet in chunks of 64 KiB, with its MDC at the end. It holds one chunk in memory.
// Not for concurrent use. Errors of the underlying writer stick.
type BodyWriter struct {
	w       io.Writer
	cfb     *cfb
	mac     hash.Hash
	buf     []byte // one octet of length, then up to chunkSize of the body
	plainAt int    // buf from here on is not yet hashed and encrypted
	layout  Layout
	chunks  int64 // written, but for the last
	prefix  [PrefixSize]byte
	err     error
}

// NewWriter starts a message: the head is written to w at once. The caller must
// Close the writer, which does not close w.
func (s *Session) NewWriter(w io.Writer, opt WriterOptions) (*BodyWriter, error) {
	block, err := s.key.algo.newBlock(s.key.key)
	if err != nil {
		return nil, err
	}
	b := &BodyWriter{w: w, cfb: newCFB(block, nil), mac: sha1.New(), buf: make([]byte, 1, 1+chunkSize)}
	head := append(s.ESK(), 0xC0|tagSEIPD)
	b.layout.Head = int64(len(head))
	if _, err := w.Write(head); err != nil {
		return nil, err
	}
	b.buf = append(b.buf, 1) // version
	b.plainAt = len(b.buf)
	if err := b.writePrefix(block.BlockSize()); err != nil {
		return nil, err
	}
	if opt.Compressed {
		if err := b.put([]byte(compressedHeader)); err != nil {
			return nil, err
		}
	}
	b.layout.Start, b.layout.Len = b.layout.Len, 0
	return b, nil
}

// writePrefix puts the random block and its last two octets again, RFC 4880 §5.13.
func (b *BodyWriter) writePrefix(size int) error {
	prefix := make([]byte, size+2)
	rand.Read(prefix[:size])
	copy(prefix[size:], prefix[size-2:size])
	b.layout.Len = 1
	return b.put(prefix)
}

// Write encrypts p as the next bytes of the content. p is not kept or changed.
func (b *BodyWriter) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if err := b.put(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// put appends to the body and sends off whole chunks, but never the last byte of
// all: a chunk goes out when more follows, since the body must end with a definite
// length.
func (b *BodyWriter) put(p []byte) error {
	b.layout.Len += int64(len(p))
	for len(p) > 0 {
		if len(b.buf) == 1+chunkSize {
			if err := b.flushChunk(); err != nil {
				return err
			}
		}
		n := min(len(p), 1+chunkSize-len(b.buf))
		b.buf = append(b.buf, p[:n]...)
		p = p[n:]
	}
	return nil
}

// seal hashes and encrypts what lies unencrypted in the buffer.
func (b *BodyWriter) seal() {
	plain := b.buf[b.plainAt:]
	b.mac.Write(plain)
	b.cfb.encrypt(plain)
	b.plainAt = len(b.buf)
	if b.chunks == 0 {
		copy(b.prefix[:], b.buf[2:]) // behind length and version
	}
}

func (b *BodyWriter) flushChunk() error {
	b.seal()
	b.buf[0] = partialOctet(chunkBits)
	if _, err := b.w.Write(b.buf); err != nil {
		b.err = err
		return err
	}
	b.chunks++
	b.buf, b.plainAt = b.buf[:1], 1
	return nil
}

// Close ends the message with its MDC. Only a nil error means that it is whole.
func (b *BodyWriter) Close() error {
	if b.err != nil {
		if b.err == errClosed {
			return nil
		}
		return b.err
	}
	b.seal()
	b.mac.Write([]byte{0xC0 | tagMDC, sha1.Size})
	mdc := b.mac.Sum([]byte{0xC0 | tagMDC, sha1.Size})
	if err := b.putSealed(mdc); err != nil {
		return err
	}
	last := binary.BigEndian.AppendUint32([]byte{0xFF}, uint32(len(b.buf)-1))
	if err := writeBoth(b.w, last, b.buf[1:]); err != nil {
		b.err = err
		return err
	}
	if b.chunks > 0 {
		b.layout.Runs = append(b.layout.Runs, Run{[]byte{partialOctet(chunkBits)}, b.chunks})
	}
	b.layout.Runs = append(b.layout.Runs, Run{last, 1})
	b.err = errClosed
	return nil
}

// putSealed appends bytes that are encrypted but not hashed: the MDC.
func (b *BodyWriter) putSealed(p []byte) error {
	b.cfb.encrypt(p)
	for len(p) > 0 {
		if len(b.buf) == 1+chunkSize {
			b.plainAt = len(b.buf)
			if err := b.flushChunk(); err != nil {
				return err
			}
		}
		n := min(len(p), 1+chunkSize-len(b.buf))
		b.buf = append(b.buf, p[:n]...)
		b.plainAt = len(b.buf)
		p = p[n:]
	}
	return nil
}

// Prefix is a copy of the first encrypted octets, for [Keyring.SessionKey], as Session.ESK
// is. It is complete after Close.
func (b *BodyWriter) Prefix() []byte { return bytes.Clone(b.prefix[:]) }

// Layout says where the content lies in the stored message. It is complete after Close.
func (b *BodyWriter) Layout() Layout { return b.layout }

package pgp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash"
	"hash/adler32"
	"io"

	"hindsight/chain/inflate"
)

var errZlib = errors.New("malformed zlib data")

// zlibReader reads a zlib stream (RFC 1950): raw deflate between a header and a
// checksum.
type zlibReader struct {
	src *bufio.Reader
	z   *inflate.Reader
	sum hash.Hash32
	err error
}

func newZlibReader(src *bufio.Reader) (*zlibReader, error) {
	var head [2]byte
	if _, err := io.ReadFull(src, head[:]); err != nil {
		return nil, noEOF(err)
	}
	const deflate, presetDictionary = 8, 1 << 5
	if head[0]&15 != deflate || head[1]&presetDictionary != 0 || binary.BigEndian.Uint16(head[:])%31 != 0 {
		return nil, errZlib
	}
	return &zlibReader{src: src, z: inflate.NewReader(src), sum: adler32.New()}, nil
}

// Read returns io.EOF only when the checksum is right.
func (r *zlibReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.z.Read(p)
	r.sum.Write(p[:n])
	if err == io.EOF {
		err = r.check()
	}
	r.err = err
	return n, err
}

func (r *zlibReader) check() error {
	var want [4]byte
	if _, err := io.ReadFull(r.src, want[:]); err != nil {
		return noEOF(err)
	}
	if binary.BigEndian.Uint32(want[:]) != r.sum.Sum32() {
		return errZlib
	}
	return io.EOF
}

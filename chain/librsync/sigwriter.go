package librsync

import (
	"encoding/binary"
	"fmt"
	"io"
)

// sigFlush is how many bytes of signature are gathered for one write.
const sigFlush = 4096

// SignatureWriter writes the signature of what is written to it: rollsum and 8 bytes
// of MD4, as `rdiff -H md4 -R rollsum -S 8 signature` and duplicity do.
//
// It holds at most two blocks of the file; blocks that lie whole in the argument of
// Write are summed in place.
type SignatureWriter struct {
	w        io.Writer
	blockLen int
	carry    []byte // less than two blocks, which wait to be summed together
	out      []byte
	err      error
}

var _ io.WriteCloser = (*SignatureWriter)(nil)

// NewSignatureWriter starts a signature in blocks of blockLen bytes, 1..MaxBlockLen;
// it panics on others. The caller has to Close it, which does not close w.
func NewSignatureWriter(w io.Writer, blockLen int) *SignatureWriter {
	s := new(SignatureWriter)
	s.Reset(w, blockLen)
	return s
}

// Reset starts another signature, as NewSignatureWriter does, with the buffers of
// the last one, whether that was closed or not.
func (s *SignatureWriter) Reset(w io.Writer, blockLen int) {
	if blockLen < 1 || blockLen > MaxBlockLen {
		panic(fmt.Sprintf("librsync: block length %d", blockLen))
	}
	s.w, s.blockLen, s.err = w, blockLen, nil
	s.carry, s.out = s.carry[:0], s.out[:0]
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(magicRollsumMD4))
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(blockLen))
	s.out = binary.BigEndian.AppendUint32(s.out, strongLen)
}

// Write takes the next bytes of the file. It fails only as the writer beneath does,
// and then for good.
func (s *SignatureWriter) Write(p []byte) (int, error) {
	n, pair := len(p), 2*s.blockLen
	if len(s.carry) > 0 {
		k := min(pair-len(s.carry), len(p))
		s.carry = append(s.carry, p[:k]...)
		p = p[k:]
		if len(s.carry) == pair {
			s.sumPair(s.carry)
			s.carry = s.carry[:0]
		}
	}
	for len(p) >= pair {
		s.sumPair(p[:pair])
		p = p[pair:]
	}
	s.carry = append(s.carry, p...)
	if s.err != nil {
		return 0, s.err
	}
	return n, nil
}

// sumPair adds the sums of the two blocks of p.
func (s *SignatureWriter) sumPair(p []byte) {
	var sums [2][md4Size]byte
	a, b := p[:s.blockLen], p[s.blockLen:]
	md4Sum2(a, b, &sums)
	s.add(rollsum(a), &sums[0])
	s.add(rollsum(b), &sums[1])
}

func (s *SignatureWriter) sumOne(p []byte) {
	var sum [md4Size]byte
	md4Sum(p, &sum)
	s.add(rollsum(p), &sum)
}

func (s *SignatureWriter) add(weak uint32, strong *[md4Size]byte) {
	s.out = binary.BigEndian.AppendUint32(s.out, weak)
	s.out = append(s.out, strong[:strongLen]...)
	if len(s.out) >= sigFlush {
		s.flush()
	}
}

func (s *SignatureWriter) flush() {
	if s.err == nil {
		_, s.err = s.w.Write(s.out)
	}
	s.out = s.out[:0]
}

// Close sums the last block, which may be short, and writes what is left. It does
// not close the writer beneath.
func (s *SignatureWriter) Close() error {
	if s.err == errClosed {
		return nil
	}
	for p := s.carry; len(p) > 0; {
		n := min(len(p), s.blockLen)
		s.sumOne(p[:n])
		p = p[n:]
	}
	s.flush()
	err := s.err
	if err == nil {
		s.err = errClosed
	}
	return err
}

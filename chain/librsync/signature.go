package librsync

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"golang.org/x/crypto/blake2b"
)

// magic is the first word of a signature: which weak and which strong sum it has.
type magic uint32

const (
	magicRollsumMD4      magic = 0x72730136
	magicRollsumBlake2   magic = 0x72730137
	magicRabinKarpMD4    magic = 0x72730146
	magicRabinKarpBlake2 magic = 0x72730147
)

func (m magic) blake2() bool    { return m == magicRollsumBlake2 || m == magicRabinKarpBlake2 }
func (m magic) rabinKarp() bool { return m == magicRabinKarpMD4 || m == magicRabinKarpBlake2 }

// maxStrong is the length of the whole digest, 0 for an unknown magic.
func (m magic) maxStrong() int {
	switch m {
	case magicRollsumMD4, magicRabinKarpMD4:
		return md4Size
	case magicRollsumBlake2, magicRabinKarpBlake2:
		return blake2b.Size256
	}
	return 0
}

// chunkBlocks is how many block sums share one allocation: enough to make few of
// them, few enough that a small signature does not grow into a large one.
const chunkBlocks = 4096

// Signature is the block sums of a basis, ready to be searched. It is immutable and
// safe for concurrent use. It takes about 20 bytes per block of a signature that
// duplicity wrote: 12 for the sums as they were read, 6 for the table, up to 3 for
// its filter.
type Signature struct {
	magic     magic
	blockLen  int
	strongLen int
	recordLen int      // 4 + strongLen
	blocks    int      // number of records
	records   [][]byte // chunkBlocks records each, but for the last
	table     table
}

// BlockLen is the length of all blocks but the last, in bytes, 1..MaxBlockLen.
func (s *Signature) BlockLen() int { return s.blockLen }

// StrongLen is how many bytes of strong sum a block has, 1..32. Eight, as duplicity
// writes, make a false match unlikely; few do not, and a delta made with them may
// give a wrong file.
func (s *Signature) StrongLen() int { return s.strongLen }

// Blocks is the number of blocks; that times BlockLen is at most 2^62.
func (s *Signature) Blocks() int { return s.blocks }

// ReadSignature reads a signature to the end of r. It returns ErrTooLarge if the
// result and the two blocks that a DeltaWriter holds would together take more than
// maxBytes of memory, a *CorruptError for what is no signature, and
// io.ErrUnexpectedEOF (wrapped) for one that is cut short.
func ReadSignature(r io.Reader, maxBytes int64) (*Signature, error) {
	s, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	spare := maxBytes - 2*int64(s.blockLen)
	limit := max(0, spare) / (int64(s.recordLen) + tableBytesPerBlock)
	if spare < 0 {
		return nil, ErrTooLarge
	}
	if err := s.readRecords(r, min(limit, math.MaxUint32-1)); err != nil {
		return nil, err
	}
	s.table.build(s)
	return s, nil
}

func readHeader(r io.Reader) (*Signature, error) {
	var head [headerLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read signature header: %w", err)
	}
	kind := magic(binary.BigEndian.Uint32(head[0:]))
	blockLen := binary.BigEndian.Uint32(head[4:])
	strong := binary.BigEndian.Uint32(head[8:])
	switch {
	case kind.maxStrong() == 0:
		return nil, &CorruptError{0, fmt.Sprintf("%#x is not the magic of a signature", uint32(kind))}
	case blockLen < 1 || blockLen > MaxBlockLen:
		return nil, &CorruptError{4, fmt.Sprintf("block length %d is not in 1..%d", blockLen, MaxBlockLen)}
	case strong < 1 || strong > uint32(kind.maxStrong()):
		return nil, &CorruptError{8, fmt.Sprintf("strong sum length %d is not in 1..%d", strong, kind.maxStrong())}
	}
	return &Signature{magic: kind, blockLen: int(blockLen), strongLen: int(strong), recordLen: 4 + int(strong)}, nil
}

// readRecords reads at most limit records, to the end of r.
func (s *Signature) readRecords(r io.Reader, limit int64) error {
	size := 32 * s.recordLen
	for {
		chunk, err := readChunk(r, size, chunkBlocks*s.recordLen)
		whole := len(chunk) / s.recordLen
		s.blocks += whole
		if int64(s.blocks) > limit {
			return ErrTooLarge
		}
		if whole > 0 {
			s.records = append(s.records, chunk[:whole*s.recordLen])
		}
		if err == io.EOF && len(chunk)%s.recordLen != 0 {
			err = io.ErrUnexpectedEOF
		}
		switch err {
		case nil:
			size = chunkBlocks * s.recordLen
		case io.EOF:
			return nil
		default:
			return fmt.Errorf("read signature block %d: %w", s.blocks, err)
		}
	}
}

// readChunk reads full bytes, or less with the error that ended r. Its buffer has
// size bytes at first and grows with what comes. Unlike io.ReadFull it does not turn
// the end of r into io.ErrUnexpectedEOF, which a truncated r returns itself.
func readChunk(r io.Reader, size, full int) ([]byte, error) {
	chunk := make([]byte, 0, size)
	for {
		n, err := r.Read(chunk[len(chunk):cap(chunk)])
		chunk = chunk[:len(chunk)+n]
		switch {
		case len(chunk) == full && (err == nil || err == io.EOF):
			return chunk, nil // an end here is told again by the next read
		case err != nil:
			return chunk, err
		case len(chunk) == cap(chunk):
			grown := make([]byte, len(chunk), min(4*len(chunk), full))
			copy(grown, chunk)
			chunk = grown
		}
	}
}

// record is the weak sum, big-endian, and the strong sum of block i.
func (s *Signature) record(i int) []byte {
	off := i % chunkBlocks * s.recordLen
	return s.records[i/chunkBlocks][off : off+s.recordLen]
}

func (s *Signature) weak(i int) uint32 { return binary.BigEndian.Uint32(s.record(i)) }

func (s *Signature) weakSum(p []byte) uint32 {
	if s.magic.rabinKarp() {
		return rabinKarp(p)
	}
	return rollsum(p)
}

// strongSum is the strong sum of p, of which strongLen bytes count.
type strongSum [blake2b.Size256]byte

func (s *Signature) strongSum(p []byte, sum *strongSum) {
	if s.magic.blake2() {
		*sum = blake2b.Sum256(p)
		return
	}
	md4Sum(p, (*[md4Size]byte)(sum[:md4Size]))
}

// strongSum2 sums two blocks of equal length, with MD4 in little more than the time
// of one.
func (s *Signature) strongSum2(p, q []byte, sums *[2]strongSum) {
	if s.magic.blake2() {
		sums[0], sums[1] = blake2b.Sum256(p), blake2b.Sum256(q)
		return
	}
	var md4s [2][md4Size]byte
	md4Sum2(p, q, &md4s)
	copy(sums[0][:], md4s[0][:])
	copy(sums[1][:], md4s[1][:])
}

func (s *Signature) strongIs(i int, sum *strongSum) bool {
	return string(s.record(i)[4:]) == string(sum[:s.strongLen])
}

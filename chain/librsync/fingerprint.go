package librsync

import (
	"encoding/binary"
	"errors"
	"io"
)

// Fingerprint stands for a signature in few bytes, however large the file: two
// sums, each over numbers made of every block's place, weak sum and strong sum. As
// sums do not depend on an order, that of a file whose blocks come in any order can be
// made as they come, and compared with == to that of the signature that was stored.
// It tells damage, not malice. The zero value stands for no signature.
type Fingerprint struct {
	magic     magic
	blockLen  int32
	strongLen int32
	blocks    int64
	sums      [2]uint64
}

// ReadFingerprint reads a signature to the end of r, with the errors of
// ReadSignature but for ErrTooLarge.
func ReadFingerprint(r io.Reader) (Fingerprint, error) {
	s, err := readHeader(r)
	if err != nil {
		return Fingerprint{}, err
	}
	f := Fingerprint{magic: s.magic, blockLen: int32(s.blockLen), strongLen: int32(s.strongLen)}
	buf := make([]byte, 128*s.recordLen)
	for {
		n, err := io.ReadFull(r, buf)
		ended := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !ended {
			return Fingerprint{}, err
		}
		if n%s.recordLen != 0 {
			return Fingerprint{}, io.ErrUnexpectedEOF
		}
		for p := buf[:n]; len(p) > 0; p = p[s.recordLen:] {
			f.count(f.blocks, binary.BigEndian.Uint32(p), p[4:s.recordLen])
		}
		if ended {
			return f, nil
		}
	}
}

// BlockLen is the length of all blocks but the last, in bytes, 1..MaxBlockLen.
func (f *Fingerprint) BlockLen() int64 { return int64(f.blockLen) }

// Blocks is the number of blocks.
func (f *Fingerprint) Blocks() int64 { return f.blocks }

// Empty is a fingerprint of the same kind to which no block was added.
func (f *Fingerprint) Empty() Fingerprint {
	return Fingerprint{magic: f.magic, blockLen: f.blockLen, strongLen: f.strongLen}
}

// Add adds the content of block i.
func (f *Fingerprint) Add(i int64, block []byte) {
	s := Signature{magic: f.magic}
	var sum strongSum
	s.strongSum(block, &sum)
	f.count(i, s.weakSum(block), sum[:f.strongLen])
}

// AddPair adds two blocks of BlockLen bytes, the first of which is block i, in little
// more than the time of one.
func (f *Fingerprint) AddPair(i int64, blocks []byte) {
	s := Signature{magic: f.magic}
	a, b := blocks[:f.blockLen], blocks[f.blockLen:]
	var sums [2]strongSum
	s.strongSum2(a, b, &sums)
	f.count(i, s.weakSum(a), sums[0][:f.strongLen])
	f.count(i+1, s.weakSum(b), sums[1][:f.strongLen])
}

// Merge adds all blocks of another fingerprint of the same kind.
func (f *Fingerprint) Merge(g *Fingerprint) {
	f.blocks += g.blocks
	f.sums[0] += g.sums[0]
	f.sums[1] += g.sums[1]
}

// count adds a block by its sums.
func (f *Fingerprint) count(i int64, weak uint32, strong []byte) {
	const odd = 0x9e3779b97f4a7c15 // of the golden ratio
	h := mix(uint64(i)*odd + uint64(weak))
	for len(strong) > 0 {
		var word [8]byte
		n := copy(word[:], strong)
		strong = strong[n:]
		h = mix(h ^ binary.LittleEndian.Uint64(word[:]) + odd)
	}
	f.blocks++
	f.sums[0] += h
	f.sums[1] += mix(h + odd)
}

// mix makes every bit depend on every bit (David Stafford's 13th mixer).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fingerprintLen is the length of an encoded fingerprint.
const fingerprintLen = 4 + 4 + 4 + 8 + 8 + 8

// Append appends f's encoding to b, for temporary storage: it is of no lasting format.
func (f *Fingerprint) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(f.magic))
	b = binary.LittleEndian.AppendUint32(b, uint32(f.blockLen))
	b = binary.LittleEndian.AppendUint32(b, uint32(f.strongLen))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.blocks))
	b = binary.LittleEndian.AppendUint64(b, f.sums[0])
	return binary.LittleEndian.AppendUint64(b, f.sums[1])
}

// DecodeFingerprint decodes what Append made.
func DecodeFingerprint(b []byte) (Fingerprint, error) {
	if len(b) != fingerprintLen {
		return Fingerprint{}, errors.New("librsync: fingerprint of another length")
	}
	le := binary.LittleEndian
	return Fingerprint{
		magic: magic(le.Uint32(b)), blockLen: int32(le.Uint32(b[4:])), strongLen: int32(le.Uint32(b[8:])),
		blocks: int64(le.Uint64(b[12:])), sums: [2]uint64{le.Uint64(b[20:]), le.Uint64(b[28:])},
	}, nil
}

package extract

import (
	"github.com/zeebo/blake3"

	"hindsight/chain/librsync"
)

// contentSum compares a content that comes in order with what is known of it.
type contentSum struct {
	known  *Known
	hash   *blake3.Hasher // nil: go by blocks
	blocks librsync.Fingerprint
	carry  []byte // less than a block
	over   bool   // a block is too long to be held
}

func newContentSum(k *Known) *contentSum {
	s := &contentSum{known: k}
	if k.HasHash {
		s.hash = blake3.New()
	} else {
		s.blocks = k.Blocks.Empty()
	}
	return s
}

func (s *contentSum) write(p []byte) {
	if s.hash != nil {
		_, _ = s.hash.Write(p) // never fails
		return
	}
	size := int(s.blocks.BlockLen())
	for len(p) > 0 && !s.over {
		if len(s.carry) == 0 && len(p) >= 2*size {
			s.blocks.AddPair(s.blocks.Blocks(), p[:2*size])
			p = p[2*size:]
			continue
		}
		n := min(size-len(s.carry), len(p))
		if s.over = len(s.carry)+n > maxSummed; s.over {
			break
		}
		s.carry = append(s.carry, p[:n]...)
		if p = p[n:]; len(s.carry) == size {
			s.last()
		}
	}
}

// last adds the block at hand.
func (s *contentSum) last() {
	s.blocks.Add(s.blocks.Blocks(), s.carry)
	s.carry = s.carry[:0]
}

// matches says at the end whether the content is the one that is known, as far as that
// can be told.
func (s *contentSum) matches() bool {
	if s.hash != nil {
		return [32]byte(s.hash.Sum(nil)) == s.known.Hash
	}
	if s.over {
		return false
	}
	if len(s.carry) > 0 {
		s.last()
	}
	return s.blocks == s.known.Blocks
}

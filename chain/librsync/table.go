package librsync

import "math/bits"

const (
	// maxProbes bounds the slots looked at for one weak sum. A block that finds no
	// free slot within it is left out: then a match may be missed, but no crafted
	// signature makes a search slow.
	maxProbes = 128

	// tableBytesPerBlock is the most that slots and filter take for a block.
	tableBytesPerBlock = 9
)

// table finds blocks by their weak sum: open addressing with linear probing, in
// front of it a filter that turns away nearly all sums that no block has. The filter
// is what a delta's inner loop touches, so it is small enough for the cache.
type table struct {
	slots  []uint32 // block number + 1, 0 is free; filled to two thirds
	filter []uint64 // each sum sets two bits of one word
	shift  uint8    // of a hash, down to an index of filter
}

// hash spreads a weak sum over 64 bits; the upper ones are the good ones.
func hash(weak uint32) uint64 { return uint64(weak) * 0x9e3779b97f4a7c15 }

// filterMasks has all places of two bits in a word that filterMask may name.
var filterMasks = func() (masks [512]uint64) {
	for i := range masks {
		a := i % 64
		masks[i] = 1<<a | 1<<((a+1+i/64*7)%64)
	}
	return masks
}()

// filterMask is the bits that a hash sets in its word.
func filterMask(h uint64) uint64 { return filterMasks[h>>30%512] }

// mayHave tells whether a block may have the weak sum: false is certain.
func mayHave(filter []uint64, shift uint8, weak uint32) bool {
	h := hash(weak)
	mask := filterMask(h)
	return filter[h>>(shift&63)]&mask == mask
}

func (t *table) slot(weak uint32) int {
	hi, _ := bits.Mul64(hash(weak), uint64(len(t.slots)))
	return int(hi)
}

// build enters the blocks of s, in order: of equal ones only the first.
func (t *table) build(s *Signature) {
	if s.blocks == 0 {
		return
	}
	t.slots = make([]uint32, s.blocks+s.blocks/2+1)
	logWords := max(1, bits.Len(uint(s.blocks-1)/6)) // 12..24 bits per block
	t.filter = make([]uint64, 1<<logWords)
	t.shift = uint8(64 - logWords)
	for i := range s.blocks {
		weak := s.weak(i)
		h := hash(weak)
		t.filter[h>>t.shift] |= filterMask(h)
		t.insert(s, i, weak)
	}
}

func (t *table) insert(s *Signature, i int, weak uint32) {
	at := t.slot(weak)
	for range min(maxProbes, len(t.slots)) {
		if t.slots[at] == 0 {
			t.slots[at] = uint32(i) + 1
			return
		}
		if string(s.record(int(t.slots[at]-1))) == string(s.record(i)) {
			return
		}
		if at++; at == len(t.slots) {
			at = 0
		}
	}
}

// find is the slot of the first block at or after slot at, on the way of the weak
// sum, that has it, and how many of the probes are left; -1 if there is none.
func (t *table) find(s *Signature, weak uint32, at, probes int) (int, int) {
	for ; probes > 0; probes-- {
		if at == len(t.slots) {
			at = 0
		}
		v := t.slots[at]
		if v == 0 {
			return -1, 0
		}
		if s.weak(int(v-1)) == weak {
			return at, probes
		}
		at++
	}
	return -1, 0
}

// has tells whether a block that can be found has the weak sum.
func (t *table) has(s *Signature, weak uint32) bool {
	at, _ := t.find(s, weak, t.slot(weak), min(maxProbes, len(t.slots)))
	return at >= 0
}

// lookup is the first block with both sums, or -1.
func (t *table) lookup(s *Signature, weak uint32, strong *strongSum) int {
	at, probes := t.slot(weak), min(maxProbes, len(t.slots))
	for {
		if at, probes = t.find(s, weak, at, probes); at < 0 {
			return -1
		}
		if i := int(t.slots[at] - 1); s.strongIs(i, strong) {
			return i
		}
		at, probes = at+1, probes-1
	}
}

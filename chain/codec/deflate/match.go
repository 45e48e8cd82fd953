package deflate

import (
	"math/bits"
	"unsafe"
)

const (
	window = 1 << 15

	// longLen is how many bytes the hash of m.long is of.
	longLen  = 7
	longBits = 15
	nearBits = 12

	hashMult     = 0x9E3779B1
	longHashMult = 0x9E3779B185EBCA87

	// Positions are kept modulo window, in 16 bits each. In buckets a guard bit stands above
	// each, so that four can be subtracted from at once.
	lanes  = 1<<48 | 1<<32 | 1<<16 | 1
	guards = window * lanes
	places = (window - 1) * lanes

	// marks are the bits that tell a match of three bytes from one of four, up to whole;
	// see score.
	marks   = 1<<24 | 1<<32 | 1<<40 | 1<<48 | 1<<56
	markOf3 = 1 << 24
	markOf4 = 1 << 32
	// whole is the length from which score does not tell matches apart.
	whole = 7

	// loadLen is how many bytes a load takes: a position nearer to the end is not searched.
	loadLen = 8
)

// bucket holds the last positions of one hash, four to a word, the last of them lowest.
type bucket interface {
	[1]uint64 | [2]uint64 | [4]uint64 | [8]uint64
}

// bucketBits is the number of bits of the hash that picks a bucket of so many bytes. All tables
// up to level 6, and those of parseGreedy, fit the cache next to a core beside the block.
func bucketBits(size int) int {
	if size <= 16 {
		return 14
	}
	return 13
}

// matcher is what is known of the positions of one block before the one being searched:
// buckets by the hash of four bytes, and the last position by that of longLen bytes. The
// last one by that of three is that of those that were searched; those that a match covers
// are left out.
//
// parseGreedy has its tables in buckets, and none else.
//
// An entry never set is position 0. A position modulo window that is older than the window
// stands for one inside it, which may not have that hash; as any other, it is compared.
type matcher struct {
	buckets []uint64
	long    [1 << longBits]uint16
	near    [1 << nearBits]uint16
}

// reset makes all entries 0, for buckets of so many bytes.
func (m *matcher) reset(size int) {
	m.room(size << bucketBits(size) / 8)
	for i := range m.buckets {
		m.buckets[i] = guards
	}
	clear(m.long[:])
	clear(m.near[:])
}

// room makes buckets of so many words.
func (m *matcher) room(words int) {
	if len(m.buckets) != words {
		m.buckets = make([]uint64, words)
	}
}

func load64(p unsafe.Pointer, i int) uint64 { return *(*uint64)(unsafe.Add(p, i)) }

func store64(p unsafe.Pointer, i int, v uint64) { *(*uint64)(unsafe.Add(p, i)) = v }

func load8(p unsafe.Pointer, i int) byte { return *(*byte)(unsafe.Add(p, i)) }

// bucketAt is the offset of the bucket of v's first four bytes.
func bucketAt(v uint64, size int) int {
	return int(uint32(v)*hashMult>>(32-bucketBits(size))) * size
}

func hashLong(v uint64) int { return int(v << (64 - 8*longLen) * longHashMult >> (64 - longBits)) }

func hashNear(v uint64) int { return int(uint32(v) << 8 * hashMult >> (32 - nearBits)) }

// push shifts a word of a bucket for one more position and returns what it was.
func push(buckets unsafe.Pointer, at int, position uint64) uint64 {
	w := load64(buckets, at)
	store64(buckets, at, w<<16|position)
	return w
}

// score orders candidates by the length of their match with v, up to whole, and then by
// nearness: place is the candidate's distance from the far end of the window, which
// begins at from. It takes no branch, as none could be foreseen.
func score(src unsafe.Pointer, from int, place, v uint64) uint64 {
	x := load64(src, from+int(place)) ^ v
	return (x^(x-1))&marks | place // all bits up to the first that differs
}

// replace is the best of best and the candidate in slot, which becomes position.
func replace(slot *uint16, position, best uint64, src unsafe.Pointer, from int, v uint64) uint64 {
	place := (uint64(*slot) - position) & (window - 1)
	*slot = uint16(position)
	return max(best, score(src, from, place, v))
}

// best2 is the best of best and the candidates in the halves of w.
func best2(best uint64, src unsafe.Pointer, from int, w uint32, v uint64) uint64 {
	best = max(best, score(src, from, uint64(uint16(w)), v))
	return max(best, score(src, from, uint64(w>>16), v))
}

// cover enters the positions from pos up to end.
func cover[B bucket](m *matcher, src unsafe.Pointer, pos, end int) {
	var b B
	size := int(unsafe.Sizeof(b))
	buckets := unsafe.Pointer(unsafe.SliceData(m.buckets))
	for ; pos < end; pos++ {
		v := load64(src, pos)
		m.long[hashLong(v)] = uint16(pos & (window - 1))
		at := bucketAt(v, size)
		w := push(buckets, at, uint64(pos)&(window-1)|window)
		if size > 8 {
			w = push(buckets, at+8, w>>48)
		}
		if size > 16 {
			for i := at + 16; i < at+size; i += 8 {
				w = push(buckets, i, w>>48)
			}
		}
	}
}

// longer looks for a match that is longer still than one of at least whole bytes, among
// the positions of a bucket of words into which pos was entered last.
func longer[B bucket](m *matcher, src unsafe.Pointer, pos, limit, length, dist int) (int, int) {
	var b B
	size := int(unsafe.Sizeof(b))
	v := load64(src, pos)
	at := bucketAt(v, size) / 8
	tail := load64(src, pos+length-7)
	from := pos - window
	skip := 1 // pos itself
	for _, w := range m.buckets[at : at+size/8] {
		w = (w - uint64(pos)&(window-1)*lanes) & places >> (16 * skip & 63)
		for range 4 - skip {
			at := from + int(w&0xffff)
			w >>= 16
			if load64(src, at+length-7) != tail || (load64(src, at)^v)<<8 != 0 {
				continue
			}
			if n := extend(src, at, pos, limit); n > length {
				length, dist = n, pos-at
				if n == limit {
					return length, dist
				}
				tail = load64(src, pos+length-7)
			}
		}
		skip = 0
	}
	return length, dist
}

// extend is the length, up to limit, of a match that has at least whole bytes.
func extend(src unsafe.Pointer, at, pos, limit int) int {
	n := whole
	for ; n+loadLen <= limit; n += loadLen {
		if x := load64(src, at+n) ^ load64(src, pos+n); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
	}
	for n < limit && load8(src, at+n) == load8(src, pos+n) {
		n++
	}
	return n
}

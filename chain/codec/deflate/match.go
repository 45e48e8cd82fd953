package deflate

import (
	"encoding/binary"
	"math/bits"
)

const (
	window    = 1 << 15
	maxDist   = window - 1
	hashBits  = 16
	hash3Bits = 13

	// maxDist3 is how far a match of three bytes may be and still be shorter than
	// its literals, as a rule.
	maxDist3 = 2048
)

// matcher finds earlier occurrences by the hash of their first four (or three)
// bytes. Positions are kept plus base, which grows from block to block, so that
// tables need not be cleared.
type matcher struct {
	src   []byte
	base  int32
	head  [1 << hashBits]int32
	head3 [1 << hash3Bits]int32
	prev  [window]uint16 // by position: distance to the one before of equal hash; 0: none
}

// reset begins a new block. What the tables hold is then too far away to be found.
func (m *matcher) reset(src []byte) {
	m.base += int32(len(m.src)) + window
	if m.base > 1<<30 {
		clear(m.head[:])
		clear(m.head3[:])
		m.base = window
	}
	m.src = src
}

func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

func hash4(v uint32) uint32 { return v * 0x9E3779B1 >> (32 - hashBits) }

func hash3(v uint32) uint32 { return v << 8 * 0x9E3779B1 >> (32 - hash3Bits) }

// insert enters the position, which has at least four bytes, and returns the last
// positions of equal hash of four and of three bytes, plus base.
func (m *matcher) insert(pos int) (cand, cand3 int32) {
	v := load32(m.src, pos)
	abs := int32(pos) + m.base
	slot, slot3 := &m.head[hash4(v)], &m.head3[hash3(v)]
	cand, cand3 = *slot, *slot3
	*slot, *slot3 = abs, abs
	dist := abs - cand
	if dist > maxDist {
		dist = 0
	}
	m.prev[abs&(window-1)] = uint16(dist)
	return cand, cand3
}

// cover enters the positions from..to-1, which a match covers, for matches of four
// bytes and more.
func (m *matcher) cover(from, to int) {
	src := m.src
	to = min(to, len(src)-4)
	if from >= to {
		return
	}
	run := src[from : to+3]
	abs := int32(from) + m.base
	for i := 0; i+4 <= len(run); i++ {
		slot := &m.head[hash4(load32(run, i))]
		dist := abs - *slot
		*slot = abs
		if dist > maxDist {
			dist = 0
		}
		m.prev[abs&(window-1)] = uint16(dist)
		abs++
	}
}

// find enters the position and looks at up to depth earlier ones for a match longer
// than best, the sooner content the longer it is.
func (m *matcher) find(pos, best, depth, nice int) (length, dist int) {
	src := m.src
	limit := min(maxMatch, len(src)-pos)
	if limit < 4 {
		return 0, 0
	}
	cand, cand3 := m.insert(pos)
	abs := int32(pos) + m.base
	first := load32(src, pos)
	if best < 3 {
		if d := abs - cand3; d <= maxDist3 && load32(src, pos-int(d))<<8 == first<<8 {
			best, length, dist = 3, 3, int(d)
		} else {
			best = 3
		}
	}
	if best >= limit {
		return length, dist
	}
	tail := load32(src, pos+best-3)
	for d := abs - cand; d <= maxDist; {
		at := pos - int(d)
		if load32(src, at+best-3) == tail && load32(src, at) == first {
			if n := extend(src, at, pos, limit); n > best {
				best, length, dist = n, n, int(d)
				if n >= nice || n >= limit {
					break
				}
				tail = load32(src, pos+best-3)
			}
		}
		depth--
		step := m.prev[(abs-d)&(window-1)]
		if step == 0 || depth <= 0 {
			break
		}
		d += int32(step)
	}
	return length, dist
}

// extend is the length of the match, which is known to be at least four.
func extend(src []byte, at, pos, limit int) int {
	a, b := src[at:at+limit], src[pos:pos+limit]
	n := 4
	for n+8 <= len(a) && n+8 <= len(b) {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		n += 8
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

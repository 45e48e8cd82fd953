package deflate

import (
	"math/bits"
	"unsafe"
)

const (
	// greedyMax is the longest match that advance takes by itself.
	greedyMax = whole + loadLen - 1
	// greedyTail is how many bytes at the end of a block are not searched: a match of
	// greedyMax bytes that begins before them leaves a load behind its last byte.
	greedyTail = greedyMax + loadLen
	// greedyRun is how many literals may come before a match, at the least, where advance
	// returns to have them put into a sequence.
	greedyRun  = maxRun
	greedyBits = 16 // of every hash
	// midLen is how many bytes the hash of the middle table is of.
	midLen = 5
	// seqWeight is about that of a sequence in a grain: of a match, and two literals.
	seqWeight = matchWeight + 2
)

// tables tell how many there are: of the last position by the hash of four bytes, of longLen,
// and of midLen.
type tables interface{ [2]uint16 | [3]uint16 }

// greedy takes the best match of every position where none covers it. Its tables have one
// position for each hash, so that to enter one again does no harm: with a match, the same
// few positions at its begin and its end are entered, in a straight line.
//
// Between two matches there should be but one branch that cannot be foreseen: whether the
// second follows on the first at once. Therefore all lengths up to greedyMax are found
// in the same way, and what is rare is left to the caller of advance.
type greedy struct {
	src         unsafe.Pointer
	short, long unsafe.Pointer // tables by the hash of four bytes, of longLen,
	mid         unsafe.Pointer // of midLen; nil: there is none

	seqs   unsafe.Pointer // with room for all there can be
	n      int            // of them
	cut    int            // where their grain is full
	counts *counts        // of its symbols

	last  int // position to search
	pos   int // the next one
	start int // of the literals that are not in a sequence yet
	pause int // where it returns after a literal

	dry      int // where the last match before the sequence dryUntil ended
	dryUntil int

	length, dist int // a match at pos that may be longer than greedyMax; 0: none
}

// parseGreedy makes tokens of src, faster than parse.
func parseGreedy[T tables](m *matcher, t *tokens, src []byte, e *effort) {
	count := t.reset()
	last := len(src) - greedyTail
	if last < 1 {
		count.literals(src)
		t.close(len(src))
		return
	}
	t.room(len(src)/minMatch + 1)
	var all T
	m.room(len(all) << greedyBits / 4)
	clear(m.buckets)
	base := unsafe.Pointer(unsafe.SliceData(m.buckets))
	g := &greedy{
		src: unsafe.Pointer(unsafe.SliceData(src)), short: base, long: unsafe.Add(base, 2<<greedyBits),
		seqs: unsafe.Pointer(unsafe.SliceData(t.seqs)), cut: e.grain / seqWeight, counts: count,
		last: last, pos: 1, pause: greedyRun,
	}
	if len(all) > 2 {
		g.mid = unsafe.Add(base, 4<<greedyBits)
	}
	count[src[0]]++ // it is in the tables: there is nothing else
	for g.pos <= last {
		advance[T](g)
		switch {
		case g.length > 0:
			g.extend(len(src))
		case g.n >= g.cut && g.pos == g.start: // all that is counted is in sequences
			t.seqs = t.seqs[:g.n]
			g.counts = t.cut(g.start)
			g.cut = g.n + e.grain/seqWeight
		case g.pos <= last:
			g.literals(src)
		}
	}
	t.seqs = t.seqs[:g.n]
	g.counts.literals(src[g.pos:])
	t.close(len(src))
}

// literals goes on after many positions without a match: see skipBits.
func (g *greedy) literals(src []byte) {
	if g.n > g.dryUntil { // there was a match
		g.dry = g.start
	}
	if skip := min((g.pos-g.dry)>>skipBits, skipMax, g.last+1-g.pos); skip > 0 {
		g.counts.literals(src[g.pos : g.pos+skip])
		g.pos += skip
	}
	if g.pos-g.start >= maxRun {
		g.put(maxRun << 23)
		g.start += maxRun
		g.cut -= maxRun / seqWeight
	}
	g.pause, g.dryUntil = g.pos+1, g.n
}

// extend takes a match that may be longer than greedyMax.
func (g *greedy) extend(size int) {
	length := extend(g.src, g.pos-g.dist, g.pos, min(maxMatch, size-g.pos))
	g.put(match(g.pos-g.start, length, g.dist))
	g.counts.match(uint8(length-minMatch), uint32(g.dist-1))
	g.start = g.pos + length
	for i := g.pos + 1; i < min(g.start, g.last+1); i++ {
		enter(g.src, g.short, g.long, i)
		if g.mid != nil {
			enterMid(g.src, g.mid, i)
		}
	}
	g.pos, g.pause = g.start, g.start+greedyRun
}

func (g *greedy) put(s seq) {
	*(*seq)(unsafe.Add(g.seqs, g.n*4)) = s
	g.n++
}

// advance goes on until a grain is full, a match may be longer than greedyMax, or pause is
// reached. Between two returns fewer than maxRun literals are left over, so that those
// before a match fit its sequence.
//
// Loads are within src as in parse: those of a match end at pos+whole+loadLen at most, and
// those of a position that is entered before pos+greedyMax+loadLen, which last leaves
// room for. Only positions before pos are entered.
func advance[T tables](g *greedy) {
	var all T
	src, short, mid, long := g.src, g.short, g.mid, g.long
	seqs, count := g.seqs, g.counts
	n, pos, start, pause := g.n, g.pos, g.start, g.pause
	g.length = 0
	for pos <= g.last {
		v := load64(src, pos)
		from := pos - window
		p := uint64(pos) & (window - 1)
		slot := (*uint16)(unsafe.Add(long, longAt(v)))
		best := score(src, from, (uint64(*slot)-p)&(window-1), v)
		*slot = uint16(p)
		best = replace((*uint16)(unsafe.Add(short, shortAt(v))), p, best, src, from, v)
		if len(all) > 2 {
			best = replace((*uint16)(unsafe.Add(mid, midAt(v))), p, best, src, from, v)
		}
		if best < markOf4 {
			count[uint8(v)]++
			pos++
			if pos >= pause {
				break
			}
			continue
		}
		// As in parse, differences that hide from the compiler what comes of best.
		l, _ := bits.Sub64(uint64(bits.Len32(uint32(best>>32))>>3), 0, 0)
		d, _ := bits.Sub64(window, best&(window-1), 0)
		w, _ := bits.Sub64(0, best>>56, 0) // all ones if there may be more
		dist := int(d)
		more := uint64(bits.TrailingZeros64(load64(src, pos+whole)^load64(src, pos-dist+whole))) >> 3
		length := int(l + more&w + minMatch + 1)
		if length > greedyMax {
			g.length, g.dist = length, dist
			break
		}
		*(*seq)(unsafe.Add(seqs, n*4)) = match(pos-start, length, dist)
		n++
		start = pos + length
		enter(src, short, long, pos+1)
		enter(src, short, long, pos+2)
		enter(src, short, long, pos+3)
		if len(all) > 2 {
			enterMid(src, mid, pos+1)
			enterMid(src, mid, pos+2)
			enterMid(src, mid, pos+3)
			enter(src, short, long, start-4)
			enterMid(src, mid, start-4)
			enterMid(src, mid, start-3)
			enterMid(src, mid, start-2)
			enterMid(src, mid, start-1)
		}
		enter(src, short, long, start-3)
		enter(src, short, long, start-2)
		enter(src, short, long, start-1)
		pos, pause = start, start+greedyRun
		count.match(uint8(length-minMatch), uint32(dist-1))
		if n >= g.cut {
			break
		}
	}
	g.n, g.pos, g.start, g.pause = n, pos, start, pause
}

// enter makes pos the last position of its hashes.
func enter(src, short, long unsafe.Pointer, pos int) {
	v := load64(src, pos)
	*(*uint16)(unsafe.Add(long, longAt(v))) = uint16(pos & (window - 1))
	*(*uint16)(unsafe.Add(short, shortAt(v))) = uint16(pos & (window - 1))
}

func enterMid(src, mid unsafe.Pointer, pos int) {
	*(*uint16)(unsafe.Add(mid, midAt(load64(src, pos)))) = uint16(pos & (window - 1))
}

// Offsets in the tables.

func shortAt(v uint64) int { return int(uint32(v)*hashMult>>(32-greedyBits)) * 2 }

func midAt(v uint64) int { return int(v<<(64-8*midLen)*longHashMult>>(64-greedyBits)) * 2 }

func longAt(v uint64) int {
	return int(v<<(64-8*longLen)*longHashMult>>(64-greedyBits)) * 2
}

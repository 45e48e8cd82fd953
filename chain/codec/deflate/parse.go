package deflate

import (
	"math/bits"
	"unsafe"
)

// effort is what a level spends.
type effort struct {
	// parse compares a position with as many as its buckets hold, and one more
	parse func(m *matcher, t *tokens, src []byte, e *effort)
	near  int // how far a match of three bytes may be; 0: none is looked for
	nice  int // a match of this length is taken without looking for a longer one
	lazy  int // a shorter match may give way to a better one that begins a byte later
	// grain is the weight of literals and matches after which a DEFLATE block may end, each
	// of parseGreedy's sequences a weight of 10
	grain int
}

// Level 6, as elsewhere the default, makes about the size that gzip -6 does of one
// long stream.
var efforts = [...]effort{
	1: {parseGreedy[[2]uint16], 0, 0, 0, 8192},
	2: {parseGreedy[[3]uint16], 0, 0, 0, 8192},
	3: {parseGreedy[[3]uint16], 0, 0, 0, 2048},
	4: {parse[[1]uint64], 256, 32, 0, 2048},
	5: {parse[[1]uint64], 512, 16, 8, 2048},
	6: {parse[[1]uint64], 1024, 32, 16, 2048},
	7: {parse[[2]uint64], 1024, 48, 16, 2048},
	8: {parse[[4]uint64], 1024, 64, 32, 1024},
	9: {parse[[8]uint64], 2048, maxMatch, 128, 1024},
}

const (
	// After 2^skipBits literals without a match every second position is left out of
	// the search, after twice as many two of three, and so on: such data do not
	// compress.
	skipBits = 9
	skipMax  = 31

	// matchWeight is that of a match in a grain, where a literal has 1.
	matchWeight = 8
)

// parse makes tokens of src.
//
// All loads are within src: those at pos because it is at most last, those at candidates
// because they are before pos and not before 0, as only positions before pos were
// entered since reset, 0 first. (A place of 0, window bytes back, is one that was entered
// for window bytes back or more, so that pos is at least that.) Those of a match end at
// pos+limit at most.
//
// It is one long function because a call would spill every register: Go has no
// callee-saved ones.
func parse[B bucket](m *matcher, t *tokens, src []byte, e *effort) {
	var b B
	size := int(unsafe.Sizeof(b))
	m.reset(size)
	n := t.reset()
	last := len(src) - loadLen
	if last < 1 {
		n.literals(src)
		t.close(len(src))
		return
	}
	sp := unsafe.Pointer(unsafe.SliceData(src))
	buckets := unsafe.Pointer(unsafe.SliceData(m.buckets))
	near, least := e.near > 0, uint64(markOf4)
	if near {
		least = markOf3
	}
	n[src[0]]++
	cover[B](m, sp, 0, 1)
	start := 0             // of the literals that are not in a sequence yet
	held, heldDist := 0, 0 // match at pos-1 that the one at pos may replace
	grain := e.grain       // what is left of it
	pos := 1
	for pos <= last {
		v := load64(sp, pos)
		from := pos - window
		p := uint64(pos) & (window - 1)
		best := replace(&m.long[hashLong(v)], p, 0, sp, from, v)
		if near {
			best = replace(&m.near[hashNear(v)], p, best, sp, from, v)
		}
		at := bucketAt(v, size)
		w := push(buckets, at, p|window)
		q := (w - p*lanes) & places
		best = best2(best, sp, from, uint32(q), v)
		best = best2(best, sp, from, uint32(q>>32), v)
		if size > 8 {
			w = push(buckets, at+8, w>>48)
			q := (w - p*lanes) & places
			best = best2(best, sp, from, uint32(q), v)
			best = best2(best, sp, from, uint32(q>>32), v)
		}
		if size > 16 {
			for i := at + 16; i < at+size; i += 8 {
				w = push(buckets, i, w>>48)
				q := (w - p*lanes) & places
				best = best2(best, sp, from, uint32(q), v)
				best = best2(best, sp, from, uint32(q>>32), v)
			}
		}
		length, dist := 0, 0
		if best >= least {
			// A shift and a difference, in a shape that hides from the compiler that
			// addresses come of best: if it saw that, it would make branches of the maxima
			// above, not conditional moves.
			l, _ := bits.Sub64(uint64(bits.Len64(best)>>3), 0, 0)
			d, _ := bits.Sub64(window, best&(window-1), 0)
			length, dist = int(l), int(d)
			switch length {
			case whole:
				limit := min(maxMatch, len(src)-pos)
				length = extend(sp, pos-dist, pos, limit)
				if length < min(e.nice, limit) {
					length, dist = longer[B](m, sp, pos, limit, length, dist)
				}
			case minMatch:
				if dist > e.near {
					length = 0
				}
			}
		}
		begin := pos
		if held > 0 && (length == 0 || !better(length, dist, held, heldDist)) {
			begin--
			length, dist = held, heldDist
		} else {
			if held > 0 {
				n[load8(sp, pos-1)]++
			}
			if length == 0 {
				n[uint8(v)]++
				pos++
				held = 0
				if skip := min((pos-start)>>skipBits, skipMax, last+1-pos); skip > 0 {
					n.literals(src[pos : pos+skip])
					pos += skip
				}
				continue
			}
			if length < e.lazy {
				pos++
				held, heldDist = length, dist
				continue
			}
		}
		grain -= begin - start + matchWeight
		if begin-start >= maxRun {
			start = t.run(start, begin)
		}
		t.seqs = append(t.seqs, match(begin-start, length, dist))
		n.match(uint8(length-minMatch), uint32(dist-1))
		start = begin + length
		cover[B](m, sp, pos+1, min(start, last+1))
		pos = start
		held = 0
		if grain <= 0 {
			n = t.cut(start)
			grain = e.grain
		}
	}
	if held > 0 { // it was found at last
		start = t.run(start, last)
		t.seqs = append(t.seqs, match(last-start, held, heldDist))
		n.match(uint8(held-minMatch), uint32(heldDist-1))
		pos = last + held
	}
	n.literals(src[pos:])
	t.close(len(src))
}

// better weighs four bits for a byte covered against the bits of the distances.
func better(length, dist, before, beforeDist int) bool {
	return 4*(length-before)+bits.Len(uint(beforeDist))-bits.Len(uint(dist)) > 2
}

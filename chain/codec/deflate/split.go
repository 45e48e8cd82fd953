package deflate

import (
	"math"
	"math/bits"
)

const (
	// Costs are in sixteenths of a bit. headerCost is that of a pair of dynamic codes
	// beside its symbols, and symbolCost that of each of these, roughly.
	costBits   = 4
	headerCost = 100 << costBits
	symbolCost = 51
)

// segment is a run of sequences that shares one pair of codes. The last one has the
// literals after them, too.
type segment struct {
	seqs   []seq
	grain  *grain
	cost   int // estimated
	joined int // of this and the next segment together
}

// splitter joins grains to segments.
type splitter struct {
	segments []segment
	symbols  []uint16 // those that occur
	none     grain
}

// split joins the neighbours among the grains that gain most, for as long as joining
// pays.
func (s *splitter) split(t *tokens) []segment {
	s.collect(t.grains)
	s.segments = s.segments[:0]
	begin := 0
	for i := range t.grains {
		g := &t.grains[i]
		s.segments = append(s.segments, segment{
			seqs: t.seqs[begin:t.ends[i]], grain: g, cost: s.estimate(g, &s.none),
		})
		begin = t.ends[i]
	}
	for i := range s.segments {
		s.weigh(i)
	}
	for s.joinBest() {
	}
	return s.segments
}

// collect finds the symbols that occur.
func (s *splitter) collect(grains []grain) {
	var total counts
	for i := range grains {
		for j, n := range grains[i].counts {
			total[j] |= n
		}
	}
	s.symbols = s.symbols[:0]
	for i, n := range total {
		if n > 0 {
			s.symbols = append(s.symbols, uint16(i))
		}
	}
}

// weigh finds the cost of segment i with its successor, if it has one.
func (s *splitter) weigh(i int) {
	if i >= 0 && i+1 < len(s.segments) {
		s.segments[i].joined = s.estimate(s.segments[i].grain, s.segments[i+1].grain)
	}
}

// joinBest joins the two neighbours that gain most; false if none gains.
func (s *splitter) joinBest() bool {
	best, gain := -1, 0
	for i := range len(s.segments) - 1 {
		a := &s.segments[i]
		if g := a.cost + s.segments[i+1].cost - a.joined; g > gain {
			best, gain = i, g
		}
	}
	if best < 0 {
		return false
	}
	a, b := &s.segments[best], &s.segments[best+1]
	a.grain.add(b.grain)
	a.seqs = a.seqs[:len(a.seqs)+len(b.seqs)]
	a.cost = a.joined
	s.segments = append(s.segments[:best+1], s.segments[best+2:]...)
	s.weigh(best - 1)
	s.weigh(best)
	return true
}

// estimate is the entropy of the symbols of a and b together, with their extra bits left
// out, as they are the same in any block, and the cost of the codes.
func (s *splitter) estimate(a, b *grain) int {
	used, sum := 0, 0
	for _, i := range s.symbols {
		if n := a.counts[i%uint16(len(a.counts))] + b.counts[i%uint16(len(b.counts))]; n > 0 {
			used++
			sum += nLog2n(n)
		}
	}
	totals := nLog2n(uint32(a.lits+b.lits)) + nLog2n(uint32(a.matches+b.matches))
	return headerCost + symbolCost*used + totals - sum
}

// logs are the values of nLog2n for small n.
var logs = func() (t [1<<logBits + 1]int32) {
	for n := 1; n < len(t); n++ {
		t[n] = int32(math.Round(float64(n) * math.Log2(float64(n)) * (1 << costBits)))
	}
	return t
}()

const logBits = 12

// nLog2n is n times its logarithm, as a cost. Where it is not tabled it is interpolated
// between values that are.
func nLog2n(n uint32) int {
	if n < uint32(len(logs)) {
		return int(logs[n])
	}
	shift := bits.Len32(n) - logBits
	i := n >> shift
	below, above := int(logs[i]), int(logs[i+1])
	part := int(n - i<<shift)
	return below<<shift + part*(above-below) + int(n)*shift<<costBits
}

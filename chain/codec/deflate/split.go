package deflate

import "math"

const (
	// segmentTokens is the grain in which blocks are cut.
	segmentTokens = 2048
	// headerBits is what a pair of dynamic codes costs beside its symbols, and
	// symbolBits what each of these does, roughly.
	headerBits = 100
	symbolBits = 3.2
)

// segment is a run of tokens that shares one pair of codes.
type segment struct {
	tokens []token
	hist   *histogram
	bits   float64 // estimated cost
	joined float64 // of this and the next segment together
}

// splitter cuts tokens into segments.
type splitter struct {
	hists    []histogram
	segments []segment
	scratch  histogram
}

// split cuts the tokens into short runs, then joins the neighbours that lose
// least, for as long as joining pays.
func (s *splitter) split(tokens []token) []segment {
	n := (len(tokens) + segmentTokens - 1) / segmentTokens
	if cap(s.hists) < n {
		s.hists = make([]histogram, n)
	}
	s.hists = s.hists[:n]
	clear(s.hists)
	s.segments = s.segments[:0]
	for i := range s.hists {
		run := tokens[i*segmentTokens : min(len(tokens), (i+1)*segmentTokens)]
		h := &s.hists[i]
		h.count(run)
		s.segments = append(s.segments, segment{tokens: run, hist: h, bits: h.estimate()})
	}
	for i := range len(s.segments) - 1 {
		s.weigh(i)
	}
	for s.joinBest() {
	}
	return s.segments
}

// weigh finds the cost of segment i with its successor.
func (s *splitter) weigh(i int) {
	a, b := &s.segments[i], &s.segments[i+1]
	s.scratch.sum(a.hist, b.hist)
	a.joined = s.scratch.estimate()
}

// joinBest joins the two neighbours that gain most; false if none gains.
func (s *splitter) joinBest() bool {
	best, gain := -1, 0.0
	for i := range len(s.segments) - 1 {
		a := &s.segments[i]
		if g := a.bits + s.segments[i+1].bits - a.joined; g > gain {
			best, gain = i, g
		}
	}
	if best < 0 {
		return false
	}
	a, b := &s.segments[best], &s.segments[best+1]
	a.hist.sum(a.hist, b.hist)
	a.tokens = a.tokens[:len(a.tokens)+len(b.tokens)]
	a.bits = a.joined
	s.segments = append(s.segments[:best+1], s.segments[best+2:]...)
	if best > 0 {
		s.weigh(best - 1)
	}
	if best+1 < len(s.segments) {
		s.weigh(best)
	}
	return true
}

// estimate is the entropy of the symbols, with their extra bits left out, as they
// are the same in any block, and the cost of the codes.
func (h *histogram) estimate() float64 {
	return headerBits + entropy(h.lit[:]) + entropy(h.dist[:])
}

func entropy(counts []uint32) float64 {
	var total, used uint32
	sum := 0.0
	for _, n := range counts {
		if n > 0 {
			sum += nLog2n(n)
			total += n
			used++
		}
	}
	return nLog2n(total) - sum + symbolBits*float64(used)
}

// logs are the values of nLog2n for small n.
var logs = func() (t [4096]float64) {
	for n := 1; n < len(t); n++ {
		t[n] = float64(n) * math.Log2(float64(n))
	}
	return t
}()

func nLog2n(n uint32) float64 {
	if n < uint32(len(logs)) {
		return logs[n]
	}
	return float64(n) * math.Log2(float64(n))
}

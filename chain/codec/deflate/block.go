package deflate

// codes are those of one DEFLATE block.
type codes struct {
	lit, dist, header code
	// run lengths of the code lengths, RFC 1951 §3.2.7: symbol, extra bits
	runs   []run
	counts [19]uint32
	nLit   int
	nDist  int
	nHead  int
	// whole codewords of literals, of match lengths less minMatch with their extra bits,
	// and of distance codes
	literal, length [256]codeword
	far             [32]codeword
}

type run struct{ symbol, extra uint8 }

// headerOrder is the order in which the lengths of the header code are written.
var headerOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// runExtra is the number of extra bits of the symbols 16 to 18.
var runExtra = [...]uint{2, 3, 7}

// fixed are the codes of RFC 1951 §3.2.6.
var fixed = func() (c codes) {
	c.lit.n, c.dist.n = litSymbols+2, distSymbols
	for i := range c.lit.size {
		switch {
		case i < 144:
			c.lit.size[i] = 8
		case i < 256:
			c.lit.size[i] = 9
		case i < 280:
			c.lit.size[i] = 7
		default:
			c.lit.size[i] = 8
		}
	}
	for i := range c.dist.n {
		c.dist.size[i] = 5
	}
	c.lit.assign(9)
	c.dist.assign(5)
	c.fill()
	return c
}()

// writeBlock writes the segment, whose plain bytes are plain, in the cheapest way.
func (e *Encoder) writeBlock(s *segment, plain []byte, last bool) {
	n := &s.grain.counts
	lit, dist := n.lit(), n.dist()
	lit[endOfBlock] = 1
	c := &e.codes
	e.build.build(&c.lit, lit, maxCodeBits)
	e.build.build(&c.dist, dist, maxCodeBits)
	dynamic := e.header() + c.lit.cost(lit) + c.dist.cost(dist)
	simple := fixed.lit.cost(lit) + fixed.dist.cost(dist)
	extra := n.extraBits()
	stored := (len(plain) + 5*(len(plain)/maxStored+1)) * 8
	final := uint64(0)
	if last {
		final = 1
	}
	w := &e.out
	switch {
	case stored <= min(dynamic, simple)+extra:
		w.stored(plain, final)
	case simple <= dynamic:
		w.reserve((simple + extra) / 8)
		w.add(final|1<<1, 3)
		w.sequences(&fixed, s.seqs, plain)
	default:
		c.fill()
		w.reserve((dynamic + extra) / 8)
		w.add(final|2<<1, 3)
		w.header(c)
		w.sequences(c, s.seqs, plain)
	}
}

// maxStored is the length of the longest stored block.
const maxStored = 1<<16 - 1

func (w *bitWriter) stored(plain []byte, final uint64) {
	w.reserve(len(plain) + 8*(len(plain)/maxStored+1))
	for more := true; more; {
		n := min(len(plain), maxStored)
		more = n < len(plain)
		if more {
			w.add(0, 3)
		} else {
			w.add(final, 3)
		}
		w.align()
		w.add(uint64(n)|uint64(^uint16(n))<<16, 32)
		w.flush()
		w.bytes(plain[:n])
		plain = plain[n:]
	}
}

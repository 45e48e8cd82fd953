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
	// length is the whole codeword of every match length with its extra bits
	length [256]codeword
}

type codeword struct {
	bits uint32
	size uint8
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
	c.fillLengths()
	return c
}()

// writeBlock writes the segment, whose plain bytes are plain, in the cheapest way.
func (e *Encoder) writeBlock(s *segment, plain []byte, last bool) {
	s.hist.lit[endOfBlock] = 1
	c := &e.codes
	e.build.build(&c.lit, s.hist.lit[:], maxCodeBits)
	e.build.build(&c.dist, s.hist.dist[:], maxCodeBits)
	dynamic := e.header() + c.lit.cost(s.hist.lit[:]) + c.dist.cost(s.hist.dist[:])
	simple := fixed.lit.cost(s.hist.lit[:]) + fixed.dist.cost(s.hist.dist[:])
	extra := s.hist.extraBits()
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
		w.tokens(&fixed, s.tokens)
	default:
		c.fillLengths()
		w.reserve((dynamic + extra) / 8)
		w.add(final|2<<1, 3)
		w.header(c)
		w.tokens(c, s.tokens)
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

// extraBits is what lengths and distances take beside their codewords.
func (h *histogram) extraBits() (total int) {
	for i, n := range h.lit[265:285] {
		total += int(n) * (i/4 + 1)
	}
	for i, n := range h.dist {
		total += int(n) * int(distExtra(uint32(i)))
	}
	return total
}

// fillLengths makes the table of whole codewords of match lengths.
func (c *codes) fillLengths() {
	for i, l := range lengthCodes {
		size := c.lit.size[l.symbol]
		c.length[i] = codeword{
			bits: uint32(c.lit.bits[l.symbol]) | uint32(uint16(i)-l.base)<<size,
			size: size + l.extra,
		}
	}
}

// tokens writes the tokens and the end of the block. Room is reserved.
func (w *bitWriter) tokens(c *codes, tokens []token) {
	for _, t := range tokens {
		if t&matchFlag == 0 {
			w.add(uint64(c.lit.bits[t&0xff]), uint(c.lit.size[t&0xff]))
			if w.len > 40 {
				w.flush()
			}
			continue
		}
		w.flush()
		length := &c.length[t>>16&0xff]
		w.add(uint64(length.bits), uint(length.size))
		d := uint32(t) & 0xffff
		symbol := distSymbol(d)
		w.add(uint64(c.dist.bits[symbol]), uint(c.dist.size[symbol]))
		extra := distExtra(symbol)
		w.add(uint64(d)&(1<<extra-1), extra)
		w.flush()
	}
	w.flush()
	w.add(uint64(c.lit.bits[endOfBlock]), uint(c.lit.size[endOfBlock]))
	w.flush()
}

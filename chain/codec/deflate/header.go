package deflate

// header makes the code that writes the code lengths of a dynamic block and
// returns the bits that all of the block's header takes.
func (e *Encoder) header() int {
	c := &e.codes
	c.nLit, c.nDist = used(&c.lit, 257), used(&c.dist, 1)
	var sizes [litSymbols + distSymbols]uint8
	n := copy(sizes[:], c.lit.size[:c.nLit])
	n += copy(sizes[n:], c.dist.size[:c.nDist])
	c.runs = appendRuns(c.runs[:0], sizes[:n])
	clear(c.counts[:])
	total := 5 + 5 + 4
	for _, r := range c.runs {
		c.counts[r.symbol]++
		if r.symbol >= 16 {
			total += int(runExtra[r.symbol-16])
		}
	}
	e.build.build(&c.header, c.counts[:], maxHeaderBits)
	c.nHead = len(headerOrder)
	for c.nHead > 4 && c.header.size[headerOrder[c.nHead-1]] == 0 {
		c.nHead--
	}
	return total + 3*c.nHead + c.header.cost(c.counts[:])
}

// used is the number of symbols up to the last that has a codeword.
func used(c *code, least int) int {
	n := c.n
	for n > least && c.size[n-1] == 0 {
		n--
	}
	return n
}

// appendRuns writes code lengths as runs, RFC 1951 §3.2.7: 16 repeats the last
// length 3 to 6 times, 17 and 18 are 3 to 10 and 11 to 138 zeros.
func appendRuns(runs []run, sizes []uint8) []run {
	for i := 0; i < len(sizes); {
		size, n := sizes[i], 1
		for i+n < len(sizes) && sizes[i+n] == size {
			n++
		}
		i += n
		if size > 0 {
			runs = append(runs, run{symbol: size})
			n--
		}
		for n >= 3 {
			var k int
			switch {
			case size > 0:
				k = min(n, 6)
				runs = append(runs, run{16, uint8(k - 3)})
			case n <= 10:
				k = n
				runs = append(runs, run{17, uint8(k - 3)})
			default:
				k = min(n, 138)
				runs = append(runs, run{18, uint8(k - 11)})
			}
			n -= k
		}
		for range n {
			runs = append(runs, run{symbol: size})
		}
	}
	return runs
}

// header writes the codes of a dynamic block. Room is reserved.
func (w *bitWriter) header(c *codes) {
	w.add(uint64(c.nLit-257), 5)
	w.add(uint64(c.nDist-1), 5)
	w.add(uint64(c.nHead-4), 4)
	w.flush()
	for _, symbol := range headerOrder[:c.nHead] {
		w.add(uint64(c.header.size[symbol]), 3)
		w.flush()
	}
	for _, r := range c.runs {
		w.add(uint64(c.header.bits[r.symbol]), uint(c.header.size[r.symbol]))
		if r.symbol >= 16 {
			w.add(uint64(r.extra), runExtra[r.symbol-16])
		}
		w.flush()
	}
}

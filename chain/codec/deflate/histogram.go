package deflate

// distAt is where the distance codes stand in a histogram.
const distAt = 288

// counts are those of the symbols of a run of sequences: literals and lengths, then, from
// distAt on, distances.
type counts [distAt + 32]uint32

func (c *counts) lit() []uint32 { return c[:litSymbols] }

func (c *counts) dist() []uint32 { return c[distAt : distAt+distSymbols] }

// match counts a match by its length less minMatch and its distance less 1.
func (c *counts) match(length uint8, dist uint32) {
	c[lengthCodes[length].symbol%uint16(len(c))]++ // the remainder spares a check
	c[distAt+distSymbol(dist, distExtra(dist))&31]++
}

func (c *counts) literals(p []byte) {
	for _, b := range p {
		c[b]++
	}
}

// extraBits is what lengths and distances take beside their codewords.
func (c *counts) extraBits() (total int) {
	for i, n := range c.lit()[265:285] {
		total += int(n) * (i/4 + 1)
	}
	for i, n := range c.dist()[4:] {
		total += int(n) * (i/2 + 1)
	}
	return total
}

// grain is a run of sequences that is not cut, as far as they are counted.
type grain struct {
	counts  counts
	lits    int // symbols before distAt
	matches int // those from there on
	size    int // plain bytes
}

func (g *grain) add(b *grain) {
	for i := range g.counts {
		g.counts[i] += b.counts[i]
	}
	g.lits += b.lits
	g.matches += b.matches
	g.size += b.size
}

// sum finds the totals of the counts.
func (g *grain) sum() {
	g.lits, g.matches = 0, 0
	for _, n := range g.counts.lit() {
		g.lits += int(n)
	}
	for _, n := range g.counts.dist() {
		g.matches += int(n)
	}
}

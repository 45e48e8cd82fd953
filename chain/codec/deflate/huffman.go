package deflate

import (
	"math/bits"
	"slices"
)

const (
	maxCodeBits   = 15 // of the two main codes, RFC 1951 §3.2.7
	maxHeaderBits = 7  // of the code that writes them
)

// code is a prefix code; its bits are reversed, as they are written.
type code struct {
	bits [litSymbols + 2]uint16
	size [litSymbols + 2]uint8
	n    int // symbols it is defined for
}

// builder makes codes; it holds scratch space.
type builder struct {
	leaves []uint64 // count<<16 | symbol, ascending
	weight []uint64 // of inner nodes
	parent []uint16 // of leaves, then of inner nodes
	depth  []uint8
}

// build makes the best code for the counts with no codeword longer than limit
// bits. At least two symbols get a codeword, so that the code is complete.
func (b *builder) build(c *code, counts []uint32, limit int) {
	c.n = len(counts)
	clear(c.size[:])
	b.leaves = b.leaves[:0]
	for i, n := range counts {
		if n > 0 {
			b.leaves = append(b.leaves, uint64(n)<<16|uint64(i))
		}
	}
	for i := 0; len(b.leaves) < 2; i++ { // 0 and 1, as far as they are missing
		if counts[i] == 0 {
			b.leaves = append(b.leaves, 1<<16|uint64(i))
		}
	}
	slices.Sort(b.leaves)
	b.tree()
	perLength := b.lengths(limit)
	next := len(b.leaves)
	for size := 1; size <= limit; size++ {
		for range perLength[size] {
			next--
			c.size[b.leaves[next]&0xffff] = uint8(size)
		}
	}
	c.assign(limit)
}

// tree joins the two lightest nodes until one is left: Huffman's algorithm with
// two queues, both in ascending order.
func (b *builder) tree() {
	n := len(b.leaves)
	b.weight = b.weight[:0]
	b.parent = slices.Grow(b.parent[:0], 2*n)[:2*n]
	leaf, inner := 0, 0
	take := func() uint64 {
		if leaf < n && (inner == len(b.weight) || b.leaves[leaf]>>16 <= b.weight[inner]) {
			leaf++
			b.parent[leaf-1] = uint16(n + len(b.weight))
			return b.leaves[leaf-1] >> 16
		}
		inner++
		b.parent[n+inner-1] = uint16(n + len(b.weight))
		return b.weight[inner-1]
	}
	for range n - 1 {
		first := take()
		b.weight = append(b.weight, first+take())
	}
}

// lengths is the number of codewords of every length, none over limit.
func (b *builder) lengths(limit int) (perLength [maxCodeBits + 1]int) {
	n := len(b.leaves)
	nodes := n + len(b.weight)
	b.depth = slices.Grow(b.depth[:0], nodes)[:nodes]
	b.depth[nodes-1] = 0
	over := 0 // by how much the codewords cut to limit overfill the code
	for i := nodes - 2; i >= 0; i-- {
		d := min(b.depth[b.parent[i]]+1, 64)
		b.depth[i] = d
		if i < n {
			perLength[min(int(d), limit)]++
		}
	}
	for size := 1; size <= limit; size++ {
		over += perLength[size] << (limit - size)
	}
	// Lengthening a codeword makes room beside it for one of the longest.
	for over -= 1 << limit; over > 0; over-- {
		size := limit - 1
		for perLength[size] == 0 {
			size--
		}
		perLength[size]--
		perLength[size+1] += 2
		perLength[limit]--
	}
	return perLength
}

// assign numbers the codewords of each length in the order of symbols, RFC 1951
// §3.2.2.
func (c *code) assign(limit int) {
	var next [maxCodeBits + 2]uint16
	for _, size := range c.size[:c.n] {
		next[size+1]++
	}
	next[1] = 0
	for size := 2; size <= limit; size++ {
		next[size] = (next[size-1] + next[size]) << 1
	}
	for i, size := range c.size[:c.n] {
		if size > 0 {
			c.bits[i] = bits.Reverse16(next[size]) >> (16 - size)
			next[size]++
		}
	}
}

// cost is the number of bits that the counted symbols take.
func (c *code) cost(counts []uint32) (total int) {
	for i, n := range counts {
		total += int(n) * int(c.size[i])
	}
	return total
}

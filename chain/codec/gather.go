package codec

import (
	"github.com/zeebo/blake3"

	"hindsight/chain/inflate"
)

const (
	// spacing is how many inflated bytes lie at least between the checkpoints in an
	// object that somebody else deflated: each costs a window of up to 32 KiB, against
	// which a range read inflates half a block more than it wants.
	spacing = 1 << 20
	// cut is the length of a block where nothing is deflated, and a block costs little.
	cut = 256 << 10
)

// boundary is the start of a deflate block that blocks of a table resume from.
type boundary struct {
	bit, out int64  // of the stream
	window   []byte // packed, once the next boundary is known
	end      int64  // bit of that
}

// gatherer makes the table of an object that is read from its beginning. It hears of
// the boundaries before it sees the plain bytes behind them.
type gatherer struct {
	blocks []Block
	lost   bool // where the blocks are is not to be told
	full   bool // there would be too many blocks

	// Of the deflate stream in hand:
	stream int64 // its offset among the stored bytes
	z      *inflate.Reader
	raw    []byte      // window of the newest boundary
	ahead  []*boundary // not yet reached by the plain bytes, the newest last
	base   *boundary   // of the blocks from group on
	group  int

	sum   *blake3.Hasher // of the open block
	open  Block
	tar   int64
	later []*member
}

// member is a block whose sum is calculated elsewhere.
type member struct {
	block int
	sum   [32]byte
}

func newGatherer() *gatherer { return &gatherer{sum: blake3.New()} }

// newest is the newest boundary of the stream, nil before the first.
func (g *gatherer) newest() *boundary {
	if n := len(g.ahead); n > 0 {
		return g.ahead[n-1]
	}
	return g.base
}

// begin says that a deflate stream begins at that offset among the stored bytes.
func (g *gatherer) begin(stream int64) { g.stream, g.base, g.ahead = stream, nil, nil }

// onBlock is the inflate.Reader's. It keeps every boundary that is far enough from the
// one before.
func (g *gatherer) onBlock(z *inflate.Reader, c inflate.Checkpoint) {
	newest := g.newest()
	if g.lost || newest != nil && c.Out-newest.out < spacing {
		return
	}
	g.complete(z, c.Bit)
	g.z = z
	g.raw = append(g.raw[:0], c.Window...)
	g.ahead = append(g.ahead, &boundary{bit: c.Bit, out: c.Out})
	z.Mark()
}

// complete completes the newest boundary, as the next one, or the end, is there.
func (g *gatherer) complete(z *inflate.Reader, bit int64) {
	if b := g.newest(); b != nil {
		b.end = bit
		b.window = packWindow(g.raw[len(g.raw)-min(z.Reach(), len(g.raw)):])
	}
}

// inflated takes in plain bytes of the stream. inner is the first one's offset in what
// it inflates to, and chunk what is left of its literal's chunk, 0 without one.
func (g *gatherer) inflated(p []byte, inner, chunk int64) {
	for len(p) > 0 {
		if g.lost {
			g.sequence(p)
			return
		}
		for len(g.ahead) > 0 && g.ahead[0].out <= inner {
			g.end()
			g.endGroup()
			g.base, g.ahead = g.ahead[0], g.ahead[1:]
			g.group = len(g.blocks)
		}
		if g.open.Len == MaxPlain {
			g.end()
		}
		if g.open.Len == 0 && !g.resume(inner-g.base.out, chunk) {
			continue
		}
		n := min(len(p), MaxPlain-int(g.open.Len))
		if len(g.ahead) > 0 {
			n = int(min(int64(n), g.ahead[0].out-inner))
		}
		g.take(p[:n])
		p = p[n:]
		inner += int64(n)
		chunk -= min(chunk, int64(n))
	}
}

// resume opens a block that begins skip inflated bytes behind the base, if it can be
// told where.
func (g *gatherer) resume(skip, chunk int64) bool {
	if skip > MaxSkip {
		g.lost = true
		return false
	}
	g.open.Resume = &Resume{Bit: uint8(g.base.bit & 7), Skip: int32(skip), Chunk: chunk}
	return true
}

// sequence takes in plain bytes of which nothing is known but that they come next.
func (g *gatherer) sequence(p []byte) {
	for len(p) > 0 && !g.full {
		n := max(min(len(p), cut-int(g.open.Len)), 0) // one that is open may be longer
		g.take(p[:n])
		p = p[n:]
		if g.open.Len >= cut {
			g.end()
		}
	}
}

// take adds plain bytes to the open block.
func (g *gatherer) take(p []byte) {
	g.sum.Write(p)
	g.open.Len += int32(len(p))
}

// end ends the open block.
func (g *gatherer) end() {
	if g.open.Len == 0 {
		return
	}
	if g.add() {
		g.sum.Sum(g.blocks[len(g.blocks)-1].Sum[:0])
	}
	g.sum.Reset()
	g.open = Block{}
}

// add appends the open block, but for its sum.
func (g *gatherer) add() bool {
	if len(g.blocks) == MaxBlocks {
		g.full = true
	}
	if g.full {
		return false
	}
	g.open.TarOffset = g.tar
	g.tar += int64(g.open.Len)
	g.blocks = append(g.blocks, g.open)
	return true
}

// endGroup completes the blocks that resume from the base, whose end is known now.
func (g *gatherer) endGroup() {
	if g.base == nil || g.lost {
		return
	}
	first, end := g.base.bit>>3, (g.base.end+7)>>3
	if end-first > MaxStored {
		g.lost = true
		return
	}
	for i := g.group; i < len(g.blocks); i++ {
		b := &g.blocks[i]
		b.StoredOffset, b.StoredLen = g.stream+first, int32(end-first)
		b.Resume.Window = g.base.window
		if r := b.Resume; r.Bit == 0 && r.Skip == 0 && r.Chunk == 0 && len(r.Window) == 0 {
			b.Resume = nil
		}
	}
}

// endStream says that the stream's last plain byte was taken in.
func (g *gatherer) endStream() {
	if g.lost || g.base == nil {
		return
	}
	g.complete(g.z, g.z.Bits())
	g.end()
	g.endGroup()
	g.base = nil
}

// stored takes in plain bytes that are stored as they are, from offset on.
func (g *gatherer) stored(p []byte, offset, chunk int64) {
	for len(p) > 0 {
		if g.lost {
			g.sequence(p)
			return
		}
		if g.open.Len == 0 {
			g.open.StoredOffset = offset
			if chunk > 0 {
				g.open.Resume = &Resume{Chunk: chunk}
			}
		}
		n := min(len(p), cut-int(g.open.Len))
		g.take(p[:n])
		p = p[n:]
		offset += int64(n)
		chunk -= min(chunk, int64(n))
		if stored := offset - g.open.StoredOffset; stored > MaxStored {
			g.lost = true
		} else {
			g.open.StoredLen = int32(stored)
		}
		if g.open.Len == cut {
			g.end()
		}
	}
}

// member adds a block that is a deflate stream of its own and returns where its sum is
// to be put before the table is asked for.
func (g *gatherer) member(b Block) *member {
	m := &member{block: len(g.blocks)}
	g.open = b
	if b.Len > 0 && g.add() {
		g.later = append(g.later, m)
	}
	g.open = Block{}
	return m
}

// table is that of the whole object, nil if it has none. deflated says whether it was
// told by streams.
func (g *gatherer) table(deflated bool, m *Message) *Table {
	g.end()
	if g.full {
		return nil
	}
	for _, m := range g.later {
		g.blocks[m.block].Sum = m.sum
	}
	t := &Table{Deflated: deflated, Message: m, Blocks: g.blocks}
	if g.lost {
		t = &Table{Sequential: true, Blocks: g.blocks}
		for i := range t.Blocks {
			b := &t.Blocks[i]
			b.StoredOffset, b.StoredLen, b.Resume = 0, 0, nil
		}
	}
	if t.Check() != nil {
		return nil
	}
	return t
}

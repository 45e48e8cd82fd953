package librsync

import "io"

const (
	// readAhead is the least that a DeltaWriter gathers between two searches.
	readAhead = 64 << 10

	// freeStrongBytes and strongFactor bound the strong sums that match nothing: as
	// many bytes may be summed in vain as were read, times the factor, and a few
	// for free. Only crafted signatures and files come near.
	freeStrongBytes = 1 << 20
	strongFactor    = 4

	noSum = 1 << 32 // no weak sum
)

// DeltaWriter writes the delta that makes what is written to it from the basis of a
// signature. Where blocks repeat it prefers the one that follows the last copy, so
// that copies join. The last, short block of the basis is found where it follows the
// block before it, as in a file that was appended to, and at the end.
//
// It holds at most 96 KiB and two blocks.
type DeltaWriter struct {
	sig     *Signature
	ops     opWriter
	buf     []byte // what is done with, literal not yet written, window, read-ahead
	lit     int    // of the literal in buf
	pos     int    // of the window in buf, where the literal ends
	off     int64  // of buf[0] in the new file
	shift   int64  // basis offset less new offset of the last copy
	next    int64  // basis offset behind the last copy
	weak    uint32 // sum of the window, if rolling
	rolling bool   // the window was searched for, without a match
	power   uint32 // Rabin-Karp only: multiplier to the power of the block length
	missed  uint64 // last weak sum that the filter took but no block has
	wasted  int64  // bytes that were strongly summed and matched nothing
	strong  strongSum
	err     error
}

var _ io.WriteCloser = (*DeltaWriter)(nil)

// NewDeltaWriter starts a delta against sig. The caller has to Close it, which does
// not close w. Writers may share sig.
func NewDeltaWriter(sig *Signature, w io.Writer) *DeltaWriter {
	d := new(DeltaWriter)
	d.Reset(sig, w)
	return d
}

// Reset starts another delta, as NewDeltaWriter does, with the buffers of the last
// one, whether that was closed or not.
func (d *DeltaWriter) Reset(sig *Signature, w io.Writer) {
	*d = DeltaWriter{sig: sig, ops: d.ops, buf: d.buf[:0], missed: noSum}
	d.ops.reset(w)
	if sig.magic.rabinKarp() {
		d.power = rabinKarpPower(sig.blockLen)
	}
}

// Write takes the next bytes of the new file. It fails only as the writer beneath
// does, and then for good.
func (d *DeltaWriter) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n := len(p)
	for len(p) > 0 {
		if len(d.buf) == cap(d.buf) {
			d.makeRoom()
			if d.err != nil {
				return 0, d.err
			}
		}
		k := copy(d.buf[len(d.buf):cap(d.buf)], p)
		d.buf = d.buf[:len(d.buf)+k]
		p = p[k:]
	}
	return n, nil
}

// Close writes what is left and the end of the delta. It does not close the writer
// beneath.
func (d *DeltaWriter) Close() error {
	if d.err == errClosed {
		return nil
	}
	if d.err != nil {
		return d.err
	}
	d.search()
	d.searchEnd()
	d.ops.literal(d.buf[d.lit:])
	if d.err = d.ops.end(); d.err != nil {
		return d.err
	}
	d.buf, d.err = d.buf[:0], errClosed
	return nil
}

// makeRoom grows a buffer that is full up to its bound, then empties it: all but the
// window and what may yet join the literal before it.
func (d *DeltaWriter) makeRoom() {
	bl := d.sig.blockLen
	bound := maxLiteral + bl + max(readAhead, bl)
	if cap(d.buf) < bound {
		grown := make([]byte, len(d.buf), min(max(4096, 4*cap(d.buf)), bound))
		copy(grown, d.buf)
		d.buf = grown
		return
	}
	d.search()
	whole := (d.pos - d.lit) / maxLiteral * maxLiteral
	d.ops.literal(d.buf[d.lit : d.lit+whole])
	d.drop(d.lit + whole)
	d.err = d.ops.err()
}

// drop forgets the first n bytes of buf, where the literal then starts.
func (d *DeltaWriter) drop(n int) {
	d.buf = d.buf[:copy(d.buf, d.buf[n:])]
	d.lit, d.pos = 0, d.pos-n
	d.off += int64(n)
}

// search finds the blocks in buf, as far as it holds whole windows.
func (d *DeltaWriter) search() {
	bl := d.sig.blockLen
	if d.sig.blocks == 0 {
		d.pos = len(d.buf)
		return
	}
	for d.pos+bl <= len(d.buf) {
		if !d.rolling {
			if d.follow() {
				continue
			}
			d.weak, d.rolling = d.sig.weakSum(d.buf[d.pos:d.pos+bl]), true
			if d.match() || d.followShort() {
				continue
			}
		}
		if !d.roll() {
			return
		}
		d.match()
	}
}

// expected is the block that lies at the window if, since the last copy, bytes of the
// basis were but replaced.
func (d *DeltaWriter) expected() (int, bool) {
	return d.blockAt(d.off + int64(d.pos) + d.shift)
}

// blockAt is the block that starts at the offset in the basis.
func (d *DeltaWriter) blockAt(off int64) (int, bool) {
	bl := int64(d.sig.blockLen)
	if off < 0 || off%bl != 0 || off/bl >= int64(d.sig.blocks) {
		return 0, false
	}
	return int(off / bl), true
}

// follow copies the blocks that go on with the last copy, and tells whether there
// was one.
func (d *DeltaWriter) follow() bool {
	first, ok := d.expected()
	if !ok {
		return false
	}
	at, i, bl := d.pos, first, d.sig.blockLen
	for i < d.sig.blocks {
		n := d.sameBlocks(i, d.buf[at:])
		if n == 0 {
			break
		}
		i += n
		at += n * bl
	}
	if i > first {
		d.copy(int64(first)*int64(bl), at-d.pos)
	}
	return i > first
}

// sameBlocks is how many of the blocks i and i+1 p starts with.
func (d *DeltaWriter) sameBlocks(i int, p []byte) int {
	s, bl := d.sig, d.sig.blockLen
	if len(p) < bl || s.weakSum(p[:bl]) != s.weak(i) {
		return 0
	}
	var sums [2]strongSum
	if len(p) < 2*bl || i+1 >= s.blocks || s.weakSum(p[bl:2*bl]) != s.weak(i+1) {
		s.strongSum(p[:bl], &sums[0])
		if s.strongIs(i, &sums[0]) {
			return 1
		}
		return 0
	}
	s.strongSum2(p[:bl], p[bl:2*bl], &sums)
	switch {
	case !s.strongIs(i, &sums[0]):
		return 0
	case !s.strongIs(i+1, &sums[1]):
		return 1
	}
	return 2
}

// match copies the block that the window holds, if one has its sums: of several
// the one where the last copy would go on, had bytes been replaced or inserted since.
func (d *DeltaWriter) match() bool {
	s := d.sig
	if !mayHave(s.table.filter, s.table.shift, d.weak) {
		return false
	}
	if !s.table.has(s, d.weak) {
		d.missed = uint64(d.weak)
		return false
	}
	sum := d.sum(d.buf[d.pos : d.pos+s.blockLen])
	if sum == nil {
		return false
	}
	found := -1
	for _, off := range [...]int64{d.off + int64(d.pos) + d.shift, d.next} {
		if i, ok := d.blockAt(off); ok && s.weak(i) == d.weak && s.strongIs(i, sum) {
			found = i
			break
		}
	}
	if found < 0 {
		found = s.table.lookup(s, d.weak, sum)
	}
	if found < 0 {
		return false
	}
	d.copy(int64(found)*int64(s.blockLen), s.blockLen)
	return true
}

// sum is the strong sum of p, or nil if too many were made in vain. It counts p as
// summed in vain; copy takes that back.
func (d *DeltaWriter) sum(p []byte) *strongSum {
	if d.wasted > freeStrongBytes+strongFactor*(d.off+int64(d.pos)) {
		return nil
	}
	d.wasted += int64(len(p))
	d.sig.strongSum(p, &d.strong)
	return &d.strong
}

// copy ends the literal at the window with a copy of the window's first n bytes,
// which lie at from in the basis, and moves the window behind them.
func (d *DeltaWriter) copy(from int64, n int) {
	d.shift = from - (d.off + int64(d.pos))
	d.ops.literal(d.buf[d.lit:d.pos])
	d.ops.copy(from, int64(n))
	d.next = from + int64(n)
	d.pos += n
	d.lit, d.rolling = d.pos, false
	d.wasted = max(0, d.wasted-int64(n))
}

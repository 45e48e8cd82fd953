package content

import (
	"hindsight/chain"
	"hindsight/chain/extent"
)

const (
	firstAhead = 256 << 10 // bytes that are read ahead at first
	near       = 512 << 10 // bytes between two reads of a walk through a volume
	maxStreams = 64        // walks that are noticed at once
	nearBlocks = 2         // blocks that are decoded before they are asked for
)

// maxAhead is the most that is read ahead for one file or walk.
func (c *Cache) maxAhead() int64 { return min(c.limit/8, 16<<20) }

// readAhead is told of every read of a file, and asks for what will come next: for more
// than the last time if the read was late, as it found something not fetched yet.
func (c *Cache) readAhead(f *File, off, end int64, late bool) {
	from, to := f.advance(off, end, late, c.maxAhead())
	if from < to {
		for e := range extent.Slice(f.extents, from, to-from) {
			if !c.ask(volumeKey{e.Set, e.Volume}, e.Tar, e.After(e.Len-1).Tar+1) {
				break
			}
		}
	}
	if i := extent.Find(f.extents, end); to > end && i < len(f.extents) {
		e := f.extents[i]
		c.near(volumeKey{e.Set, e.Volume}, e.After(end-e.Off).Tar)
	}
	if to >= f.size || end >= f.size { // the neighbours come next
		i := extent.Find(f.extents, end-1)
		if i < len(f.extents) {
			e := f.extents[i]
			c.walk(volumeKey{e.Set, e.Volume}, e.After(max(off, e.Off)-e.Off).Tar, e.After(min(end, e.End())-e.Off-1).Tar+1, late)
		}
	}
}

// advance notes a read and says which bytes to ask for: none (from is not below to) if they
// were asked for before; to is end if the file is read here and there.
func (f *File) advance(off, end int64, late bool, limit int64) (from, to int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case off == f.next:
		f.window = wider(f.window, late, limit)
	case off < f.next-limit || off > f.next+limit:
		f.window, f.ahead = 0, 0
	}
	f.next = end
	to = min(end+f.window, f.size)
	from = max(f.ahead, end)
	if to-from < f.window/2 && to < f.size {
		return to, to // so that a request is worth its while
	}
	f.ahead = max(f.ahead, to)
	return from, to
}

// wider is the next window behind one.
func wider(window int64, late bool, limit int64) int64 {
	if late {
		window *= 2
	}
	return min(max(window, firstAhead), limit)
}

// ask asks for what lies in a volume from one offset of the tar to another. It does
// nothing for a volume that was not read yet, and reports whether there was room.
func (c *Cache) ask(key volumeKey, from, to int64) bool {
	c.mu.Lock()
	v := c.volumes[key]
	there := v != nil && v.at != nil
	c.mu.Unlock()
	if !there {
		return true
	}
	first, last := blocks(v.ranges, from, to)
	_, n := c.need(key, v.ranges, first, last, true)
	return n == last-first+1
}

// blocks are those that hold the bytes of a tar from one offset to another, as far as
// there are any.
func blocks(r *chain.RangeReader, from, to int64) (first, last int) {
	table := r.Table()
	return table.Find(from), min(table.Find(to-1), len(table.Blocks)-1)
}

// stream is a walk through a volume.
type stream struct {
	key    volumeKey
	pos    int64 // behind the last byte that was read
	window int64 // bytes to be read ahead; 0: there was only one read
	ahead  int64 // until where this was asked for
}

// walk is told of a read at the end of a file. A read not far behind the last one goes
// on with a walk.
func (c *Cache) walk(key volumeKey, from, to int64, late bool) {
	c.mu.Lock()
	i := 0
	for i < len(c.streams) && (c.streams[i].key != key || from < c.streams[i].pos || from > c.streams[i].pos+near) {
		i++
	}
	var s stream
	if i < len(c.streams) {
		s = c.streams[i]
		s.window = wider(s.window, late, c.maxAhead())
		c.streams = append(c.streams[:i], c.streams[i+1:]...)
	} else {
		s = stream{key: key}
		c.streams = c.streams[max(0, len(c.streams)+1-maxStreams):]
	}
	s.pos = to
	begin, end := max(s.ahead, to), to+s.window
	wanted := s.window > 0 && end-begin >= s.window/2
	if wanted {
		s.ahead = end
	}
	c.streams = append(c.streams, s)
	c.mu.Unlock()
	if wanted {
		c.ask(key, begin, end)
	}
	if s.window > 0 {
		c.near(key, to)
	}
}

// near has what lies behind a place of a volume decoded, if it was asked for: it will be
// wanted next, and another processor may be idle.
func (c *Cache) near(key volumeKey, from int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.volumes[key]
	if v == nil || v.at == nil || c.closed {
		return
	}
	first := v.ranges.Table().Find(from)
	for i := first; i < first+nearBlocks; i++ {
		if b := c.blocks[blockKey{key, i}]; b == nil || !c.want(b) {
			return
		}
	}
}

package content

import "hindsight/chain/extent"

// Held copies the whole content of a file of len(p) bytes that lies in extents into p if all
// of it is in memory, and reports whether it was. It fetches nothing and waits for nothing.
func (c *Cache) Held(extents []extent.Extent, p []byte) bool {
	if extent.Size(extents) != int64(len(p)) {
		return false
	}
	n := int64(0)
	for _, e := range extents {
		for piece := range e.Pieces() {
			if !c.held(p[n:n+piece.Len], piece.Place) {
				return false
			}
			n += piece.Len
		}
	}
	return true
}

// held copies len(p) bytes from one place of a volume, if they are there.
func (c *Cache) held(p []byte, at extent.Place) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.volumes[volumeKey{at.Set, at.Volume}]
	if v == nil || v.at == nil {
		return false
	}
	table := v.ranges.Table()
	for i := table.Find(at.Tar); len(p) > 0; i++ {
		b := c.blocks[blockKey{v.key, i}]
		if b == nil || b.data == nil {
			return false
		}
		n := copy(p, b.data[at.Tar-table.Blocks[i].TarOffset:])
		p, at.Tar = p[n:], at.Tar+int64(n)
	}
	return true
}

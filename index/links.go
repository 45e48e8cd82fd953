package index

import "sync"

// linked is how many names of a snapshot are one inode, and the smallest of their IDs.
type linked struct {
	names uint32
	first ID
}

// linkKey is an inode at a time, by the digest of it.
type linkKey struct {
	chain         uint32
	version, link uint64
}

// linkCache remembers inodes with many names: each name of a directory of thousands
// that are one would have all of them counted. The zero value is empty. It is safe for
// concurrent use.
type linkCache struct {
	mu    sync.Mutex
	known map[linkKey]linked
}

const (
	manyLinks = 8       // names from which on an inode is worth remembering
	maxLinked = 1 << 14 // inodes that are remembered, of some 50 bytes each
)

func (c *linkCache) get(key linkKey) (linked, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.known[key]
	return l, ok
}

func (c *linkCache) put(key linkKey, l linked) {
	if l.names < manyLinks {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxLinked {
		c.known = make(map[linkKey]linked)
	}
	c.known[key] = l
}

package index

import (
	"container/list"
	"sync"

	"hindsight/chain/extent"
)

// resolvedCache keeps extents that were put together, those used last. The zero value
// is empty. It is safe for concurrent use.
type resolvedCache struct {
	mu   sync.Mutex
	byID map[resolvedKey]*list.Element
	lru  list.List // of *resolved, the last used in front
	held int       // extents
}

// resolvedKey is a version of a path: by the set that stored it.
type resolvedKey struct {
	number uint32
	id     ID
}

type resolved struct {
	key     resolvedKey
	extents []extent.Extent
}

// resolvedHeld bounds the extents that are kept, of some 50 bytes each.
const resolvedHeld = 1 << 17

func (c *resolvedCache) get(key resolvedKey) ([]extent.Extent, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.byID[key]
	if at == nil {
		return nil, false
	}
	c.lru.MoveToFront(at)
	return at.Value.(*resolved).extents, true
}

func (c *resolvedCache) put(key resolvedKey, extents []extent.Extent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = make(map[resolvedKey]*list.Element)
	}
	if c.byID[key] != nil || len(extents) > resolvedHeld/2 {
		return
	}
	c.byID[key] = c.lru.PushFront(&resolved{key, extents})
	for c.held += 1 + len(extents); c.held > resolvedHeld; {
		old := c.lru.Remove(c.lru.Back()).(*resolved)
		delete(c.byID, old.key)
		c.held -= 1 + len(old.extents)
	}
}

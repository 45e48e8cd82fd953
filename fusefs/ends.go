package fusefs

import (
	"sync"
	"sync/atomic"
)

// ends remembers which places of directories of snapshots are their ends. Whoever lists a
// directory asks once more behind the last name, mostly at once: that needs no look-up
// then. The zero value is empty. It is safe for concurrent use.
type ends struct {
	mu sync.Mutex
	at [1 << 10]end // each in the slot that its directory says
}

type end struct{ dir, place uint64 }

func (e *ends) slot(dir uint64) *end { return &e.at[dir%uint64(len(e.at))] }

// has reports whether there is nothing behind a place of a directory. If it does not then
// there may be nothing nevertheless.
func (e *ends) has(dir, place uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return *e.slot(dir) == end{dir, place}
}

func (e *ends) add(dir, place uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*e.slot(dir) = end{dir, place}
}

// nodes remembers some nodes. The zero value is empty. It is safe for concurrent use.
type nodes struct {
	at [1 << 16]atomic.Uint64 // each in the slot that its number says
}

func (n *nodes) slot(id uint64) *atomic.Uint64 { return &n.at[id%uint64(len(n.at))] }

func (n *nodes) has(id uint64) bool { return n.slot(id).Load() == id }
func (n *nodes) add(id uint64)      { n.slot(id).Store(id) }

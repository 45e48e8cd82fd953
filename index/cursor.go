package index

import (
	"bytes"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// cursor is an iterator over the dirents of a snapshot that knows where it stands. To
// open an iterator, and to seek by it, each costs as much as to read a dozen entries.
// Mostly that is not needed: IDs are given in path order, so keys lie as directories are
// walked through, but for those that came later.
type cursor struct {
	txn     *badger.Txn
	it      *badger.Iterator
	chain   uint32
	version uint64
	// passed is where the iterator went on from: there is no key from there on before
	// where it stands. Nil: it stands nowhere.
	passed []byte
}

func newCursor(g *generation, chain uint32, version uint64) *cursor {
	c := &cursor{txn: g.db.NewTransactionAt(version, false), chain: chain, version: version}
	c.it = c.txn.NewIterator(badger.IteratorOptions{Prefix: appendChainKey(nil, direntKind, chain)})
	return c
}

func (c *cursor) close() {
	c.it.Close()
	c.txn.Discard()
}

// stands reports whether the iterator is at the first key that is not below key.
func (c *cursor) stands(key []byte) bool {
	return c.passed != nil && bytes.Compare(c.passed, key) <= 0 &&
		(!c.it.Valid() || bytes.Compare(c.it.Item().Key(), key) >= 0)
}

// seek goes to the first key that is not below key.
func (c *cursor) seek(key []byte) {
	if !c.stands(key) {
		c.it.Seek(key)
	}
	c.passed = append(c.passed[:0], key...)
}

// next goes on by one.
func (c *cursor) next() {
	c.passed = append(append(c.passed[:0], c.it.Item().Key()...), 0)
	c.it.Next()
}

// maxCursors is how many a generation keeps that nobody uses at the moment, each with some
// 100 KiB of what it has read: one for each of those who walk through a tree at once.
const maxCursors = 16

// cursors are those that nobody uses. The zero value is empty.
type cursors struct {
	mu   sync.Mutex
	idle []*cursor // the last used at the end
}

// take takes a cursor, the one that stands at key if there is one, which must be given
// back.
func (cs *cursors) take(g *generation, chain uint32, version uint64, key []byte) *cursor {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	found := -1
	for i := len(cs.idle) - 1; i >= 0; i-- {
		c := cs.idle[i]
		if c.chain != chain || c.version != version {
			continue
		}
		stands := c.stands(key)
		if stands || len(cs.idle) == maxCursors {
			found = i
		}
		if stands {
			break
		}
	}
	if found < 0 {
		return newCursor(g, chain, version)
	}
	c := cs.idle[found]
	cs.idle = append(cs.idle[:found], cs.idle[found+1:]...)
	return c
}

// give takes a cursor back.
func (cs *cursors) give(c *cursor) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.idle) == maxCursors {
		cs.idle[0].close()
		cs.idle = append(cs.idle[:0], cs.idle[1:]...)
	}
	cs.idle = append(cs.idle, c)
}

// close closes all, when nobody uses the generation any more.
func (cs *cursors) close() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.idle {
		c.close()
	}
	cs.idle = nil
}

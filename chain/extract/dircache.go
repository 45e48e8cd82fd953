package extract

import (
	"container/list"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// dirCache keeps directories of the target open. It is safe for concurrent use.
type dirCache struct {
	mu   sync.Mutex
	open map[string]*dirHandle
	idle list.List // of those nobody uses, the least recently used first
	max  int       // of those
}

// dirHandle is an open directory.
type dirHandle struct {
	path  string
	fd    int
	users int
	dead  bool          // no longer in the cache
	elem  *list.Element // in idle

	made    atomic.Bool             // by us: what is below it we made too
	touched atomic.Bool             // something in it was changed
	inherit atomic.Pointer[inherit] // nil: not known
}

// inherit is what a new object in a directory gets from the system.
type inherit struct {
	uid, gid int
	acl      bool // there is a default ACL: modes are not what is asked for
}

// newDirCache returns a cache that keeps up to max directories open though nobody
// uses them.
func newDirCache(max int) *dirCache { return &dirCache{open: make(map[string]*dirHandle), max: max} }

// get returns an open directory, which the caller releases, or nil.
func (c *dirCache) get(path string) *dirHandle {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.open[path]
	if h != nil {
		c.use(h)
	}
	return h
}

func (c *dirCache) use(h *dirHandle) {
	h.users++
	if h.elem != nil {
		c.idle.Remove(h.elem)
		h.elem = nil
	}
}

// put takes over a descriptor and returns it as a handle, or the one that somebody
// else was faster to open.
func (c *dirCache) put(path string, fd int) *dirHandle {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.open[path]; h != nil {
		unix.Close(fd)
		c.use(h)
		return h
	}
	h := &dirHandle{path: path, fd: fd, users: 1}
	c.open[path] = h
	return h
}

// release gives a handle back.
func (c *dirCache) release(h *dirHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.users--
	switch {
	case h.users > 0:
	case h.dead:
		unix.Close(h.fd)
	default:
		h.elem = c.idle.PushBack(h)
		if c.idle.Len() > c.max {
			c.drop(c.idle.Front().Value.(*dirHandle))
		}
	}
}

// forget drops a directory that is about to go, and all below it.
func (c *dirCache) forget(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, h := range c.open {
		if difftar.Within(p, path) {
			c.drop(h)
		}
	}
}

func (c *dirCache) drop(h *dirHandle) {
	delete(c.open, h.path)
	if h.users > 0 {
		h.dead = true
		return
	}
	c.idle.Remove(h.elem)
	unix.Close(h.fd)
}

func (c *dirCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.open {
		unix.Close(h.fd)
	}
	c.open = nil
}

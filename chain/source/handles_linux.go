package source

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxIdle bounds the descriptors of directories that are kept open unused.
const maxIdle = 128

// dir is a directory on the way to some item. Directories know their parents and
// not their children, so that what nobody needs is collected.
type dir struct {
	parent *dir // nil for the root
	name   string
	path   string // relative to the root
	dev    uint64
	ino    uint64

	// Owned by handles.
	fd         int // -1 while closed
	pins       int
	prev, next *dir // in the ring of idle ones, if open and not pinned
}

func newDir(parent *dir, name, path string, st *unix.Stat_t) *dir {
	return &dir{parent: parent, name: name, path: path, dev: uint64(st.Dev), ino: st.Ino, fd: -1}
}

// within reports whether d is the directory st or lies below it.
func (d *dir) within(st *unix.Stat_t) bool {
	for ; d != nil; d = d.parent {
		if d.dev == uint64(st.Dev) && d.ino == st.Ino {
			return true
		}
	}
	return false
}

// handles keeps descriptors of directories. One that is used is pinned; of the
// others the maxIdle last used stay open. One that was closed is opened again by
// way of its parents, and checked to be the same directory. Safe for concurrent
// use.
type handles struct {
	root   string // path of the root directory
	follow bool   // links below the root too

	mu     sync.Mutex
	idle   dir // head of the ring: next is the one last used
	nidle  int
	closed bool
}

func newHandles(root string, follow bool) *handles {
	h := &handles{root: root, follow: follow}
	h.idle.prev, h.idle.next = &h.idle, &h.idle
	return h
}

func (h *handles) alive() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return os.ErrClosed
	}
	return nil
}

// pin opens d unless it is open, and keeps it open until unpin.
func (h *handles) pin(d *dir) (fd int, err error) {
	var shut []*dir // d and its parents up to one that is open
	base, at := d, unix.AT_FDCWD
	for base != nil {
		fd, ok, err := h.tryPin(base)
		if err != nil {
			return -1, err
		}
		if ok {
			at = fd
			break
		}
		shut = append(shut, base)
		base = base.parent
	}
	for i := len(shut) - 1; i >= 0; i-- {
		at, err = h.open(at, shut[i])
		if base != nil {
			h.unpin(base)
		}
		if err != nil {
			return -1, err
		}
		base = shut[i]
	}
	return at, nil
}

// tryPin pins d if it is open.
func (h *handles) tryPin(d *dir) (fd int, ok bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return -1, false, os.ErrClosed
	case d.fd < 0:
		return -1, false, nil
	}
	h.hold(d)
	return d.fd, true, nil
}

// hold takes d, which is open, off the ring. The mutex is held.
func (h *handles) hold(d *dir) {
	if d.pins == 0 && d.next != nil {
		h.unlink(d)
	}
	d.pins++
}

func (h *handles) unlink(d *dir) {
	d.prev.next, d.next.prev = d.next, d.prev
	d.prev, d.next = nil, nil
	h.nidle--
}

// open opens and pins d in the directory at, which its caller has pinned.
func (h *handles) open(at int, d *dir) (int, error) {
	fd, err := h.openDir(at, d)
	if err != nil {
		return -1, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		_ = unix.Close(fd) // nothing was written, here and below
		return -1, os.ErrClosed
	case d.fd >= 0: // somebody else was as quick
		_ = unix.Close(fd)
	default:
		d.fd = fd
	}
	h.hold(d)
	return d.fd, nil
}

// openDir opens d in the directory at and checks that it is d.
func (h *handles) openDir(at int, d *dir) (int, error) {
	name, flags := d.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK
	switch {
	case d.parent == nil:
		name = h.root
	case !h.follow:
		flags |= unix.O_NOFOLLOW
	}
	fd, err := openat(at, name, flags)
	if h.relieve(err) {
		fd, err = openat(at, name, flags)
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = retry(func() error { return unix.Fstat(fd, &st) }); err == nil {
		if uint64(st.Dev) == d.dev && st.Ino == d.ino {
			return fd, nil
		}
		err = ErrReplaced
	}
	_ = unix.Close(fd)
	return -1, err
}

// unpin gives back what pin returned.
func (h *handles) unpin(d *dir) {
	h.mu.Lock()
	d.pins--
	if d.pins > 0 {
		h.mu.Unlock()
		return
	}
	if h.closed {
		fd := d.fd
		d.fd = -1
		h.mu.Unlock()
		_ = unix.Close(fd)
		return
	}
	d.prev, d.next = &h.idle, h.idle.next
	d.prev.next, d.next.prev = d, d
	h.nidle++
	full := h.nidle > maxIdle
	h.mu.Unlock()
	if full {
		h.shrink(maxIdle)
	}
}

// relieve reports whether err says that there are no more descriptors, having
// closed all that are idle: what failed is worth another try.
func (h *handles) relieve(err error) bool {
	if err != unix.EMFILE && err != unix.ENFILE {
		return false
	}
	h.shrink(0)
	return true
}

// shrink closes idle descriptors until n are left, those unused longest first.
func (h *handles) shrink(n int) {
	for {
		h.mu.Lock()
		if h.nidle <= n {
			h.mu.Unlock()
			return
		}
		d := h.idle.prev
		h.unlink(d)
		fd := d.fd
		d.fd = -1
		h.mu.Unlock()
		_ = unix.Close(fd) // a slow file system must not hold up the others
	}
}

// close closes all idle descriptors; pinned ones follow when they are unpinned.
func (h *handles) close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return os.ErrClosed
	}
	h.closed = true
	h.mu.Unlock()
	h.shrink(0)
	return nil
}

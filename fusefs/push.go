package fusefs

import (
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Who has read a small file mostly reads the next ones of the directory then, and each
// costs a question and an answer, which take longer than its bytes do. The bytes are
// here already, as neighbours share blocks: so they are pushed into the kernel's cache
// with the first one. These bound what is in vain where somebody picks out one file.
const (
	pushFiles = 16
	pushSize  = 64 << 10 // of a file, in bytes
	pushBytes = 256 << 10
)

// pusher pushes contents into the kernel's cache.
type pusher struct {
	trees Trees
	store func(node uint64, off int64, data []byte) fuse.Status // into the kernel's cache

	mu  sync.Mutex // one pushes at a time
	buf []byte
}

// push pushes the files behind n in its directory, as far as they are small and held in
// memory. The kernel takes those that it knows and ignores the others. A file that it is
// asking for at the same time makes push wait for that answer, which comes soon, as it
// comes from memory and from somebody who does not push.
func (p *pusher) push(f *filesystem, n node) {
	if !p.mu.TryLock() {
		return
	}
	defer p.mu.Unlock()
	self, err := p.trees.Entry(n.snapshot, n.id)
	if err != nil {
		return
	}
	if p.buf == nil {
		p.buf = make([]byte, pushSize)
	}
	files, bytes := 0, int64(0)
	for e, err := range p.trees.ReadDir(n.snapshot, self.Parent, self.ID) {
		if files++; err != nil || files > pushFiles || bytes >= pushBytes {
			return
		}
		if mode(&e)&syscall.S_IFMT != syscall.S_IFREG || e.Size <= 0 || e.Size > pushSize {
			continue
		}
		data := p.buf[:e.Size]
		if held, err := p.trees.Held(n.snapshot, e.ID, data); err != nil || !held {
			return
		}
		if p.store(f.nodeID(n.snapshot, &e), 0, data) == fuse.OK {
			bytes += e.Size
		}
	}
}

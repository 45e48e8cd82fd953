package fusefs

import (
	"slices"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hindsight/chain/difftar"
	"hindsight/index"
)

// Who has read a small file mostly reads the next ones then, those of the next directories
// included, and each costs a question and an answer, which take longer than its bytes do.
// The bytes are here already, as neighbours share blocks: so they are pushed into the
// kernel's cache with the first one. These bound what is in vain where somebody picks out
// one file.
const (
	pushLook  = 128 // names that are looked at
	pushFiles = 32
	pushSize  = 64 << 10 // of a file, in bytes
	pushBytes = 256 << 10
)

// pusher pushes contents into the kernel's cache.
type pusher struct {
	trees Trees
	store func(node uint64, off int64, data []byte) fuse.Status // into the kernel's cache

	mu   sync.Mutex // one pushes at a time
	room []byte
	// kept are nodes of files that were read or pushed, as programs come back to a
	// directory from those in it. Each is in the slot that its number says.
	kept [1 << 13]uint64
}

// push pushes the files that come behind n as far as they are small and held in memory:
// those of its directory, of the directories in there, and of those behind that one, and
// not those that were pushed before. It ends with the first one that the kernel does not
// know, as nobody has listed its directory. A file that the kernel is asking for at the
// same time makes push wait for that answer, which comes soon, as it comes from memory and
// from somebody who does not push.
func (p *pusher) push(f *filesystem, node uint64) {
	if !p.mu.TryLock() {
		return
	}
	defer p.mu.Unlock()
	n := f.node(node)
	self, err := p.trees.Entry(n.snapshot, n.id)
	if err != nil {
		return
	}
	if p.keep(node) { // the kernel has lost it, and others perhaps
		clear(p.kept[:])
		p.keep(node)
	}
	if p.room == nil {
		p.room = make([]byte, pushSize)
	}
	w := pushing{pusher: p, f: f, snapshot: n.snapshot}
	if !w.list(self.Parent, self.ID, w.one, nil) || !w.list(self.Parent, 0, nil, w.enter) {
		return
	}
	for at := self.Parent; ; {
		for len(w.dirs) > 0 {
			dir := w.dirs[0]
			w.dirs = w.dirs[1:]
			if !w.list(dir, 0, w.one, w.enter) {
				return
			}
		}
		up, err := p.trees.Entry(n.snapshot, at)
		if err != nil || up.Parent == 0 || !w.list(up.Parent, up.ID, nil, w.enter) {
			return
		}
		at = up.Parent
	}
}

// keep notes a node, and reports whether it was noted.
func (p *pusher) keep(node uint64) bool {
	slot := &p.kept[node%uint64(len(p.kept))]
	was := *slot == node
	*slot = node
	return was
}

// pushing is one push.
type pushing struct {
	*pusher
	f        *filesystem
	snapshot uint32
	dirs     []index.ID // that come next
	names    int
	files    int
	bytes    int64
}

// list hands over what is in a directory behind an entry: small files to file, and in the
// end the directories to enter. It reports whether the push may go on.
func (w *pushing) list(dir, after index.ID, file func(*Held) bool, enter func([]index.ID)) bool {
	var dirs []index.ID
	for h, err := range w.trees.ReadHeld(w.snapshot, dir, after, w.room) {
		if w.names++; err != nil || w.names > pushLook {
			return false
		}
		switch {
		case isDir(&h.Entry):
			dirs = append(dirs, h.ID)
		case file != nil && h.Type == difftar.Regular && 0 < h.Size && h.Size <= pushSize && !file(&h):
			return false
		}
	}
	if enter != nil {
		enter(dirs)
	}
	return true
}

// enter has directories come next.
func (w *pushing) enter(dirs []index.ID) { w.dirs = slices.Concat(dirs, w.dirs) }

// one pushes a file.
func (w *pushing) one(h *Held) bool {
	node := w.f.nodeID(w.snapshot, &h.Entry)
	if h.Content == nil || w.files == pushFiles || w.bytes >= pushBytes {
		return false
	}
	if w.keep(node) {
		return true
	}
	w.files++
	w.bytes += h.Size
	if w.store(node, 0, h.Content) != fuse.OK {
		w.kept[node%uint64(len(w.kept))] = 0
		return false
	}
	return true
}

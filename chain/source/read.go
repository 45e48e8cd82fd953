package source

import (
	"errors"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
	"hindsight/chain/selection"
)

// scratch is what one goroutine reads directories with.
type scratch struct {
	dirents []byte
	names   *nameList // to read the next directory into
}

// direntBytes is read from a directory at once; glibc takes half as much.
const direntBytes = 64 << 10

// run does the work of n: it reads the names of the directory, if they are not
// known yet, and the metadata of the next chunk of them.
func (w *walk) run(n *node, s *scratch) {
	b := builder{walk: w, node: n}
	defer b.finish()
	if n.names == nil {
		b.readNames(s)
	}
	if n.names.len() == 0 {
		return
	}
	to := min(n.from+chunk, n.names.len())
	if to < n.names.len() {
		w.list.insert(n, &node{dir: n.dir, names: n.names, from: to})
	}
	b.slots = slices.Grow(b.slots, to-n.from)
	fd, err := w.tree.handles.pin(n.dir)
	if err != nil {
		b.warn(n.dir.path, OpReadDir, err)
		return
	}
	defer w.tree.handles.unpin(n.dir)
	for i := n.from; i < to && !w.stopped.Load(); i++ {
		b.look(fd, n.names.get(i))
	}
}

// builder collects what comes out of running a node.
type builder struct {
	*walk
	node   *node
	slots  []slot
	follow []*node // behind node
	cost   int64
}

// Rough sizes, for the budget.
const (
	slotBytes = int64(unsafe.Sizeof(slot{}))
	nodeBytes = int64(unsafe.Sizeof(node{}) + unsafe.Sizeof(dir{}))
)

// finish hands the results to the list.
func (b *builder) finish() {
	b.cut()
	b.node.cost = b.cost
	b.node.names = nil
	b.walk.list.finish(b.node, b.follow)
}

// cut ends the current run of slots.
func (b *builder) cut() {
	switch {
	case len(b.slots) == 0:
	case len(b.follow) == 0:
		b.node.slots = slices.Clip(b.slots)
	default:
		b.follow = append(b.follow, &node{state: done, slots: slices.Clip(b.slots)})
	}
	b.slots = b.slots[len(b.slots):]
}

func (b *builder) add(s slot) *slot {
	b.cost += slotBytes + int64(len(s.Path)+len(s.Linkname))
	b.slots = append(b.slots, s)
	return &b.slots[len(b.slots)-1]
}

func (b *builder) warn(path, op string, err error) {
	b.add(slot{warn: &Warning{Path: path, Op: op, Err: err}})
}

// readNames fills in the names of the node's directory. They are kept in s unless
// they are for more than this node.
func (b *builder) readNames(s *scratch) {
	if s.names == nil {
		s.names = &nameList{}
	}
	n := b.node
	n.names = s.names
	n.names.reset()
	var err error
	if names, ok := b.tree.opt.Select.Names(n.dir.path); ok {
		for _, name := range names {
			n.names.add([]byte(name))
		}
	} else {
		err = b.readDir(n.dir, s)
	}
	switch {
	case err == nil:
	case n.dir.parent == nil:
		// A backup that took the source for empty would say that all is deleted.
		n.err = (&Item{tree: b.tree}).fail("read source", err)
		n.names.reset()
	default:
		b.warn(n.dir.path, OpReadDir, err)
	}
	if n.names.len() > chunk {
		b.cost += n.names.cost()
		s.names = nil
	}
}

// readDir reads the names in d into s.names, up to an error.
func (b *builder) readDir(d *dir, s *scratch) error {
	h := b.tree.handles
	fd, err := h.pin(d)
	if errors.Is(err, ErrReplaced) && d.parent != nil {
		var enter bool
		if enter, err = b.recheck(d); err != nil || !enter {
			return err
		}
		fd, err = h.pin(d)
	}
	if err != nil {
		return err
	}
	defer h.unpin(d)
	if s.dirents == nil {
		s.dirents = make([]byte, direntBytes)
	}
	if d.parent != nil {
		return s.names.read(fd, s.dirents)
	}
	// Several walks may read the root, each from its beginning.
	fd, err = openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	err = s.names.read(fd, s.dirents)
	return errors.Join(err, unix.Close(fd))
}

// recheck looks at a directory that is not what it was when its parent was read:
// opening it may have mounted a file system there, or it was replaced. It is
// entered if it still is a directory that the selection lets in. Nobody else
// knows d's children yet, so its identity can change.
func (b *builder) recheck(d *dir) (enter bool, err error) {
	fd, err := b.tree.handles.pin(d.parent)
	if err != nil {
		return false, err
	}
	defer b.tree.handles.unpin(d.parent)
	it := Item{tree: b.tree, at: d.parent, name: d.name, Path: d.path}
	var st unix.Stat_t
	if err := b.stat(fd, &it, &st); err != nil {
		return false, err
	}
	if it.Type != difftar.Directory {
		return false, unix.ENOTDIR
	}
	d.dev, d.ino = it.Dev, it.Ino
	return b.ask(&it, fd) != selection.Exclude, nil
}

// look reads the metadata of one name in the node's directory, open as fd.
func (b *builder) look(fd int, raw []byte) {
	d := b.node.dir
	var path string
	if d.path == "" {
		path = string(raw)
	} else {
		path = d.path + "/" + string(raw)
	}
	if len(path) > MaxPath {
		b.warn(path, OpStat, unix.ENAMETOOLONG)
		return
	}
	name := path[len(path)-len(raw):]
	s := slot{Item: Item{tree: b.tree, at: d, name: name, Path: path}}
	var st unix.Stat_t
	if err := b.stat(fd, &s.Item, &st); err != nil {
		// Such as a mount point that only its user may look at: no cause to
		// warn if it is excluded, whatever it is.
		s.Type, s.Dev = difftar.Directory, b.tree.rootDev
		if b.ask(&s.Item, fd) != selection.Exclude {
			b.warn(path, OpStat, err)
		}
		return
	}
	if s.Type == 0 {
		b.tree.opt.Logger.Debug("skip socket", "path", path)
		return
	}
	answer := b.ask(&s.Item, fd)
	if answer == selection.Exclude {
		return
	}
	if s.Type == difftar.Symlink {
		var err error
		if s.Linkname, err = readLink(fd, name, st.Size); err != nil {
			b.warn(path, OpReadLink, err)
			return
		}
	}
	s.scan = answer == selection.Scan
	b.add(s)
	if s.Type == difftar.Directory {
		b.enter(newDir(d, name, path, &st))
	}
}

// enter puts a directory on the list.
func (b *builder) enter(d *dir) {
	b.cut()
	b.follow = append(b.follow, &node{dir: d})
	b.cost += nodeBytes
}

// stat fills in an item from what fd holds under its name.
func (b *builder) stat(fd int, it *Item, st *unix.Stat_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if b.tree.opt.CopyLinks {
		flags = 0
	}
	err := fstatat(fd, it.name, st, flags)
	if flags == 0 {
		loop := err == nil && fileType(st.Mode) == difftar.Directory && it.at.within(st)
		if loop {
			b.warn(it.Path, OpReadLink, ErrLoop)
		}
		if loop || err == unix.ENOENT || err == unix.ELOOP {
			it.link = true
			err = fstatat(fd, it.name, st, unix.AT_SYMLINK_NOFOLLOW)
		}
	}
	if err != nil {
		return err
	}
	it.fill(st, &b.tree.owners)
	return nil
}

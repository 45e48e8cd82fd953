package source

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
	"hindsight/chain/selection"
)

// Walk yields the objects of the tree that are selected, in archive order. A
// single file is yielded as a root with the path "". The walk ends with an error,
// beside a nil item, if the root cannot be read or ctx is done; an item that
// cannot be is a Warning. Several walks may run at once.
func (t *Tree) Walk(ctx context.Context) iter.Seq2[*Item, error] {
	return func(yield func(*Item, error) bool) {
		w := &walk{tree: t, list: newList(t.opt.ReadAhead)}
		if err := w.begin(); err != nil {
			yield(nil, err)
			return
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer w.stop()
		defer context.AfterFunc(ctx, w.stop)()
		if t.opt.ReadAhead > 0 && t.root != nil {
			for range t.opt.Jobs {
				wg.Go(w.work)
			}
		}
		if err := w.consume(ctx, yield); err != nil {
			yield(nil, err)
		}
	}
}

// walk is one walk over a tree.
type walk struct {
	tree    *Tree
	list    *list
	stopped atomic.Bool

	// Owned by the consumer.
	held []*Item // directories to be yielded before the next item within them
}

// begin puts the root on the list.
func (w *walk) begin() error {
	t := w.tree
	root := slot{Item: Item{tree: t}}
	var st unix.Stat_t
	fd, err := unix.AT_FDCWD, t.handles.alive()
	if err == nil && t.root != nil {
		fd, err = t.handles.pin(t.root)
	}
	if err != nil {
		return root.fail("read source", err)
	}
	if t.root != nil {
		defer t.handles.unpin(t.root)
		err = retry(func() error { return unix.Fstat(fd, &st) })
	} else {
		err = fstatat(fd, t.opt.Root, &st, 0)
	}
	if err != nil {
		return root.fail("read source", err)
	}
	root.fill(&st, &t.owners)
	if t.root != nil {
		w.list.push(&node{dir: t.root})
	}
	w.list.push(&node{state: done, slots: []slot{root}})
	return nil
}

func (w *walk) stop() {
	w.stopped.Store(true)
	w.list.stop()
}

// work runs nodes ahead of the consumer.
func (w *walk) work() {
	var s scratch
	for n := w.list.take(); n != nil; n = w.list.take() {
		w.run(n, &s)
	}
}

// consume yields all items in order. It returns nil if the loop over the walk
// was left.
func (w *walk) consume(ctx context.Context, yield func(*Item, error) bool) error {
	var s scratch
	for {
		n, run := w.list.first()
		switch {
		case n == nil:
			return ctx.Err()
		case run:
			w.run(n, &s)
			continue
		case n.err != nil:
			return n.err
		}
		for i := range n.slots {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !w.deliver(&n.slots[i], yield) {
				return nil
			}
		}
	}
}

// deliver passes on one slot; false if the loop over the walk was left.
func (w *walk) deliver(s *slot, yield func(*Item, error) bool) bool {
	if s.warn != nil {
		w.tree.opt.Warn(*s.warn)
		return true
	}
	for len(w.held) > 0 && !difftar.Within(s.Path, w.held[len(w.held)-1].Path) {
		w.held = w.held[:len(w.held)-1]
	}
	if s.scan {
		w.held = append(w.held, &s.Item)
		return true
	}
	held := w.held
	w.held = nil
	for _, it := range held {
		if !yield(it, nil) {
			return false
		}
	}
	return yield(&s.Item, nil)
}

// ask asks the selection about an object that the directory d, open as fd, holds.
func (w *walk) ask(it *Item, fd int) selection.Answer {
	sel := w.tree.opt.Select
	if sel == nil {
		return selection.Include
	}
	o := selection.Object{
		Path:    it.Path,
		MTime:   it.ModTime.Unix(),
		OtherFS: it.Dev != w.tree.rootDev,
	}
	switch it.Type {
	case difftar.Regular:
		o.Kind = selection.Regular
	case difftar.CharDevice, difftar.BlockDevice:
		o.Kind = selection.Device
	case difftar.Directory:
		o.Kind = selection.Directory
		name := it.name
		o.Contains = func(child string) bool {
			var st unix.Stat_t
			return fstatat(fd, name+"/"+child, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
		}
	}
	return sel.Select(o)
}

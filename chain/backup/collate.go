package backup

import (
	"context"
	"errors"
	"io"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/source"
)

// What the walk yields, and what signatures tell, has a place in volume and manifest.
const (
	_ = uint(difftar.MaxPath - source.MaxPath)
	_ = uint(manifest.MaxPath - difftar.MaxPath)
)

// collate walks the source and the last state abreast and passes on what differs, in
// path order (duplicity-format.md §4.2).
func (r *run) collate(ctx context.Context, tree *source.Tree, emit func(*task) error) error {
	c := &collator{run: r, emit: emit}
	if len(r.base) > 0 {
		merge, err := r.lastState(ctx)
		if err != nil {
			return err
		}
		defer merge.Close()
		c.merge = merge
	}
	if err := c.next(); err != nil {
		return err
	}
	for item, err := range tree.Walk(ctx) {
		if err != nil {
			return err
		}
		if err := c.gone(ctx, &item.Path); err != nil {
			return err
		}
		if err := c.compare(ctx, item); err != nil {
			return err
		}
	}
	return c.gone(ctx, nil)
}

// lastState opens the tree that the new set builds on: what is known of it, and the
// signatures of what is not.
func (r *run) lastState(ctx context.Context) (*chain.Merge, error) {
	if r.Last != nil {
		tree, n, err := r.Last(ctx, r.base)
		switch {
		case err != nil:
			r.Log.Warn("the last state is merged from signatures, as the index cannot tell it", "reason", err)
		case n > 0:
			return r.Repository.MergeOver(ctx, tree, r.base[n:])
		}
	}
	return r.Repository.MergeSignatures(ctx, r.base)
}

// collator holds the last state against the walk.
type collator struct {
	*run
	emit  func(*task) error
	merge *chain.Merge
	last  *difftar.Entry // of the last state; nil at its end
}

// next goes to the last state's next entry.
func (c *collator) next() error {
	if c.merge == nil {
		return nil
	}
	e, err := c.merge.Next()
	if err == io.EOF {
		c.last = nil
		return nil
	}
	c.last = e
	return err
}

// compare passes on an item of the source if it is not what it was.
func (c *collator) compare(ctx context.Context, item *source.Item) error {
	c.see(item)
	same := c.last != nil && c.last.Path == item.Path
	switch {
	case !same:
		t := c.newTask(item, nil)
		if err := c.admit(ctx, t); err != nil {
			return err
		}
		if err := c.emit(t); err != nil {
			return err
		}
	case c.changed(item, c.last, c.merge.Exact()):
		t := c.newTask(item, c.last)
		if err := c.admit(ctx, t); err != nil {
			return err
		}
		if err := c.readSignature(t); err != nil {
			return err
		}
		if err := c.emit(t); err != nil {
			return err
		}
	}
	if same {
		return c.next()
	}
	return nil
}

// gone passes on the deletion of what the last state has before a path (nil: of all
// the rest), but for what the source could not tell.
func (c *collator) gone(ctx context.Context, before *string) error {
	for c.last != nil && (before == nil || difftar.Compare(c.last.Path, *before) < 0) {
		path, typ := c.last.Path, c.last.Type
		if err := c.next(); err != nil {
			return err
		}
		if c.guarded.holds(path) {
			continue
		}
		t := &task{path: path, was: typ, cost: taskCost + int64(len(path))}
		if err := c.admit(ctx, t); err != nil {
			return err
		}
		if err := c.emit(t); err != nil {
			return err
		}
	}
	return nil
}

// see counts an object of the source.
func (r *run) see(item *source.Item) {
	r.stats.SourceFiles++
	r.stats.SourceFileSize += item.StatSize
	if item.Type == difftar.Regular {
		r.Progress.Files.Add(1)
	}
}

// changed compares as duplicity does (duplicity-format.md §4.2), but for devices and
// links, and files of which more is known than archives tell: of these it sees more.
func (r *run) changed(item *source.Item, old *difftar.Entry, exact chain.Exact) bool {
	if item.Type != old.Type || (old.Kind == difftar.Signature) != (item.Type == difftar.Regular) {
		return true
	}
	if !r.sameOwner(item, old) {
		return true
	}
	switch item.Type {
	case difftar.Symlink:
		return item.Linkname != old.Linkname
	case difftar.CharDevice, difftar.BlockDevice:
		if item.Major != old.Major || item.Minor != old.Minor {
			return true
		}
	case difftar.Regular:
		if exact.Size >= 0 && item.Size != exact.Size || exact.Nsec != 0 && int(exact.Nsec) != item.ModTime.Nanosecond() {
			return true
		}
	}
	return item.Mode != old.Mode || max(item.MTime, 0) != max(old.MTime, 0)
}

// sameOwner compares names where both sides have them, since a restore goes by names
// first, else numbers.
func (r *run) sameOwner(item *source.Item, old *difftar.Entry) bool {
	same := func(name, oldName string, id, oldID int64) bool {
		if r.NumericOwner || name == "" || oldName == "" {
			return id == oldID
		}
		return name == oldName
	}
	return same(item.Uname, old.Uname, item.UID, old.UID) && same(item.Gname, old.Gname, item.GID, old.GID)
}

// guarded is the places where the source could not be read: what is not seen there
// counts as unchanged, not as deleted.
type guarded struct{ paths []string }

// add takes a warning of the walk. A link that is not followed is stored as a link.
func (g *guarded) add(w source.Warning) {
	if !errors.Is(w.Err, source.ErrLoop) {
		g.paths = append(g.paths, w.Path)
	}
}

// holds reports whether a path lies at such a place. Paths must not descend: places
// that lie behind are forgotten.
func (g *guarded) holds(path string) bool {
	keep := g.paths[:0]
	found := false
	for _, p := range g.paths {
		within := difftar.Within(path, p)
		found = found || within
		if within || difftar.Compare(p, path) > 0 {
			keep = append(keep, p)
		}
	}
	g.paths = keep
	return found
}

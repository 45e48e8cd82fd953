package extract

import (
	"context"
	"fmt"
	"io"
	"time"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/source"
)

// Difference is what differs between a path of a backup and of a live tree.
type Difference struct {
	Path string
	Text string // as duplicity says it (duplicity-format.md §6.2)
	New  bool   // the backup does not have it
	// Meta is that of the tree's path; zero where the tree does not have it.
	Meta difftar.Meta
}

// TreeOptions says what CompareTree compares.
type TreeOptions struct {
	Repository *chain.Repository
	Sets       []*chain.Set // oldest first
	Tree       *source.Tree
	Filter     Filter // of the backup's paths
	Root       string // the backup's path that the tree's root stands for

	NumericOwner bool
	Location     *time.Location
	// Data reports whether the content of a regular file differs, as Compare found.
	Data func(path string) bool
	// Found is told of every difference, in path order.
	Found func(Difference)
}

// CompareTree walks a live tree and the state of a backup abreast, and compares what
// signatures tell: of each path the first thing that differs is found, as duplicity
// does it. It returns how many paths there are on either side.
func CompareTree(ctx context.Context, opt TreeOptions) (paths int64, err error) {
	m, err := opt.Repository.MergeStates(ctx, opt.Sets)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	c := &treeComparer{TreeOptions: opt, merge: m}
	if err := c.next(); err != nil {
		return 0, err
	}
	for item, err := range opt.Tree.Walk(ctx) {
		if err != nil {
			return c.paths, err
		}
		if err := c.missing(&item.Path); err != nil {
			return c.paths, err
		}
		c.paths++
		if c.entry == nil || c.path != item.Path {
			c.Found(Difference{item.Path, "New file " + name(item.Path), true, item.Meta})
			continue
		}
		if text := c.compare(item); text != "" {
			c.Found(Difference{item.Path, text, false, item.Meta})
		}
		if err := c.next(); err != nil {
			return c.paths, err
		}
	}
	return c.paths, c.missing(nil)
}

// treeComparer holds the backup's state against the walk.
type treeComparer struct {
	TreeOptions
	merge  *chain.Merge
	queue  []difftar.Entry // of the backup, the next one first, but for directories on the way
	onWay  []difftar.Entry // directories that count if something in them is wanted
	entry  *difftar.Entry  // of the backup; nil at its end
	path   string          // its path in the tree
	paths  int64
	owners owners
}

// next goes to the backup's next path that is wanted.
func (c *treeComparer) next() error {
	if len(c.queue) == 0 {
		if err := c.fill(); err != nil {
			return err
		}
	}
	if len(c.queue) == 0 {
		c.entry = nil
		return nil
	}
	e := c.queue[0]
	c.queue = c.queue[1:]
	c.entry, c.path = &e, e.Path
	if c.Root != "" {
		c.path = e.Path[min(len(c.Root)+1, len(e.Path)):]
	}
	return nil
}

// fill queues the next path that is wanted, behind the directories on the way to it.
func (c *treeComparer) fill() error {
	for {
		e, err := c.merge.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !difftar.Within(e.Path, c.Root) {
			continue
		}
		for n := len(c.onWay); n > 0 && !difftar.Within(e.Path, c.onWay[n-1].Path); n-- {
			c.onWay = c.onWay[:n-1]
		}
		switch verdict := c.Filter.Wants(e.Path, &e.Meta); {
		case verdict == TakeOpen && e.Type == difftar.Directory:
			c.onWay = append(c.onWay, *e)
		case verdict != Skip:
			c.queue = append(c.onWay, *e)
			c.onWay = nil
			return nil
		}
	}
}

// missing passes over what the backup has before a path (nil: to its end).
func (c *treeComparer) missing(before *string) error {
	for c.entry != nil && (before == nil || difftar.Compare(c.path, *before) < 0) {
		c.paths++
		c.Found(Difference{c.path, fmt.Sprintf("File %s is missing", name(c.path)), false, difftar.Meta{}})
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

// compare says what differs of a path that is on both sides.
func (c *treeComparer) compare(item *source.Item) string {
	have, want, at := &item.Meta, &c.entry.Meta, name(c.path)
	if have.Type != want.Type {
		return fmt.Sprintf("File %s has type %s, expected %s", at, typeWord(have.Type), typeWord(want.Type))
	}
	switch have.Type {
	case difftar.Symlink:
		if have.Linkname != want.Linkname {
			return fmt.Sprintf("Symlink %s points to %s, expected %s", at, have.Linkname, want.Linkname)
		}
		return ""
	case difftar.CharDevice, difftar.BlockDevice:
		if have.Major != want.Major || have.Minor != want.Minor {
			return fmt.Sprintf("Device file %s has numbers (%d, %d), expected (%d, %d)", at, have.Major, have.Minor, want.Major, want.Minor)
		}
	}
	uid, gid := c.owners.of(want, c.NumericOwner)
	if have.Mode != want.Mode || have.UID != int64(uid) || have.GID != int64(gid) {
		return fmt.Sprintf("File %s has permissions %d:%d %o, expected %d:%d %o", at, have.UID, have.GID, have.Mode, uid, gid, want.Mode)
	}
	if (have.Type == difftar.Regular || have.Type == difftar.Directory) && max(have.MTime, 0) != max(want.MTime, 0) {
		return fmt.Sprintf("File %s has mtime %s, expected %s", at, c.time(have.MTime), c.time(want.MTime))
	}
	if have.Type == difftar.Regular && c.Data(c.path) {
		return fmt.Sprintf("Data for file %s is different", at)
	}
	return ""
}

// time is a time as C's asctime writes it.
func (c *treeComparer) time(seconds int64) string {
	at := time.Unix(seconds, 0)
	if c.Location != nil {
		at = at.In(c.Location)
	}
	return at.Format(time.ANSIC)
}

// name is a path as duplicity writes it.
func name(path string) string {
	if path == "" {
		return "."
	}
	return path
}

// typeWord is duplicity's word for a type.
func typeWord(t difftar.Type) string {
	switch t {
	case difftar.Regular:
		return "reg"
	case difftar.Directory:
		return "dir"
	case difftar.Symlink:
		return "sym"
	case difftar.Fifo:
		return "fifo"
	case difftar.CharDevice:
		return "chr"
	case difftar.BlockDevice:
		return "blk"
	}
	return t.String()
}

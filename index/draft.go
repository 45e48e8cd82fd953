package index

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/renameio/v2"

	"hindsight/chain"
)

// draft is a generation in the making: a copy of the current one to which sets are
// added. Its maker holds the writer lock.
type draft struct {
	x    *Index
	ptr  pointer // as it will be
	path string
	g    *generation // open to write, and never anybody else's
	// dirty says that records of a set were written that is not part of it.
	dirty bool
}

func newDraft(x *Index, ptr pointer, p *plan) (*draft, error) {
	base, err := x.base(ptr)
	if err != nil {
		return nil, err
	}
	if base != nil {
		defer base.release()
	}
	path, err := os.MkdirTemp(x.dir, tempPrefix)
	if err != nil {
		return nil, err
	}
	n := &draft{x: x, ptr: ptr, path: path, g: &generation{meta: p.meta, scans: x.scans}}
	n.ptr.Generation++
	n.ptr.Dropped = false
	n.g.refs.Store(1)
	if err := n.begin(base, p.rewrite); err != nil {
		return nil, errors.Join(err, n.discard())
	}
	return n, nil
}

// base is the generation that the next one is a copy of; nil: there is none.
func (x *Index) base(ptr pointer) (*generation, error) {
	if ptr.Dropped {
		return nil, nil // what x still shows is gone
	}
	g, err := x.acquire()
	if err == ErrGone {
		return nil, nil
	}
	return g, err
}

// begin fills the draft's database with what the generation has that it is based on.
func (n *draft) begin(old *generation, rewrite bool) (err error) {
	to := filepath.Join(n.path, dbName)
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	if old != nil && !rewrite {
		if err := copyFiles(to, filepath.Join(old.path, dbName)); err != nil {
			return err
		}
	}
	if err := checkRoom(to); err != nil {
		return err
	}
	if n.g.db, err = badger.OpenManaged(dbOptions(to, false, n.x.log)); err != nil {
		return err
	}
	if old != nil && rewrite {
		err = n.copyLive(old)
	}
	n.g.arrange(n.x)
	return err
}

// discard throws the draft away, unless it was published.
func (n *draft) discard() error {
	var err error
	if n.g.db != nil {
		err = n.g.db.Close()
	}
	if n.path != "" {
		err = errors.Join(err, os.RemoveAll(n.path))
	}
	return err
}

// copyLive copies the records of chains and sets that are shown.
func (n *draft) copyLive(old *generation) error {
	last := make(map[uint32]uint64) // version of each chain's last set
	sets := make(map[uint32]bool)
	for _, c := range n.g.meta.Chains {
		last[c.Number] = n.g.meta.last(c).version()
		c.Closed = false
		for _, s := range c.Sets {
			sets[s.Number] = true
		}
	}
	n.g.meta.Dead = 0
	txn := old.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{AllVersions: true})
	defer it.Close()
	w := n.g.db.NewManagedWriteBatch()
	defer w.Cancel()
	written := int64(0) // bytes since the last look for room
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		number, bySet, err := owner(item.Key())
		if err != nil {
			return err
		}
		if bySet && !sets[number] || !bySet && item.Version() > last[number] {
			continue
		}
		value, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		if written += item.KeySize() + item.ValueSize(); written > roomStep {
			if err := checkRoom(filepath.Join(n.path, dbName)); err != nil {
				return err
			}
			written = 0
		}
		if err := w.SetEntryAt(badger.NewEntry(item.KeyCopy(nil), value), item.Version()); err != nil {
			return err
		}
	}
	return w.Flush()
}

// batch writes the records of one set.
type batch struct {
	*badger.WriteBatch
	dirty   *bool
	db      string // its directory
	written int    // bytes since the last look for room
}

func (b *batch) Set(key, value []byte) error {
	if b.written += len(key) + len(value); b.written > roomStep {
		if err := checkRoom(b.db); err != nil {
			return err
		}
		b.written = 0
	}
	*b.dirty = true
	return b.WriteBatch.Set(key, value)
}

// takeIn takes in a set from one of its sources. If it fails then n.dirty says whether
// the draft is still good.
func (n *draft) takeIn(ctx context.Context, repo *chain.Repository, c *chainMeta, s *chain.Set, from Source) error {
	return n.fill(c, s, from, func(in *ingest) error { return in.read(ctx, repo, s, from) })
}

// fill adds a set to a chain, of which read gives the entries.
func (n *draft) fill(c *chainMeta, s *chain.Set, from Source, read func(*ingest) error) error {
	if n.ptr.NextSet > MaxNumber {
		return errors.New("the index has no more numbers for snapshots: drop it")
	}
	if err := checkRoom(filepath.Join(n.path, dbName)); err != nil {
		return err
	}
	set := newSetMeta(s)
	set.Number, set.Source = n.ptr.NextSet, from
	first := len(c.Sets) == 0
	if first {
		c.Number = n.ptr.NextChain
	}
	w := n.g.db.NewWriteBatchAt(set.version())
	w.SetMaxPendingTxns(2)
	defer w.Cancel()
	in := &ingest{
		w: &batch{WriteBatch: w, dirty: &n.dirty, db: filepath.Join(n.path, dbName)}, chain: c, set: set, log: n.x.log,
		users: newOwners(&n.g.meta.Users), groups: newOwners(&n.g.meta.Groups),
	}
	if !first {
		before := n.g.meta.last(c)
		set.Totals = before.Totals
		n.g.refs.Add(1)
		in.old = n.g.view(c.Number, before.version())
		defer in.old.release()
	}
	err := read(in)
	if err == nil {
		err = in.volumes(s)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return err
	}
	n.dirty = false
	n.ptr.NextSet++
	if first {
		n.ptr.NextChain++
		n.g.meta.Chains = append(n.g.meta.Chains, c)
	}
	c.Sets = append(c.Sets, set)
	n.g.byVersion[chainVersion{c.Number, set.version()}] = set.Number
	return nil
}

// publish makes the draft the current generation. After that the draft is no more.
func (n *draft) publish() error {
	if n.dirty {
		return errors.New("index: part of a set in what is to be published")
	}
	if err := checkRoom(filepath.Join(n.path, dbName)); err != nil {
		return err
	}
	db := n.g.db
	n.g.db = nil
	if err := db.Close(); err != nil {
		return err
	}
	if err := n.seal(); err != nil {
		return err
	}
	if err := os.Rename(n.path, genPath(n.x.dir, n.ptr.Generation)); err != nil {
		return err
	}
	n.path = ""
	if err := writePointer(n.x.dir, n.ptr); err != nil {
		return err
	}
	if _, err := n.x.Refresh(); err != nil {
		return err
	}
	return errors.Join(sweep(n.x.dir, n.ptr.Generation), sweepScans(n.x.scans.dir, n.g.meta))
}

// seal writes what lies beside the database, and makes all of it durable.
func (n *draft) seal() error {
	sums, err := sumFiles(filepath.Join(n.path, dbName))
	if err != nil {
		return err
	}
	text, err := n.g.meta.encode()
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(n.path, metaFile), text, 0o600); err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(n.path, sumsFile), encodeSums(sums), 0o600); err != nil {
		return err
	}
	mark, err := verifiedMark(n.path, encodeSums(sums))
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(n.path, checkedFile), []byte(mark), 0o600); err != nil {
		return err
	}
	if err := syncFiles(filepath.Join(n.path, dbName)); err != nil {
		return err
	}
	return syncFiles(n.path)
}

package index

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"hindsight/chain/naming"
)

// Options says which index is meant.
type Options struct {
	// Identity says which repository the index is of: its URL and prefixes, say. Only a
	// hash of it is kept. An index that was made under another identity is not used.
	Identity string
	Log      *slog.Logger // nil discards
}

// Index is an open index. All methods are safe for concurrent use, in any number of
// processes.
type Index struct {
	dir      string
	identity string
	log      *slog.Logger
	scans    *scans

	mu     sync.RWMutex
	gen    *generation // nil: there is none yet
	closed bool
}

var errClosed = errors.New("index: closed")

// Open opens the index in a directory, which is made if it is missing. If there is
// none in it, or one that is foreign, damaged or of another version, which is logged,
// then it is empty until Build. Errors are those of the file system alone.
func Open(dir string, opt Options) (*Index, error) {
	log := opt.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	scans, err := newScans(filepath.Join(dir, scansName), log)
	if err != nil {
		return nil, err
	}
	x := &Index{dir: dir, identity: identityHash(opt.Identity), log: log, scans: scans}
	if _, err := x.Refresh(); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// Close gives back what the index holds. Iterators that are in use keep theirs until
// they end.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return errClosed
	}
	x.closed = true
	if x.gen != nil {
		x.gen.release()
		x.gen = nil
	}
	return x.scans.close()
}

// Refresh takes the current generation if it is another one by now, and what other
// processes have learned of volumes.
func (x *Index) Refresh() (changed bool, err error) {
	if err := x.scans.refresh(); err != nil {
		return false, err
	}
	g, err := x.openCurrent()
	if err != nil || g == nil {
		return false, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || x.gen != nil && x.gen.number >= g.number {
		g.release()
		return false, nil
	}
	if x.gen != nil {
		x.gen.release()
	}
	x.gen = g
	return true, nil
}

// openCurrent opens the current generation, nil if that is held already or if there is
// none to be used.
func (x *Index) openCurrent() (*generation, error) {
	for {
		p, err := readPointer(x.dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && (p.Dropped || p.Generation == x.Generation()) {
			return nil, nil
		}
		var g *generation
		if err == nil {
			g, err = openGeneration(x, p.Generation)
		}
		if err == nil {
			return g, nil
		}
		if unusable(err) {
			x.log.Warn("the index cannot be used and will be made anew", "dir", x.dir, "reason", err)
			return nil, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		// It was replaced in between, or else it is lost.
		if now, err := readPointer(x.dir); err == nil && now == p {
			x.log.Warn("the index cannot be used and will be made anew", "dir", x.dir, "reason", "its current generation is missing")
			return nil, nil
		}
	}
}

func unusable(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, errSchema) || errors.Is(err, errForeign)
}

// acquire takes a reference to the current generation.
func (x *Index) acquire() (*generation, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	switch {
	case x.closed:
		return nil, errClosed
	case x.gen == nil:
		return nil, ErrGone
	}
	x.gen.refs.Add(1)
	return x.gen, nil
}

// Generation is the number of the generation in use, which changes whenever Refresh or
// Build takes another one. 0: there is none.
func (x *Index) Generation() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.gen == nil {
		return 0
	}
	return x.gen.number
}

// Snapshots lists the snapshots of all chains by time. The list is the caller's.
func (x *Index) Snapshots() []*Snapshot {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.gen == nil {
		return nil
	}
	return slices.Clone(x.gen.snapshots)
}

// Snapshot finds a snapshot by its number. ErrGone: there is none.
func (x *Index) Snapshot(number uint32) (*Snapshot, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.gen == nil || x.gen.byNumber[number] == nil {
		return nil, ErrGone
	}
	return x.gen.byNumber[number].snapshot, nil
}

// At selects the snapshot that a time is about, as chain.Collection.At and Chain.Until
// do (duplicity-format.md §5.2): the newest one not after it of the chain that covers
// it, else the newest before it, else the oldest. Of two chains that cover it the one
// counts that began later. It is nil if there are no snapshots.
func (x *Index) At(t naming.Time) *Snapshot {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.gen == nil {
		return nil
	}
	var covers, before, oldest *chainMeta
	for _, c := range x.gen.meta.Chains {
		first, last := c.Sets[0].End, x.gen.meta.last(c).End
		if first <= t && t <= last && (covers == nil || first > covers.Sets[0].End) {
			covers = c
		}
		if last < t && (before == nil || last > x.gen.meta.last(before).End) {
			before = c
		}
		if oldest == nil || first < oldest.Sets[0].End {
			oldest = c
		}
	}
	for _, c := range []*chainMeta{covers, before, oldest} {
		if c == nil {
			continue
		}
		n := 1
		for n < len(c.Sets) && c.Sets[n].End <= t {
			n++
		}
		return x.gen.byNumber[c.Sets[n-1].Number].snapshot
	}
	return nil
}

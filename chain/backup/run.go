package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"hindsight/chain"
	"hindsight/chain/naming"
	"hindsight/chain/source"
	"hindsight/chain/store"
)

// maxSkew is how far, in seconds, the clock may lie behind the newest set: the new
// one then gets the second after it.
const maxSkew = 60

// run is one backup.
type run struct {
	Options
	stats  Statistics
	base   []*chain.Set         // whose state the new set builds on; none: a full
	known  map[chain.SetID]bool // complete sets when the run began
	budget *semaphore.Weighted  // bytes
	writer *chain.SetWriter

	warning sync.Mutex
	guarded guarded
}

// Run makes one set. When it fails, what it had put on the store is removed as far
// as possible; what stays is ignored by every reader.
func Run(ctx context.Context, opt Options) (*Statistics, error) {
	if opt.Jobs <= 0 {
		opt.Jobs = runtime.GOMAXPROCS(0)
	}
	if opt.Memory <= 0 {
		opt.Memory = 64 << 20
	}
	if opt.Progress == nil {
		opt.Progress = new(Progress)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	r := &run{Options: opt}
	r.stats.Start = time.Now()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.make(ctx); err != nil {
		return nil, err
	}
	r.stats.End = time.Now()
	return &r.stats, nil
}

// prepare decides what kind of set to make, and clears away what an earlier run left.
func (r *run) prepare(ctx context.Context) error {
	repo := r.Repository
	col, err := chain.Load(ctx, repo.Store, repo.Scheme)
	if err != nil {
		return err
	}
	if !r.DryRun {
		switch err := repo.RemoveUnfinished(ctx, col); {
		case errors.Is(err, store.ErrPermission):
			// As it should be where a machine may write backups and not delete them.
			r.Log.Info("remains of an interrupted backup stay, as they may not be deleted from here", "error", err)
		case err != nil:
			r.Log.Warn("remains of an interrupted backup stay; cleanup removes them", "error", err)
		}
		if err := repo.SyncArchive(ctx, col); err != nil {
			return err
		}
	}
	r.known = complete(col)
	if err := r.choose(col); err != nil {
		return err
	}
	if err := r.checkBase(ctx); err != nil {
		return err
	}
	return r.setTime(col)
}

// choose finds the sets to build on (duplicity-format.md §5.1.6).
func (r *run) choose(col *chain.Collection) error {
	latest := col.Latest()
	var reason string
	switch {
	case r.Mode == Full:
		return nil
	case latest == nil:
		reason = "there is no complete backup yet"
	case r.Mode == Auto && r.FullAfter > 0 && time.Duration(r.Time-lastFull(col))*time.Second > r.FullAfter:
		reason = "the last full backup is old enough for a new one"
	default:
		signed := latest.Signed()
		missing := len(latest.Sets) - len(signed)
		if missing == 0 || missing == 1 && len(signed) > 0 {
			if missing == 1 {
				last := latest.Sets[len(latest.Sets)-1]
				r.Log.Warn("the newest backup has lost its signatures and is superseded", "set", last.SetID.String())
			}
			r.base = signed
			return nil
		}
		reason = "the chain has lost its signatures"
	}
	if r.Mode == Incremental {
		return fmt.Errorf("cannot make an incremental backup: %s: %w", reason, chain.ErrNoSignatures)
	}
	r.Log.Info("making a full backup", "reason", reason)
	return nil
}

// complete is the sets of a collection that have a manifest.
func complete(col *chain.Collection) map[chain.SetID]bool {
	ids := make(map[chain.SetID]bool)
	for _, ch := range col.Chains {
		for _, s := range ch.Sets {
			ids[s.SetID] = true
		}
	}
	for _, sets := range [][]*chain.Set{col.Orphans, col.Superseded} {
		for _, s := range sets {
			ids[s.SetID] = true
		}
	}
	return ids
}

// lastFull is the time of the newest full backup.
func lastFull(col *chain.Collection) naming.Time {
	var newest naming.Time
	for _, ch := range col.Chains {
		newest = max(newest, ch.Start())
	}
	return newest
}

// checkOrigin refuses to continue a chain of another source (duplicity-format.md §2).
func (r *run) checkOrigin(ctx context.Context, read manifests) error {
	s := r.base[len(r.base)-1]
	m, err := read.of(ctx, r, s)
	if closed(s, err) {
		r.Log.Info("the last manifest cannot be read here, so its origin is not checked", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	if m.Hostname != "" && len(r.Hostnames) > 0 && !slices.Contains(r.Hostnames, m.Hostname) {
		return mismatch(ErrHostMismatch, m.Hostname, r.Hostnames[0])
	}
	if m.LocalDir != "" && r.Set.LocalDir != "" && m.LocalDir != r.Set.LocalDir {
		return dirMismatch(m.LocalDir, r.Set.LocalDir)
	}
	return nil
}

// setTime makes sure that the new set is later than all others, as every reader of
// a chain relies on (duplicity-format.md §11.18), and that its objects' names are
// free.
func (r *run) setTime(col *chain.Collection) error {
	newest := naming.Time(0)
	for _, ch := range col.Chains {
		newest = max(newest, ch.End())
	}
	if newest-r.Time > maxSkew {
		return fmt.Errorf("the newest backup is of %v, which is in the future: check this machine's clock", newest)
	}
	r.Time = max(r.Time, newest+1)
	taken := make(map[naming.Time]bool)
	for _, sets := range [][]*chain.Set{col.Incomplete, col.Orphans, col.Superseded} {
		for _, s := range sets {
			taken[s.End] = true
		}
	}
	for taken[r.Time] {
		r.Time++
	}
	return nil
}

// id names the set to be made.
func (r *run) id() chain.SetID {
	if len(r.base) == 0 {
		return chain.SetID{End: r.Time}
	}
	return chain.SetID{Inc: true, Start: r.base[len(r.base)-1].End, End: r.Time}
}

// make walks the source and writes the set.
func (r *run) make(ctx context.Context) (err error) {
	r.Source.Warn = r.walkWarning
	tree, err := source.Open(r.Source)
	if err != nil {
		return err
	}
	defer tree.Close()
	r.stats.Set = r.id()
	if r.DryRun {
		return r.pipeline(ctx, tree)
	}
	opt := r.Set
	opt.Confirm = r.confirm
	if len(r.Hostnames) > 0 {
		opt.Hostname = r.Hostnames[0]
	}
	if r.writer, err = r.Repository.NewSetWriter(ctx, r.id(), opt); err != nil {
		return err
	}
	defer r.writer.Abort()
	if err := r.pipeline(ctx, tree); err != nil {
		return err
	}
	if err := r.writer.Commit(); err != nil {
		return err
	}
	r.stats.StoredSize, r.stats.Volumes = r.writer.Stored(), r.writer.Volumes()
	r.Progress.Stored.Store(r.stats.StoredSize)
	return nil
}

// confirm makes sure, before the set is committed, that nobody else has committed
// one meanwhile that continues the same chain, or that the new one's time would
// fall into: a time that two chains cover cannot be restored (duplicity-format.md
// §5.2).
func (r *run) confirm(ctx context.Context) error {
	col, err := chain.Load(ctx, r.Repository.Store, r.Repository.Scheme)
	if err != nil {
		return err
	}
	for id := range complete(col) {
		if !r.known[id] && (len(r.base) > 0 || id.End >= r.Time) {
			return fmt.Errorf("%w: %v", ErrRaced, id)
		}
	}
	return nil
}

// warn counts and tells a trouble with one path.
func (r *run) warn(path string, err error) {
	r.warning.Lock()
	defer r.warning.Unlock()
	r.stats.Errors++
	if r.Warn != nil {
		r.Warn(path, err)
	}
}

// walkWarning takes a warning of the walk: what could not be seen is not deleted.
// What vanished before it was looked at is no trouble, it is not there.
func (r *run) walkWarning(w source.Warning) {
	if errors.Is(w.Err, fs.ErrNotExist) {
		r.Log.Debug("vanished before it was read", "path", w.Path)
		return
	}
	r.warn(w.Path, fmt.Errorf("%s: %w", w.Op, w.Err))
	r.guarded.add(w)
}

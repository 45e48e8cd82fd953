package extract

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hindsight/chain"
	"hindsight/chain/difftar"
)

// Options says what to extract.
type Options struct {
	Repository *chain.Repository
	Sets       []*chain.Set // of one chain, oldest first, the full included
	Filter     Filter       // nil: Everything
	Sink       Sink

	// InPlace leaves alone what the Sink, which must be a Keeper, has already, and reads
	// no volume that holds nothing else.
	InPlace bool
	// Differs, with InPlace, is told of each file that is not there as it should be, one
	// at a time; may be nil.
	Differs func(path string)
	// Inspected, with InPlace, is told what is going to be done; an error ends the run
	// before anything is done.
	Inspected func(*Plan) error

	// Check compares all that is extracted with what the sets' signatures, read from
	// the store, say of it. A file that is not so is lost. Signatures that cannot be
	// read, and volumes that hold other paths than they say, are told to Lost.
	Check bool

	Extras Extras // what archives do not keep

	// IgnoreErrors goes on when a volume or a manifest is missing or wrong.
	IgnoreErrors bool
	// Lost is told of every path that could not be extracted, one at a time; nil is
	// told nothing. An empty path with an error is about something larger. With
	// IgnoreErrors files that are lost with a part of the backup are told of at the end,
	// and the error is a *DamageError if portable indexes say how much of each is lost.
	Lost func(path string, err error)

	Jobs   int   // volumes decoded at once, and files written at once; 0: one per CPU
	Memory int64 // bytes for what is known of paths before it goes to a temporary file; 0: 64 MiB
	Ahead  int64 // bytes for volumes that are opened before their turn; 0: 32 MiB, negative: none are

	Progress *Progress // nil: none
	Log      *slog.Logger
}

// Progress is what a run has done so far. Fields may be read at any time.
type Progress struct {
	TotalVolumes atomic.Int64 // to be read, as far as is known
	TotalBytes   atomic.Int64 // stored, of those
	Volumes      atomic.Int64
	StoredBytes  atomic.Int64 // read of volumes
	// What was written, be it given up later because its volume proves damaged.
	Files atomic.Int64 // whole files
	Bytes atomic.Int64 // of content
}

// Result is what a run did.
type Result struct {
	Found bool  // anything that the filter wants was there
	Lost  int64 // paths that could not be extracted
	Files int64 // regular files that have their names
	Bytes int64 // of their contents
	Kept  int64 // files that were there already
}

// ErrNoBasis says that a delta's older version is not in the chain.
var ErrNoBasis = errors.New("its older version is not in the backup")

type engine struct {
	Options
	blocks  blockStore
	ledger  ledger
	handles atomic.Uint64
	found   atomic.Bool
	failing atomic.Bool // the run has an error: losses are but consequences
	writers *writers
	commits *commits
	fetch   *fetcher
	ahead   *foresight
	plans   []*setPlan
	errands errands
	tables  int64 // bytes of those of sparse plans

	// Of files that have their names.
	files, bytes atomic.Int64
	kept         int64 // files that were there already

	mu         sync.Mutex
	lost       int64
	casualties []*casualty
	heldBytes  int64           // of those
	failedDirs map[string]bool // directories that could not be made
	checks     map[Handle]*contentCheck
}

// maxFailedDirs bounds the directories whose loss is remembered, so as to be
// reported once.
const maxFailedDirs = 100_000

// Run extracts the state after the newest of the sets. When it fails, every file
// that has its name is whole, and what has none is removed.
//
// An error is *chain.CorruptError, chain.ErrHash or chain.ErrMissingVolume, as
// errors.Is and errors.As tell, if the backup is damaged; the cause of ctx if that
// ended; and else one of the store, the keys, the target or the temporary file.
func Run(ctx context.Context, opt Options) (Result, error) {
	if opt.Filter == nil {
		opt.Filter = Everything{}
	}
	if opt.Jobs <= 0 {
		opt.Jobs = runtime.GOMAXPROCS(0)
	}
	if opt.Memory <= 0 {
		opt.Memory = 64 << 20
	}
	if opt.Ahead == 0 {
		opt.Ahead = 32 << 20
	}
	opt.Ahead = max(opt.Ahead, 0)
	if opt.Progress == nil {
		opt.Progress = new(Progress)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	e := &engine{Options: opt, failedDirs: make(map[string]bool), checks: make(map[Handle]*contentCheck)}
	e.blocks.limit = opt.Memory
	e.ledger.store = &e.blocks
	defer e.blocks.close()
	err := e.run(ctx)
	if err != nil {
		e.discardOpen()
	}
	e.tellCasualties(ctx, err == nil)
	return Result{Found: e.found.Load(), Lost: e.lost, Files: e.files.Load(), Bytes: e.bytes.Load(), Kept: e.kept}, err
}

func (e *engine) run(ctx context.Context) error {
	if err := e.plan(ctx); err != nil {
		return err
	}
	if err := e.begin(ctx); err != nil {
		return err
	}
	e.writers = newWriters(ctx, e.Jobs)
	defer e.writers.close()
	e.fetch = e.newFetcher(e.writers.ctx)
	e.commits = newCommits(e.Jobs, func(err error) {
		e.failing.Store(true)
		e.fetch.cancel(err)
	})
	defer e.commits.wait()
	e.ahead = e.newForesight(e.fetch.ctx)
	defer e.ahead.close()
	defer e.fetch.close() // first: that ends the context
	for _, p := range slices.Backward(e.plans) {
		if err := e.set(e.fetch.ctx, p); err != nil {
			return cause(ctx, e.fetch.ctx, err)
		}
	}
	err := e.commits.wait()
	if err != nil {
		return cause(ctx, e.fetch.ctx, err)
	}
	if err := e.losePending(); err != nil {
		return err
	}
	err = e.runErrands(e.writers.ctx)
	if err == nil {
		err = e.directories()
	}
	return cause(ctx, e.writers.ctx, err)
}

// begin finds out what need not be read, where that may be much, and does what needs
// no volume.
func (e *engine) begin(ctx context.Context) error {
	var k Keeper
	if _, all := e.Filter.(Everything); e.InPlace {
		k = e.Sink.(Keeper)
	} else if all || e.Check {
		return nil
	}
	plan, err := e.inspect(ctx, k)
	if err == nil {
		e.kept = plan.Kept + plan.Fixed
	}
	if err == nil && e.Inspected != nil {
		err = e.Inspected(plan)
	}
	if err != nil {
		return err
	}
	return e.apply(ctx, k)
}

// cause prefers the reason for which a context ended to what followed from it.
func cause(outer, inner context.Context, err error) error {
	if err == nil && inner.Err() == nil {
		return nil
	}
	if outer.Err() != nil {
		return context.Cause(outer)
	}
	if c := context.Cause(inner); c != nil {
		return c
	}
	return err
}

// set reads one set and adds what it says to the ledger.
func (e *engine) set(ctx context.Context, p *setPlan) error {
	if p.damage != nil {
		return e.salvageSet(ctx, p)
	}
	if e.Check {
		if err := e.learn(ctx, p); err != nil {
			return err
		}
		defer p.known.close()
	}
	extras, done, err := e.ahead.take(ctx, p)
	defer done()
	if err != nil {
		return err
	}
	p.extras = extras
	p.runs = make([]*run, len(p.volumes))
	defer e.commits.then(p, func() {
		for _, r := range p.runs {
			if r != nil {
				r.close()
			}
		}
	})
	var g errgroup.Group
	g.SetLimit(e.Jobs) // in order: who waits for an earlier volume waits for one that runs
	for i := range p.volumes {
		g.Go(func() error {
			var err error
			p.runs[i], err = e.volume(ctx, p, i)
			if err != nil {
				e.failing.Store(true)
				p.giveUp(err)
				e.fetch.cancel(err)
			}
			return err
		})
	}
	if err = g.Wait(); err == nil {
		var merged *run
		if merged, err = p.merge(&e.blocks); err == nil {
			e.checkPaths(p)
			return e.ledger.add(merged)
		}
		if errors.Is(err, difftar.ErrFormat) { // volumes overlap
			err = &chain.CorruptError{Object: p.set.Manifest.Key, Err: err}
		}
	}
	e.discardSet(p)
	return err
}

// lose reports a path that cannot be extracted and drops what there is of it.
func (e *engine) lose(path string, h Handle, err error) {
	if h != 0 {
		e.Sink.Discard(h, path)
		e.forgetCheck(h)
	}
	if e.failing.Load() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost++
	if e.Lost != nil && !e.hold(path, err) {
		e.Lost(path, err)
	}
}

// isOpen reports whether a record is of a file with demands.
func isOpen(payload []byte) bool { return state(payload[0]) == open }

// losePending gives up the files that still have demands when no set is left.
func (e *engine) losePending() error {
	return e.ledger.each(isOpen, func(path string, payload []byte) error {
		r, err := decodeRecord(payload)
		if err == nil {
			e.lose(path, r.handle, ErrNoBasis)
		}
		return err
	})
}

// discardOpen drops the files that have no name yet.
func (e *engine) discardOpen() {
	_ = e.ledger.each(isOpen, func(path string, payload []byte) error {
		r, err := decodeRecord(payload)
		if err == nil {
			e.Sink.Discard(r.handle, path)
		}
		return err
	})
}

// discardSet drops what the volumes of a failed set have begun.
func (e *engine) discardSet(p *setPlan) {
	for _, st := range p.straddles {
		if st.file != nil && !st.committed {
			e.Sink.Discard(st.file.handle, st.path)
		}
	}
	for _, r := range p.runs {
		if r != nil {
			e.discardRun(r, func(rec *record) bool { return rec.state == open })
		}
	}
}

// discardRun drops the files that some of a run's records stand for.
func (e *engine) discardRun(r *run, which func(*record) bool) {
	c, err := newCursor(r, "")
	for err == nil && c.ok {
		var rec record
		if rec, err = decodeRecord(c.payload); err == nil {
			if rec.handle != 0 && which(&rec) {
				e.Sink.Discard(rec.handle, string(c.path))
			}
			err = c.advance()
		}
	}
}

// make gives a path its place in the target.
func (e *engine) make(path string, r *record) error {
	switch r.state {
	case done:
		if r.handle != 0 {
			err := e.Sink.Commit(r.handle, path)
			if err == nil {
				e.files.Add(1)
				e.bytes.Add(r.size)
			}
			return e.forgive(path, r.handle, err)
		}
	case object:
		return e.forgive(path, 0, e.Sink.Object(path, &r.meta))
	case dir:
		err := e.Sink.Dir(path, &r.meta)
		if err != nil {
			e.mu.Lock()
			if len(e.failedDirs) < maxFailedDirs {
				e.failedDirs[path] = true
			}
			e.mu.Unlock()
		}
		return e.forgive(path, 0, err)
	}
	return nil
}

// forgive turns an error that concerns one path into the loss of that path.
func (e *engine) forgive(path string, h Handle, err error) error {
	var pe *PathError
	if errors.As(err, &pe) {
		e.lose(path, h, pe.Err)
		return nil
	}
	return err
}

func (e *engine) newHandle() Handle { return Handle(e.handles.Add(1)) }

// wants asks the filter and notes whether anything was found.
func (e *engine) wants(path string, m *difftar.Meta) Verdict {
	v := e.Filter.Wants(path, m)
	if v != Skip {
		e.found.Store(true)
	}
	return v
}

// damaged describes the loss of a whole manifest.
func damaged(s *chain.Set, err error) error { return fmt.Errorf("%v: %w", s.SetID, err) }

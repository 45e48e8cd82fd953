package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
)

// Scanner answers what the index alone cannot: sizes and places of files of sets that
// were taken in from their signatures, and how volumes are read in the middle. What it
// needs to know it learns by reading volumes whole, each one once ever: what a scan has
// found is kept beside the index, for all processes. It is safe for concurrent use.
type Scanner struct {
	index *Index
	repo  *chain.Repository

	ctx    context.Context // of all scans; ended by Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{} // one for each volume that may be read at once
	group  singleflight.Group

	mu     sync.Mutex
	closed bool
	sets   map[uint32]*scannedSet
	bad    map[scanKey]failure // volumes that could not be read
	now    func() time.Time

	known resolvedCache
}

// scannedSet is what it takes to read a set's volumes.
type scannedSet struct {
	set     *chain.Set
	volumes []manifest.Volume
}

// failure is why a volume could not be read, and when that was.
type failure struct {
	err error
	at  time.Time
}

// badPeriod is for how long a volume that is damaged is not read again: who looks at its
// files is not to fetch it each time, and who mends it need not end a mount.
const badPeriod = 10 * time.Minute

type scanKey struct{ set, volume uint32 }

func (k scanKey) String() string { return fmt.Sprintf("scan %d.%d", k.set, k.volume) }

// scansAtOnce is how many volumes are read at once; each decodes in parallel.
const scansAtOnce = 2

// NewScanner returns a Scanner of what x shows of repo. It must be closed, before x is.
func NewScanner(x *Index, repo *chain.Repository) *Scanner {
	sc := &Scanner{index: x, repo: repo, slots: make(chan struct{}, scansAtOnce),
		sets: make(map[uint32]*scannedSet), bad: make(map[scanKey]failure), now: time.Now}
	sc.ctx, sc.cancel = context.WithCancel(context.Background())
	return sc
}

var errScannerClosed = errors.New("index: scanner closed")

// Close ends the scans that are under way and waits for them.
func (sc *Scanner) Close() error {
	sc.mu.Lock()
	closed := sc.closed
	sc.closed = true
	sc.mu.Unlock()
	if closed {
		return errScannerClosed
	}
	sc.cancel()
	sc.wg.Wait()
	return nil
}

// share runs f, once for all who want the same at the same time, on a goroutine of the
// Scanner's own: it goes on when the one who asked does not wait any more, as others may.
func (sc *Scanner) share(ctx context.Context, key string, f func(ctx context.Context) error) error {
	sc.mu.Lock()
	if sc.closed {
		sc.mu.Unlock()
		return errScannerClosed
	}
	sc.wg.Add(1) // for f, if it is run; DoChan itself returns at once
	sc.mu.Unlock()
	defer sc.wg.Done()
	done := sc.group.DoChan(key, func() (any, error) {
		sc.wg.Add(1)
		defer sc.wg.Done()
		return nil, f(sc.ctx)
	})
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// set finds a set's volumes and their ranges of paths.
func (sc *Scanner) set(ctx context.Context, number uint32) (*scannedSet, error) {
	sc.mu.Lock()
	known := sc.sets[number]
	sc.mu.Unlock()
	if known != nil {
		return known, nil
	}
	s, err := sc.index.Snapshot(number)
	if err != nil {
		return nil, err
	}
	err = sc.share(ctx, fmt.Sprint("set ", number), func(ctx context.Context) error {
		set, err := s.ChainSet(sc.repo.Scheme)
		if err != nil {
			return err
		}
		m, err := sc.repo.Manifest(ctx, set)
		if err != nil {
			return err
		}
		sc.mu.Lock()
		defer sc.mu.Unlock()
		sc.sets[number] = &scannedSet{set, m.Volumes}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.sets[number], nil
}

// holding lists the volumes that may hold something of a path: those whose range it is
// in (duplicity-format.md §2).
func (s *scannedSet) holding(path string) []manifest.Volume {
	from, _ := slices.BinarySearchFunc(s.volumes, path, func(v manifest.Volume, p string) int {
		if difftar.Compare(v.End.Path, p) < 0 {
			return -1
		}
		return 1
	})
	to := from
	for to < len(s.volumes) && difftar.Compare(s.volumes[to].Start.Path, path) <= 0 {
		to++
	}
	return s.volumes[from:to]
}

// scan sees to it that a volume was scanned, by this process or another.
func (sc *Scanner) scan(ctx context.Context, number uint32, v manifest.Volume) error {
	key := scanKey{number, uint32(v.Number)}
	for {
		if sc.index.scans.file(key.set, key.volume) != nil {
			return nil
		}
		sc.mu.Lock()
		bad := sc.bad[key]
		sc.mu.Unlock()
		if bad.err != nil && sc.now().Sub(bad.at) < badPeriod {
			return bad.err
		}
		err := sc.share(ctx, key.String(), func(ctx context.Context) error { return sc.scanNow(ctx, key, v) })
		if err != nil {
			return err
		}
	}
}

// scanNow scans a volume, unless another process does, and then waits for that.
func (sc *Scanner) scanNow(ctx context.Context, key scanKey, v manifest.Volume) error {
	select {
	case sc.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-sc.slots }()
	if err := os.MkdirAll(sc.index.scans.dir, 0o700); err != nil {
		return err
	}
	lock, err := lockFile(ctx, sc.index.scans.path(key.set, key.volume)+".lock")
	if err != nil {
		return err
	}
	defer func() {
		os.Remove(lock.Name()) // those who wait for it see the file that it was for
		lock.Close()
	}()
	if f, err := sc.index.scans.add(key.set, key.volume); f != nil || err != nil {
		return err
	}
	err = sc.read(ctx, key, v)
	if err != nil && damaged(err) {
		sc.mu.Lock()
		sc.bad[key] = failure{err, sc.now()}
		sc.mu.Unlock()
	}
	return err
}

// read reads a volume to its end and keeps what it has found.
func (sc *Scanner) read(ctx context.Context, key scanKey, v manifest.Volume) error {
	set, err := sc.set(ctx, key.set)
	if err != nil {
		return err
	}
	vr, err := sc.repo.OpenVolume(ctx, set.set, v, chain.VolumeOptions{Gather: true})
	if err != nil {
		return err
	}
	defer vr.Close()
	w, err := newScanWriter(sc.index.scans.path(key.set, key.volume), sc.index.scans.enc)
	if err != nil {
		return err
	}
	defer w.abort()
	g := &gather{}
	add := func(p *piece) error { return w.add(&p.Entry) }
	if err := g.volume(ctx, vr, add); err != nil {
		return err
	}
	if err := g.flush(add); err != nil {
		return err
	}
	var table []byte
	if t := vr.Table(); t != nil {
		if table, err = sealTable(ctx, sc.repo, t); err != nil {
			return err
		}
	}
	if err := w.finish(table); err != nil {
		return err
	}
	_, err = sc.index.scans.add(key.set, key.volume)
	return err
}

// table is how a volume is read in the middle. It is nil if that is not possible, as
// the volume is none of a kind of which there are tables.
func (sc *Scanner) table(ctx context.Context, s *Snapshot, volume uint32) (*codec.Table, error) {
	number := s.Number
	packed, err := s.table(volume)
	if err == nil && packed != nil {
		return openTable(ctx, sc.repo, packed)
	}
	if err != nil {
		return nil, err
	}
	set, err := sc.set(ctx, number)
	if err != nil {
		return nil, err
	}
	i, ok := slices.BinarySearchFunc(set.volumes, int(volume), func(v manifest.Volume, n int) int { return cmp.Compare(v.Number, n) })
	if !ok {
		return nil, fmt.Errorf("volume %d of %v: %w", volume, set.set.SetID, chain.ErrMissingVolume)
	}
	if err := sc.scan(ctx, number, set.volumes[i]); err != nil {
		return nil, err
	}
	f := sc.index.scans.file(number, volume)
	if f == nil || f.table.size == 0 {
		return nil, nil
	}
	if packed, err = f.load(f.table); err != nil {
		sc.index.scans.forget(number, f, err)
		return nil, err
	}
	return openTable(ctx, sc.repo, packed)
}

// errNoTable says that there is no way to read a volume but from its beginning.
var errNoTable = errors.New("the volume cannot be read in the middle")

// Ranges returns what reads a volume of a set, or of the snapshot that it ends, in the
// middle. The volume is scanned if it is not known how.
func (sc *Scanner) Ranges(ctx context.Context, number, volume uint32) (*chain.RangeReader, error) {
	s, err := sc.index.Snapshot(number)
	if err != nil {
		return nil, err
	}
	o, err := s.volume(sc.repo.Scheme, volume)
	if err != nil {
		return nil, err
	}
	t, err := sc.table(ctx, s, volume)
	if err == nil && t == nil {
		err = errNoTable
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Key, err)
	}
	return sc.repo.Ranges(*o, t)
}

// Prefetch scans all volumes that a stat or a read may need some day, those of the
// newest sets first, and tells progress, if it is set, of the stored bytes. A volume
// that cannot be read is left out, and part of the error in the end.
func (sc *Scanner) Prefetch(ctx context.Context, progress func(done, total int64)) error {
	var errs []error
	var done, total int64
	type job struct {
		number uint32
		set    *scannedSet
	}
	var jobs []job
	for _, s := range slices.Backward(sc.index.Snapshots()) {
		if s.Source != FromSignatures {
			continue
		}
		set, err := sc.set(ctx, s.Number)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			errs = append(errs, err)
			continue
		}
		jobs = append(jobs, job{s.Number, set})
		for _, o := range set.set.Volumes {
			total += o.Size
		}
	}
	for _, j := range jobs {
		for _, v := range j.set.volumes {
			if err := sc.scan(ctx, j.number, v); err != nil {
				if cause := context.Cause(ctx); cause != nil {
					return cause
				}
				errs = append(errs, err)
			}
			if o, err := j.set.set.Volume(v.Number); err == nil {
				done += o.Size
			}
			if progress != nil {
				progress(done, total)
			}
		}
	}
	return errors.Join(errs...)
}

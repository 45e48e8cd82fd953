package content

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/store"
	"hindsight/index"
)

// MinMemory is the least budget: that of the largest block that there may be, with the
// stored bytes it is made of and a table.
const MinMemory = 16 << 20

// Options says how content is read. The zero value is ready to use.
type Options struct {
	// Memory is the budget in bytes, at least MinMemory; 0: 64 MiB. Each of up to 16
	// requests under way takes its stored bytes once more, 4 MiB at most.
	Memory int64
	// Disk, if it is set, keeps ranges of stored objects in this directory, as they are
	// stored: what is encrypted stays so. It is for one process.
	Disk     string
	DiskSize int64 // bytes of it; 0: 1 GiB
	Log      *slog.Logger
}

// Cache reads files of the snapshots of an index. All methods are safe for concurrent
// use.
type Cache struct {
	scanner *index.Scanner
	disk    *diskCache // nil: none
	log     *slog.Logger

	ctx    context.Context // of all that is fetched; ended by Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{} // one for each fetch at a time
	cpus   chan struct{} // one for each block that is decoded at a time
	limit  int64

	mu      sync.Mutex
	closed  bool
	blocks  map[blockKey]*block
	lru     list.List // of *block that are fetched, the last used in front
	used    int64     // bytes of the budget
	freed   chan struct{}
	volumes map[volumeKey]*volume
	recent  list.List // of *volume that are there, the last used in front
	tables  int64     // bytes of used that are theirs
	files   int64     // likewise of open files
	streams []stream
	stats   Stats
}

// Stats says what a Cache has done since it was made.
type Stats struct {
	Used    int64 // bytes of the budget at the moment
	Peak    int64 // the most there ever were
	Hits    int64 // blocks that were there, or on their way, when they were wanted
	Misses  int64 // blocks that were not
	Fetched int64 // plain bytes whose stored ones were fetched, ahead or when they were missing
	Decoded int64 // plain bytes decoded
	Waits   int64 // for room
}

// blockKey is a block of a volume, volumeKey a volume of a set.
type (
	volumeKey struct{ set, volume uint32 }
	blockKey  struct {
		volumeKey
		block int
	}
)

// block is a block that is there or on its way. First its stored bytes are fetched, maybe
// ahead, and then they are decoded, when somebody wants it. All but done is guarded by
// Cache.mu until done is closed; data and err do not change after that.
type block struct {
	key    blockKey
	ranges *chain.RangeReader
	ahead  bool // it was fetched before anybody wanted it
	wanted bool // it is to be decoded, and cost covers that
	stored *chain.Stored
	done   chan struct{} // closed when data or err is set
	data   []byte
	err    error
	cost   int64         // bytes of the budget
	pins   int           // readers that are about to copy from it
	at     *list.Element // in lru when it is fetched
}

// busy reports whether somebody reads or decodes it.
func (b *block) busy() bool { return b.pins > 0 || b.wanted && b.data == nil }

// volume is a volume that can be read, or will be when done is closed.
type volume struct {
	key    volumeKey
	done   chan struct{}
	ranges *chain.RangeReader
	err    error
	cost   int64
	at     *list.Element
}

const fetchesAtOnce = 16

var errClosed = errors.New("content: closed")

// New returns a Cache of what x shows of repo. It must be closed before x is.
func New(x *index.Index, repo *chain.Repository, opt Options) (*Cache, error) {
	if opt.Memory == 0 {
		opt.Memory = 64 << 20
	}
	if opt.Memory < MinMemory {
		return nil, errors.New("content: a budget below 16 MiB")
	}
	c := &Cache{
		limit: opt.Memory, log: opt.Log, slots: make(chan struct{}, fetchesAtOnce),
		cpus: make(chan struct{}, runtime.GOMAXPROCS(0)), freed: make(chan struct{}),
		blocks: make(map[blockKey]*block), volumes: make(map[volumeKey]*volume),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	ranged := *repo
	if opt.Disk != "" {
		var err error
		if c.disk, err = newDiskCache(repo.Store, opt.Disk, opt.DiskSize); err != nil {
			return nil, err
		}
		ranged.Store = c.disk
	}
	c.scanner = index.NewScanner(x, &ranged)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

var _ store.Store = (*diskCache)(nil)

// Close ends what is on its way and waits for it. Files may be closed later.
func (c *Cache) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	return c.scanner.Close()
}

// Stats says what was done so far.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Used = c.used
	return s
}

// Stat is index.Scanner.Stat.
func (c *Cache) Stat(ctx context.Context, s *index.Snapshot, id index.ID) (index.Entry, error) {
	return c.scanner.Stat(ctx, s, id)
}

// Prefetch is index.Scanner.Prefetch.
func (c *Cache) Prefetch(ctx context.Context, progress func(done, total int64)) error {
	return c.scanner.Prefetch(ctx, progress)
}

// room makes room for n bytes and takes it, if that can be; c.mu is held.
func (c *Cache) room(n int64) bool {
	for c.used+n > c.limit {
		if !c.evict() {
			return false
		}
	}
	c.used += n
	c.stats.Peak = max(c.stats.Peak, c.used)
	return true
}

// evict gives up the block used longest ago that nobody reads, or a table if there is
// none, be it the last: what else there is goes by itself; c.mu is held.
func (c *Cache) evict() bool {
	for at := c.lru.Back(); at != nil; at = at.Prev() {
		if b := at.Value.(*block); !b.busy() {
			c.drop(b)
			return true
		}
	}
	if at := c.recent.Back(); at != nil {
		c.dropVolume(at.Value.(*volume))
		return true
	}
	return false
}

func (c *Cache) drop(b *block) {
	if b.at != nil {
		c.lru.Remove(b.at)
	}
	delete(c.blocks, b.key)
	if b.data != nil {
		b.ranges.Recycle(b.data)
	}
	c.give(b.cost)
}

func (c *Cache) dropVolume(v *volume) {
	c.recent.Remove(v.at)
	delete(c.volumes, v.key)
	c.tables -= v.cost
	c.give(v.cost)
}

// give gives bytes of the budget back and wakes who waits for some; c.mu is held.
func (c *Cache) give(n int64) {
	if n == 0 {
		return
	}
	c.used -= n
	c.wake()
}

func (c *Cache) wake() {
	close(c.freed)
	c.freed = make(chan struct{})
}

// take takes n bytes of the budget, and waits for them if need be.
func (c *Cache) take(ctx context.Context, n int64) error {
	return c.wait(ctx, func() bool { return c.room(n) })
}

// takeFile takes n bytes for an open file. All of them have half of the budget at most:
// those who hold the rest must find room for what they read.
func (c *Cache) takeFile(ctx context.Context, n int64) error {
	return c.wait(ctx, func() bool {
		ok := c.files+n <= c.limit/2 && c.room(n)
		if ok {
			c.files += n
		}
		return ok
	})
}

// wait waits until try succeeds, which is called with c.mu held.
func (c *Cache) wait(ctx context.Context, try func() bool) error {
	for {
		c.mu.Lock()
		ok, freed := try(), c.freed
		if !ok {
			c.stats.Waits++
		}
		c.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ctx.Done():
			return errClosed
		}
	}
}

// tableCost is what a table takes, about.
func tableCost(t *codec.Table) int64 {
	n := int64(4 << 10)
	for i := range t.Blocks {
		n += 96
		if r := t.Blocks[i].Resume; r != nil {
			n += 64 + int64(len(r.Window))
		}
	}
	return n
}

package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/index"
)

// ErrNotFile says that a path has no content.
var ErrNotFile = errors.New("not a regular file")

// File is an open file of a snapshot. Its methods are safe for concurrent use.
type File struct {
	cache   *Cache
	extents []extent.Extent
	size    int64
	cost    int64

	mu     sync.Mutex
	closed bool
	next   int64 // where a read would begin that goes on from the last one
	window int64 // bytes to be read ahead; 0: it is read here and there
	ahead  int64 // until where this was asked for
}

// extentCost is what an extent takes in memory.
const extentCost = 48

// Open opens a regular file. Of a set of which only the signatures were taken in its
// volumes are scanned, those that hold something of it. Errors: ErrNotFile, those of the
// index, and of reading what must be read.
func (c *Cache) Open(ctx context.Context, s *index.Snapshot, id index.ID) (*File, error) {
	e, err := c.Stat(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if e.Type != difftar.Regular {
		return nil, ErrNotFile
	}
	extents, err := c.scanner.Extents(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if n := extent.Size(extents); n != e.Size {
		return nil, fmt.Errorf("the index knows where %d of %d bytes lie", n, e.Size)
	}
	f := &File{cache: c, extents: extents, size: e.Size, cost: extentCost * int64(len(extents))}
	if f.cost > c.limit/2 {
		return nil, fmt.Errorf("%w for the memory that there is", extent.ErrTooManyExtents)
	}
	if err := c.takeFile(ctx, f.cost); err != nil {
		return nil, err
	}
	return f, nil
}

// Size is the file's, in bytes.
func (f *File) Size() int64 { return f.size }

// Close gives back what the file holds.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed
	}
	f.closed = true
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	f.cache.files -= f.cost
	f.cache.give(f.cost)
	return nil
}

// ReadAt reads as an io.ReaderAt does, until ctx ends.
func (f *File) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("content: negative offset")
	}
	if off >= f.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > f.size-off
	if short {
		p = p[:f.size-off]
	}
	late, err := f.ask(ctx, off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n := 0
	for e := range extent.Slice(f.extents, off, int64(len(p))) {
		for piece := range e.Pieces() {
			k, err := f.cache.copy(ctx, p[n:n+int(piece.Len)], piece.Place)
			if n += k; err != nil {
				return n, err
			}
		}
	}
	f.cache.readAhead(f, off, off+int64(n), late)
	if short {
		return n, io.EOF
	}
	return n, nil
}

// ask asks for all that a read needs, so that it comes at once and not one after the other;
// of what would take too much of the memory that there is, for the beginning. late says that
// something was not fetched yet.
func (f *File) ask(ctx context.Context, off, n int64) (late bool, err error) {
	room := f.cache.limit / 4
	for e := range extent.Slice(f.extents, off, n) {
		key := volumeKey{e.Set, e.Volume}
		r, err := f.cache.open(ctx, key)
		if err != nil {
			return true, err
		}
		first, last := blocks(r, e.Tar, e.After(e.Len-1).Tar+1)
		fetched, _ := f.cache.need(key, r, first, last, false)
		late = late || fetched <= last-first
		for i := first; i <= last; i++ {
			room -= int64(r.Table().Blocks[i].Len)
		}
		if room <= 0 {
			break
		}
	}
	return late, nil
}

// copy copies len(p) bytes from one place of a volume.
func (c *Cache) copy(ctx context.Context, p []byte, at extent.Place) (int, error) {
	key := volumeKey{at.Set, at.Volume}
	r, err := c.open(ctx, key)
	if err != nil {
		return 0, err
	}
	table := r.Table()
	first, last := table.Find(at.Tar), table.Find(at.Tar+int64(len(p))-1)
	if last >= len(table.Blocks) {
		return 0, fmt.Errorf("volume %d of snapshot %d ends at %d, before byte %d", at.Volume, at.Set, table.Size(), at.Tar+int64(len(p))-1)
	}
	n := 0
	for i := first; i <= last; i++ {
		data, free, err := c.block(ctx, key, r, i)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], data[at.Tar+int64(n)-table.Blocks[i].TarOffset:])
		free()
	}
	return n, nil
}

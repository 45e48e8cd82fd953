package extract

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"hindsight/chain/difftar"
)

// A run is an immutable list of records sorted by path. A record is a path and a
// payload of bytes. Records are stored one after the other as
//
//	uvarint  length of the path's beginning that it shares with the path before
//	uvarint  length of the rest
//	uvarint  length of the payload
//	bytes    the rest, the payload
//
// in blocks of about runBlock bytes, in each of which the first path shares nothing.
type run struct {
	store *blockStore
	index []runBlock
	size  int64 // bytes of all blocks
}

// runBlock is a block and where it begins.
type runBlock struct {
	block
	first string // path of the first record, or its beginning
	cut   bool   // first is but the beginning
}

const (
	runBlockSize = 16 << 10
	// maxFirst bounds the bytes of a path kept in memory for each block.
	maxFirst = 128
)

var errRun = errors.New("extract: temporary run is damaged")

// notAfter reports whether the block is known to begin at or before path.
func (b *runBlock) notAfter(path string) bool {
	if b.cut && strings.HasPrefix(path, b.first) {
		return false
	}
	return difftar.Compare(b.first, path) <= 0
}

// each calls f with every record, in order, of which which says so.
func (r *run) each(which func(payload []byte) bool, f func(path string, payload []byte) error) error {
	c, err := newCursor(r, "")
	for err == nil && c.ok {
		if which(c.payload) {
			if err := f(string(c.path), c.payload); err != nil {
				return err
			}
		}
		err = c.advance()
	}
	return err
}

// close gives back the run's blocks.
func (r *run) close() {
	for i := range r.index {
		r.store.free(r.index[i].block)
	}
	r.index = nil
}

// runWriter builds a run.
type runWriter struct {
	store *blockStore
	run   run
	buf   []byte // the block being filled
	first string // its first path
	last  string
	any   bool
}

func newRunWriter(s *blockStore) *runWriter { return &runWriter{store: s, run: run{store: s}} }

// add appends a record; its path must be greater than that of the one before.
func (w *runWriter) add(path string, payload []byte) error {
	if w.any && difftar.Compare(path, w.last) <= 0 {
		return fmt.Errorf("%w: %q comes after %q", difftar.ErrFormat, path, w.last)
	}
	if len(w.buf) >= runBlockSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	shared := 0
	if len(w.buf) == 0 {
		w.first = path
	} else {
		for shared < len(path) && shared < len(w.last) && path[shared] == w.last[shared] {
			shared++
		}
	}
	w.buf = slices.Grow(w.buf, 3*binary.MaxVarintLen64+len(path)-shared+len(payload)) // at once: some payloads are large
	w.buf = binary.AppendUvarint(w.buf, uint64(shared))
	w.buf = binary.AppendUvarint(w.buf, uint64(len(path)-shared))
	w.buf = binary.AppendUvarint(w.buf, uint64(len(payload)))
	w.buf = append(w.buf, path[shared:]...)
	w.buf = append(w.buf, payload...)
	w.last, w.any = path, true
	return nil
}

// flush ends the block being filled.
func (w *runWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	b, err := w.store.put(w.buf)
	if err != nil {
		return err
	}
	w.append(b)
	return nil
}

// append takes in the block that was being filled.
func (w *runWriter) append(b block) {
	rb := runBlock{block: b, first: w.first}
	if len(rb.first) > maxFirst {
		rb.first, rb.cut = strings.Clone(rb.first[:maxFirst]), true
	}
	w.run.index = append(w.run.index, rb)
	w.run.size += int64(b.size)
	if cap(w.buf) > 8*runBlockSize { // after one huge record
		w.buf = nil
	}
	w.buf = w.buf[:0]
}

// finish ends the run. With an error there is a run too, of all that was added, for
// those who have to clear up by it.
func (w *runWriter) finish() (*run, error) {
	err := w.flush()
	if err != nil {
		w.append(w.store.hold(w.buf))
	}
	w.buf = nil
	return &w.run, err
}

// abort gives back what an unfinished run holds.
func (w *runWriter) abort() { w.run.close() }

// runCursor walks a run forwards. It is for one goroutine.
type runCursor struct {
	run     *run
	next    int    // block to read next
	buf     []byte // what is left of the block
	scratch []byte
	path    []byte
	payload []byte
	ok      bool // path and payload are a record
}

// newCursor returns a cursor at the first record whose path is not below path.
func newCursor(r *run, path string) (*runCursor, error) {
	c := &runCursor{run: r}
	return c, c.seek(path)
}

// compare compares the paths of two cursors; one that is nil or at its end is behind all.
func (c *runCursor) compare(other *runCursor) int {
	switch {
	case other == nil || !other.ok:
		return -1
	case !c.ok:
		return 1
	}
	return difftar.Compare(c.path, other.path)
}

// seek goes on to the first record whose path is not below path.
func (c *runCursor) seek(path string) error {
	if c.ok && difftar.Compare(c.path, path) >= 0 {
		return nil
	}
	c.skip(path)
	for !c.ok || difftar.Compare(c.path, path) < 0 {
		if err := c.advance(); err != nil || !c.ok {
			return err
		}
	}
	return nil
}

// skip passes over the blocks that hold nothing from path on.
func (c *runCursor) skip(path string) {
	rest := c.run.index[c.next:]
	if len(rest) == 0 || !rest[0].notAfter(path) {
		return
	}
	n := sort.Search(len(rest), func(i int) bool { return !rest[i].notAfter(path) })
	c.next += n - 1
	c.buf, c.ok = nil, false
}

// advance goes to the next record; ok is false behind the last.
func (c *runCursor) advance() error {
	c.ok = false
	if len(c.buf) == 0 {
		if c.next >= len(c.run.index) {
			return nil
		}
		var err error
		if c.buf, c.scratch, err = c.run.store.get(c.run.index[c.next].block, c.scratch); err != nil {
			return err
		}
		c.next++
	}
	shared, rest, n, err := c.lengths()
	if err != nil {
		return err
	}
	c.path = append(c.path[:shared], c.buf[:rest]...)
	c.payload = c.buf[rest : rest+n]
	c.buf = c.buf[rest+n:]
	c.ok = true
	return nil
}

func (c *runCursor) lengths() (shared, rest, payload int, err error) {
	var v [3]uint64
	for i := range v {
		x, n := binary.Uvarint(c.buf)
		if n <= 0 {
			return 0, 0, 0, errRun
		}
		v[i] = x
		c.buf = c.buf[n:]
	}
	if v[0] > uint64(len(c.path)) || v[1] > uint64(len(c.buf)) || v[2] > uint64(len(c.buf))-v[1] {
		return 0, 0, 0, errRun
	}
	return int(v[0]), int(v[1]), int(v[2]), nil
}

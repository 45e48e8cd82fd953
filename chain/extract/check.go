package extract

import (
	"errors"
	"fmt"
	"sync"

	"hindsight/chain/librsync"
)

// ErrContent says that a file's content is not what the backup says of it elsewhere,
// though the hashes of the volumes are right.
var ErrContent = errors.New("its content does not match what the backup says of it")

// What a file's content is not checked for.
var (
	errPieces    = errors.New("its content comes in too many pieces to be checked")
	errLongBlock = errors.New("its signature is of blocks too long to be checked")
)

const (
	// maxPieces bounds the pieces of blocks that one check holds.
	maxPieces = 1 << 18
	// maxSummed bounds, in bytes, a block that is put together to be summed up.
	// duplicity makes longer ones of files of hundreds of terabytes, or on request.
	maxSummed = 16 << 20
)

// contentCheck compares a file's content, whose bytes come in any order, with its
// signature. Blocks that are not whole yet are held in the engine's blockStore. It is
// safe for concurrent use.
type contentCheck struct {
	store *blockStore
	want  librsync.Fingerprint

	mu     sync.Mutex
	got    librsync.Fingerprint
	blocks map[int64]*pieces // that are not whole
	held   int               // pieces of those
	err    error             // why the content cannot be checked
}

// pieces are what there is of a block of a file.
type pieces struct {
	list []piece
	n    int64 // bytes of all
}

type piece struct {
	block
	at int64 // in the block of the file
}

func newContentCheck(s *blockStore, want librsync.Fingerprint) *contentCheck {
	return &contentCheck{store: s, want: want, got: want.Empty()}
}

// add takes in p, which is the file's content from off on.
func (c *contentCheck) add(p []byte, off int64) error {
	size := c.want.BlockLen()
	if head := -off % size; head != 0 {
		head += size
		n := min(head, int64(len(p)))
		if err := c.partial(p[:n], off); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	whole := int64(len(p)) / size
	if whole > 0 {
		sum, i := c.want.Empty(), off/size
		for end := i + whole; i < end; {
			if i+1 < end {
				sum.AddPair(i, p[:2*size])
				i, p = i+2, p[2*size:]
			} else {
				sum.Add(i, p[:size])
				i, p = i+1, p[size:]
			}
		}
		c.mu.Lock()
		c.got.Merge(&sum)
		c.mu.Unlock()
		off += whole * size
	}
	if len(p) > 0 {
		return c.partial(p, off)
	}
	return nil
}

// partial takes in a piece that lies within one block.
func (c *contentCheck) partial(p []byte, off int64) error {
	size := c.want.BlockLen()
	i := off / size
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil
	}
	b := c.blocks[i]
	if b == nil {
		b = &pieces{}
		if c.blocks == nil {
			c.blocks = make(map[int64]*pieces)
		}
		c.blocks[i] = b
	}
	if b.n+int64(len(p)) > maxSummed {
		c.err = errLongBlock
		c.clear()
		return nil
	}
	kept, err := c.store.put(p)
	if err != nil {
		return err
	}
	b.list, b.n = append(b.list, piece{kept, off - i*size}), b.n+int64(len(p))
	if c.held++; b.n == size {
		return c.complete(i, b)
	}
	if c.held > maxPieces {
		c.err = errPieces
		c.clear()
	}
	return nil
}

// complete sums up a block of which all pieces are there. The lock is held.
func (c *contentCheck) complete(i int64, b *pieces) error {
	content := make([]byte, b.n)
	var scratch, data []byte
	var err error
	for _, p := range b.list {
		if data, scratch, err = c.store.get(p.block, scratch); err != nil {
			return err
		}
		if p.at+int64(len(data)) > b.n {
			return fmt.Errorf("%w: it ends within a block", ErrContent)
		}
		copy(content[p.at:], data)
	}
	c.got.Add(i, content)
	c.forget(i, b)
	return nil
}

func (c *contentCheck) forget(i int64, b *pieces) {
	for _, p := range b.list {
		c.store.free(p.block)
	}
	c.held -= len(b.list)
	delete(c.blocks, i)
}

func (c *contentCheck) clear() {
	for i, b := range c.blocks {
		c.forget(i, b)
	}
}

// finish says, when all bytes were added, whether they are right: nil, ErrContent,
// errPieces, errLongBlock, or what became of the temporary file. size is the file's.
func (c *contentCheck) finish(size int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.clear()
	if c.err != nil {
		return c.err
	}
	last := size / c.want.BlockLen()
	if b := c.blocks[last]; b != nil && b.n == size%c.want.BlockLen() {
		if err := c.complete(last, b); err != nil {
			return err
		}
	}
	if len(c.blocks) > 0 || c.got != c.want {
		return ErrContent
	}
	return nil
}

// drop gives back what the check holds.
func (c *contentCheck) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
}

// newCheck begins to check a file's content, nil if nothing is known of it.
func (e *engine) newCheck(h Handle, k *knownPath) *contentCheck {
	if k == nil {
		return nil
	}
	c := newContentCheck(&e.blocks, k.fingerprint)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checks[h] = c
	return c
}

// checkOf is the check of a file that a newer set began, or nil.
func (e *engine) checkOf(h Handle) *contentCheck {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.checks[h]
}

// forgetCheck ends a check.
func (e *engine) forgetCheck(h Handle) {
	e.mu.Lock()
	c := e.checks[h]
	delete(e.checks, h)
	e.mu.Unlock()
	if c != nil {
		c.drop()
	}
}

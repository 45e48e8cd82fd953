package backup

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"

	"hindsight/chain/difftar"
	"hindsight/chain/librsync"
	"hindsight/chain/source"
)

const (
	// partsAhead is how many parts of a large file may wait to be written.
	partsAhead = 8
	// taskCost is what a task takes beside content and signatures, in bytes.
	taskCost = 2 << 10
	// maxKeptXattrs is up to how many bytes extended attributes are kept from the
	// reader to the writer, who reads longer ones once more, one object's at a time.
	maxKeptXattrs = 1 << 10
	// deltaCost is what a DeltaWriter holds beside two blocks, and the buffers of a
	// file that is read, in bytes.
	deltaCost = 128 << 10
	// smallSignature is up to how many bytes an old signature is taken apart by the
	// reader, where that is done in parallel. A larger one is taken apart as it is
	// read, so that it is never held twice.
	smallSignature = 256 << 10
)

// task is a change on its way. Its reader fills it while writing goes on in path
// order.
type task struct {
	path    string
	item    source.Item  // a copy: those of a walk share memory; of no type if deleted
	was     difftar.Type // in the last state; 0: it is new
	changed bool         // a file that was a file
	cost    int64        // of the memory budget

	// Of a changed file: its last signature, as read or taken apart, if it is one
	// that a delta can be made with.
	old       []byte
	oldSums   *librsync.Signature
	parts     chan part // of a regular file; closed when the object was read
	kind      difftar.Kind
	meta      difftar.Meta
	modTime   time.Time
	size      int64    // bytes of content read
	hash      [32]byte // BLAKE3 of it
	signature []byte   // new
	err       error    // nothing, or not all, of the file could be read
	warning   error    // what is stored may not be one state of the file

	xattrs     []source.Xattr
	longXattrs bool // there are others, longer than maxKeptXattrs
}

func (t *task) deleted() bool { return t.item.Type == 0 }

// newTask prepares an item that is new or, with its last state, changed.
func (r *run) newTask(item *source.Item, last *difftar.Entry) *task {
	t := &task{path: item.Path, item: *item}
	t.cost = taskCost + int64(len(t.path)+len(item.Linkname))
	if last != nil {
		t.was = last.Type
	}
	if item.Type != difftar.Regular {
		t.parts = make(chan part)
		return t
	}
	t.changed = last != nil && last.Kind == difftar.Signature
	ahead := 1
	if item.Size < difftar.PartSize {
		t.cost += int64(bufferSize(int(item.Size)))
	} else {
		ahead = partsAhead
		t.cost += (partsAhead + 2) * difftar.PartSize
	}
	t.parts = make(chan part, ahead)
	t.cost += librsync.SignatureSize(item.Size, r.blockLen(item.Size))
	if t.changed && last.Size <= r.maxOld() {
		t.cost += 2*last.Size + deltaCost + 2*min(r.maxBlock(), item.Size)
		if last.Size <= smallSignature {
			t.cost += last.Size
		}
	}
	t.cost = min(t.cost, r.Memory)
	return t
}

// maxSignature bounds, in bytes, a new signature.
func (r *run) maxSignature() int64 { return r.Memory / 8 }

// maxOld bounds, in bytes, an old signature that a delta is made with. Taken apart
// it takes less than twice that.
func (r *run) maxOld() int64 { return r.Memory / 2 }

// maxBlock bounds, in bytes, the blocks that a delta is made with, of which two are
// held. duplicity's are longer only in files of terabytes, or on request.
func (r *run) maxBlock() int64 { return max(r.Memory/32, 64<<10) }

// blockLen is the block length of a new signature: duplicity's, unless the
// signature would be too large.
func (r *run) blockLen(size int64) int {
	n := librsync.BlockLen(size, r.MaxBlock)
	for librsync.SignatureSize(size, n) > r.maxSignature() && n < librsync.MaxBlockLen/2 {
		n *= 2
	}
	return n
}

// readSignature reads the signature that the last state has of a changed file, if
// it is not too large to make a delta with.
func (c *collator) readSignature(t *task) error {
	if !t.changed || c.DryRun || c.last.Size > c.maxOld() {
		return nil
	}
	if c.last.Size <= smallSignature {
		t.old = make([]byte, c.last.Size)
		_, err := io.ReadFull(c.merge, t.old)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	whole := &io.LimitedReader{R: c.merge, N: c.last.Size}
	sums, err := librsync.ReadSignature(whole, 2*c.maxOld())
	corrupt := (*librsync.CorruptError)(nil)
	switch {
	case err == nil && whole.N == 0:
		t.oldSums = sums
	case err == nil, errors.Is(err, librsync.ErrTooLarge), errors.As(err, &corrupt), whole.N == 0:
		// What it says cannot be used; the file is stored whole.
	default:
		return err
	}
	return nil
}

// minStrong is the least length of strong sums, in bytes, that a delta may go by.
const minStrong = 8

// basis is what a delta of the file is made with; nil if it is to be stored whole.
func (r *run) basis(t *task) *librsync.Signature {
	old := t.oldSums
	if len(t.old) > 0 {
		var err error
		old, err = librsync.ReadSignature(bytes.NewReader(t.old), 2*int64(len(t.old))+2*r.maxBlock())
		if err != nil { // not worth a word: stored whole the file is right
			old = nil
		}
	}
	t.old, t.oldSums = nil, nil
	if old == nil || old.StrongLen() < minStrong || old.Blocks() == 0 || int64(old.BlockLen()) > r.maxBlock() {
		return nil
	}
	return old
}

// part is a piece of what is stored of a file, difftar.PartSize bytes but for the
// last.
type part struct {
	buf *[]byte // of a bufferSize
	n   int
}

func (p part) bytes() []byte { return (*p.buf)[:p.n] }

// Buffers come in a few sizes: thousands of small files may wait for a large one to
// be written.
var bufferSizes = [...]int{1 << 10, 4 << 10, 16 << 10, difftar.PartSize}

var buffers [len(bufferSizes)]sync.Pool

// bufferClass is the smallest size that holds n bytes.
func bufferClass(n int) int {
	i := 0
	for i < len(bufferSizes)-1 && n > bufferSizes[i] {
		i++
	}
	return i
}

func bufferSize(n int) int { return bufferSizes[bufferClass(n)] }

// newPart has room for n bytes, at most difftar.PartSize.
func newPart(n int) part {
	class := bufferClass(n)
	if buf, ok := buffers[class].Get().(*[]byte); ok {
		return part{buf: buf}
	}
	buf := make([]byte, bufferSizes[class])
	return part{buf: &buf}
}

func (p part) free() { buffers[bufferClass(len(*p.buf))].Put(p.buf) }

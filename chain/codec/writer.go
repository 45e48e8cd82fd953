package codec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"hindsight/chain/pgp"
)

// DefaultLevel is the compression level of a zero WriterOptions.Level: the fastest whose
// objects are about as large as duplicity's. gpg compresses with a window of 8 KiB, which
// even level 1 undercuts by one to two per cent. gzip -6 of one long stream is what level 6
// comes within one per cent of and level 3 within two to three, at two thirds of the time.
func DefaultLevel(f Format) int {
	if f.Encrypted {
		return 1
	}
	return 3
}

const maxLevel = 9

// ErrAborted is the error of a Writer after Abort.
var ErrAborted = errors.New("codec: writer aborted")

var errClosed = errors.New("codec: writer is closed")

// WriterOptions says how an object is written. Its zero value writes .gz and
// plain objects on the calling goroutine.
type WriterOptions struct {
	// Level of compression, 1 (fast) to 9; 0 is DefaultLevel of the format.
	Level int
	// Pool encodes the blocks; nil encodes and writes them in Write and Close.
	Pool *Pool
	// Session encrypts; an encrypted Format needs it.
	Session *pgp.Session
}

// Writer makes one object out of plain bytes. Blocks are encoded in parallel by
// the pool and written in order by a goroutine of the Writer's own; the stored
// bytes depend on the plain bytes, the marks and the options alone, not on the
// pool. A Writer must be closed or aborted. It is not safe for concurrent use.
type Writer struct {
	format outFormat
	pool   *Pool
	serial *encoder // without a pool
	fill   *block
	count  int // blocks handed over
	queue  chan *block
	ended  chan struct{} // closed by the sealing goroutine

	closed   bool
	closeErr error

	blocks []Block // owned by the sealer until it has ended
	tar    int64   // plain and stored bytes sealed, likewise
	stored int64

	mu      sync.Mutex
	idle    sync.Cond // an encoding ended
	err     error     // the first one, for ever
	done    int64     // encoded bytes of the blocks that are done
	pending struct {
		blocks  int   // that are not
		encoded int64 // a bound of what they become
	}
}

// outFormat is how a Format is written. encode is called concurrently, the rest
// in the order of the blocks by one goroutine.
type outFormat interface {
	// encode appends to out what the block is stored as.
	encode(e *encoder, out []byte, b *block) ([]byte, error)
	// needs reports whether the block must be stored; it may be empty.
	needs(b *block) bool
	seal(b *block) error
	// margins is how many encoded bytes at both ends of a block are not of its deflate
	// data or what else is decoded.
	margins() (head, tail int)
	// finish ends the object, which is stored with it.
	finish() error
	// abort frees what the format holds; it may follow finish.
	abort() error
	// size is the size of an object with that many encoded bytes.
	size(encoded int64) int64
}

// NewWriter returns a Writer that stores to w in format f. Nothing is written
// before the first block is full. w is written by one goroutine at a time, never
// after Close or Abort returned; w must fail when its own context ends, for that
// is how a Writer is cancelled. ctx bounds what is run to sign the object.
func NewWriter(ctx context.Context, w io.Writer, f Format, opt WriterOptions) (*Writer, error) {
	if opt.Level == 0 {
		opt.Level = DefaultLevel(f)
	}
	if opt.Level < 1 || opt.Level > maxLevel {
		return nil, fmt.Errorf("compression level %d is not between 1 and %d", opt.Level, maxLevel)
	}
	out, err := newOutFormat(ctx, w, f, opt)
	if err != nil {
		return nil, err
	}
	cw := &Writer{format: out, pool: opt.Pool}
	cw.idle.L = &cw.mu
	if cw.pool == nil {
		cw.serial = new(encoder)
	}
	return cw, nil
}

func newOutFormat(ctx context.Context, w io.Writer, f Format, opt WriterOptions) (outFormat, error) {
	switch {
	case f.Encrypted:
		return newOpenpgpFormat(ctx, w, f, opt)
	case f.Compressed:
		return &gzipFormat{level: opt.Level, w: w}, nil
	}
	return &plainFormat{w: w}, nil
}

// Write takes plain bytes. It waits while the pool's budget is used up. An error
// of an earlier block, of the store or of Abort is returned by every later call.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.failed(); err != nil {
		return 0, err
	}
	n := 0
	for len(p) > 0 {
		b := w.filling()
		room := min(len(p), MaxBlock-len(b.plain))
		b.plain = append(b.plain, p[:room]...)
		n += room
		p = p[room:]
		if len(b.plain) == MaxBlock {
			if err := w.submit(false); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Mark says that the next byte begins a tar header (of an extended header, where
// there is one): a good place to begin a block.
func (w *Writer) Mark() {
	if w.fill != nil && len(w.fill.plain) >= MinBlock {
		w.submit(false) // an error stays for the next call
	}
}

// Reaches reports whether the object would be at least limit bytes if it ended
// here and the block now being filled did not compress. The answer is exact in
// all other blocks and so equal in equal runs: near the limit it waits for the
// blocks whose encoded size could decide. After an error it is true.
func (w *Writer) Reaches(limit int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil {
		if w.format.size(w.done+w.pending.encoded+w.filled()) < limit {
			return false
		}
		if w.pending.blocks == 0 {
			break
		}
		w.idle.Wait()
	}
	return true
}

func (w *Writer) filled() int64 {
	if w.fill == nil {
		return 0
	}
	return int64(len(w.fill.plain))
}

// Close writes what is left and waits for all of it to be stored. The object is
// good only if it returns nil. A second Close returns the same.
func (w *Writer) Close() error {
	if w.closed {
		return w.closeErr
	}
	w.closed = true
	w.filling()
	w.submit(true)
	w.wait()
	if w.failed() == nil {
		w.fail(w.format.finish())
	}
	w.fail(w.format.abort())
	w.closeErr = w.failed()
	w.fail(errClosed)
	return w.closeErr
}

// Abort gives the object up: blocks in flight are dropped and nothing more is
// written, once a running write to the store has returned. It does nothing after
// Close, so it may be deferred.
func (w *Writer) Abort() {
	if w.closed {
		return
	}
	w.closed = true
	w.fail(ErrAborted)
	w.closeErr = w.failed()
	w.wait()
	w.format.abort() // what it says of an object given up is of no use
}

// Table is the object's table, for Close having returned nil; before that there is
// none. It is not copied. An object that would need more than a Table's limits has
// none: nil.
func (w *Writer) Table() *Table {
	if !w.closed || w.closeErr != nil || len(w.blocks) > MaxBlocks {
		return nil
	}
	t := &Table{Blocks: w.blocks}
	switch f := w.format.(type) {
	case *gzipFormat:
		t.Deflated = true
	case *openpgpFormat:
		t.Deflated = f.compressed
		t.Message = &Message{ESK: f.session.ESK(), Prefix: f.body.Prefix(), Layout: f.body.Layout()}
		if len(t.Message.ESK) > MaxESK {
			return nil
		}
	}
	return t
}

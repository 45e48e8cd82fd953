package codec

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"hindsight/chain/pgp"
)

var (
	// ErrCorrupt is wrapped by errors about stored bytes that cannot have been
	// written so. An object cut short gives io.ErrUnexpectedEOF instead.
	ErrCorrupt = errors.New("corrupt data")
	// ErrTooLong: the object has more plain bytes than ReaderOptions.Limit.
	ErrTooLong = errors.New("plain data longer than allowed")
)

// ReaderOptions says how an object is read. Its zero value is ready to use.
type ReaderOptions struct {
	// Limit is the most plain bytes that Read returns in all; the byte after them
	// is ErrTooLong. 0 is no limit.
	Limit int64
	// Keyring decrypts; an encrypted Format needs it.
	Keyring *pgp.Keyring
	// SignKey demands that an encrypted object is signed by this key, see
	// pgp.ReaderOptions. Other formats ignore it.
	SignKey string
	// Gather makes Reader.Table give the object's table, gathered in passing. It takes
	// some 100 KiB and the table.
	Gather bool
	// Table, if it is known, is used to decode the blocks of an encrypted object in
	// parallel, where Ahead allows it and SignKey is not set. An ErrTable while the
	// object's own checks find nothing means that it is not the object's.
	Table *Table
	// Small saves memory where many objects are open at once: a Reader of a .gz object
	// without Gather and Ahead then takes some 100 KiB, at a few per cent more of time.
	Small bool
	// Ahead is how many chunks of 320 KiB may be decoded ahead of Read, on goroutines
	// that end with the Reader; 0: none, everything is done in Read. Each chunk takes
	// twice its size; with a Table it is a block and takes what Table.Decode does for
	// it. Blocks of a .gz object as NewWriter makes it are decoded in parallel.
	Ahead int
	// Later has that begin with the first Read, or Reader.Start.
	Later bool
}

// Reader undoes the layers of one object. An error sticks. It is not safe for
// concurrent use.
type Reader struct {
	layer layer
	left  int64 // of the limit; negative if there is none
	err   error

	gather bool
	table  *Table // with io.EOF
}

// layer is one way of undoing a format. A serial one works in Read; one that
// works ahead does so on goroutines of its own until release.
type layer interface {
	// Read returns plain bytes and io.EOF only after every check of the format.
	io.Reader
	// finish takes in the rest of the stored bytes, with every check that is to
	// be had without decoding the plain bytes nobody wants.
	finish() error
	// table is the object's, once Read has returned io.EOF and if it was gathered.
	table() *Table
	// release gives back buffers and ends goroutines. It is called once, last.
	release()
}

// sourceSize is how much of the store is read at once.
const sourceSize = 128 << 10

var sources = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, sourceSize) }}

// NewReader returns a Reader of the object of format f that r yields. An encrypted
// object's head is read at once; ctx bounds the runs of gpg to open and verify it.
// Errors: of r as they are, ErrCorrupt, and those of pgp.
func NewReader(ctx context.Context, r io.Reader, f Format, opt ReaderOptions) (*Reader, error) {
	rd := &Reader{left: -1, gather: opt.Gather}
	if opt.Limit > 0 {
		rd.left = opt.Limit
	}
	feed := feedSerially
	switch {
	case f.Encrypted:
		byTable := opt.Table != nil && opt.Ahead > 0 && opt.SignKey == "" && opt.Table.Deflated && opt.Table.Message != nil
		l, err := newOpenpgpLayer(ctx, r, opt, byTable)
		if err != nil {
			return nil, err
		}
		rd.layer = l
		if byTable {
			rd.gather, rd.table = false, opt.Table
			feed = func(a *ahead) { feedBlocks(a, l, opt.Table) }
		}
	case f.Compressed:
		if opt.Small && opt.Ahead == 0 && !opt.Gather {
			rd.layer = newSmallGunzip(r)
			break
		}
		rd.layer = newGunzip(r, opt.gatherer())
		feed = feedMembers
	default:
		rd.layer = &plainLayer{r: r, gather: opt.gatherer()}
	}
	if opt.Ahead > 0 {
		a := newAhead(rd.layer, opt.Ahead, feed)
		if rd.layer = a; !opt.Later {
			a.start()
		}
	}
	return rd, nil
}

func (opt *ReaderOptions) gatherer() *gatherer {
	if !opt.Gather {
		return nil
	}
	return newGatherer()
}

// Start begins to decode ahead, where ReaderOptions.Later has put that off. It may be
// called while another goroutine reads, but not once one may finish or close the Reader.
func (r *Reader) Start() {
	if a, ok := r.layer.(*ahead); ok {
		a.start()
	}
}

// Table is the object's table, if it was to be gathered and Read has returned io.EOF,
// which says that all was right. Nil: it was not, or there is none for such an object,
// see the limits of a Table; of a message see pgp.Reader.Deflated, too.
func (r *Reader) Table() *Table {
	if r.err != io.EOF {
		return nil
	}
	return r.table
}

// Unprotected reports whether the object is an old message without integrity check,
// which duplicity accepts too.
func (r *Reader) Unprotected() bool {
	l := r.layer
	if a, ok := l.(*ahead); ok {
		l = a.inner
	}
	m, ok := l.(*openpgpLayer)
	return ok && m.Unprotected()
}

// Read returns plain bytes. io.EOF means that the object was whole as far as its
// format can tell. Errors of the store are returned as they are.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.left >= 0 && int64(len(p)) > r.left {
		p = p[:r.left+1] // one more, to tell the limit from the end
	}
	n, err := r.layer.Read(p)
	if r.left >= 0 {
		if int64(n) > r.left {
			n, err = int(r.left), ErrTooLong
		}
		r.left -= int64(n)
	}
	r.err = err
	if err == io.EOF && r.gather {
		r.table = r.layer.table()
	}
	return n, err
}

// Finish is for a consumer that needs no more plain bytes, as a tar ended: it
// reads the stored bytes to their end, so that hashes below see all of them, and
// makes the checks that need no decompression: the integrity of an encrypted
// object is checked, the CRC of a gzip member that was not read out is not. After
// io.EOF it does nothing; after another error it returns that. It releases what
// the Reader holds; every Read after it fails.
func (r *Reader) Finish() error {
	if r.layer == nil {
		return r.finished()
	}
	if r.err == nil {
		r.err = r.layer.finish()
	}
	if r.err == nil {
		r.err = errFinished
	}
	r.Close()
	return r.finished()
}

func (r *Reader) finished() error {
	if r.err == io.EOF || r.err == errFinished {
		return nil
	}
	return r.err
}

var (
	errFinished     = errors.New("codec: read after finish")
	errReaderClosed = errors.New("codec: reader is closed")
)

// Close releases what the Reader holds without any check, for a consumer that
// gives up. It does nothing after Finish, and Finish fails after it. The source is
// not closed.
func (r *Reader) Close() error {
	if r.layer == nil {
		return nil
	}
	r.layer.release()
	r.layer = nil
	if r.err == nil {
		r.err = errReaderClosed
	}
	return nil
}

// plainLayer has nothing to undo.
type plainLayer struct {
	r      io.Reader
	gather *gatherer // nil: nobody wants a table
	n      int64
}

func (l *plainLayer) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.gather != nil {
		l.gather.stored(p[:n], l.n, 0)
	}
	l.n += int64(n)
	return n, err
}

func (l *plainLayer) table() *Table { return l.gather.table(false, nil) }

func (l *plainLayer) finish() error { return drain(l.r) }

func (l *plainLayer) release() {}

func drain(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("read to the end: %w", err)
	}
	return nil
}

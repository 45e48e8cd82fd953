package codec

import (
	"fmt"
	"io"
	"sync/atomic"
)

// feedBlocks decrypts a message in order, which its integrity code demands, and decodes
// the blocks of its table in parallel, each as a chunk. What does not match its sum is
// not given out, so that nothing else need be checked of how the table was used.
func feedBlocks(a *ahead, l *openpgpLayer, t *Table) {
	end := func(err error) { a.send(&chunk{err: err}) }
	if err := t.Check(); err != nil {
		end(err)
		return
	}
	c := contentReader{r: l, at: l.Start()}
	defer c.free()
	for i := range t.Blocks {
		b := &t.Blocks[i]
		content, err := c.next(t.Message.Layout.Start+b.StoredOffset, int64(b.StoredLen))
		if err != nil {
			end(err)
			return
		}
		next := &chunk{ready: make(chan struct{})}
		a.wg.Go(func() {
			defer close(next.ready)
			defer content.release()
			next.decode(t, b, content.p)
		})
		if !a.send(next) {
			<-next.ready
			next.free()
			return
		}
	}
	_, err := io.Copy(io.Discard, l)
	if err == nil {
		err = io.EOF
	}
	end(err)
}

func (c *chunk) decode(t *Table, b *Block, content []byte) {
	c.buf = getBuffer(int(b.Len))
	plain, err := t.decodeContent((*c.buf)[:0], b, b.Len, content)
	if err != nil {
		c.err = fmt.Errorf("%w: at tar offset %d: %w", ErrTable, b.TarOffset, err)
		return
	}
	c.plain = plain
}

// contentRun is a run of a stream, which is not changed. It is held by the reader and by
// every user.
type contentRun struct {
	p    []byte // of buf
	buf  *[]byte
	held atomic.Int32
}

func (r *contentRun) release() {
	if r.held.Add(-1) == 0 {
		buffers.Put(r.buf)
	}
}

// contentReader gives runs of a stream that overlap at most with the one before.
type contentReader struct {
	r    io.Reader
	at   int64       // offset of what r gives next
	last *contentRun // the run that ends there; nil before the first
}

func (c *contentReader) free() {
	if c.last != nil {
		c.last.release()
	}
}

// next is the run of n bytes at offset off, to be released.
func (c *contentReader) next(off, n int64) (*contentRun, error) {
	var last []byte
	if c.last != nil {
		last = c.last.p
	}
	again := c.at - off // bytes of the last run
	switch {
	case again == n && again == int64(len(last)):
		c.last.held.Add(1)
		return c.last, nil
	case again > int64(len(last)) || again > n:
		return nil, fmt.Errorf("%w: blocks are not in order", ErrTable)
	case again < 0:
		if _, err := io.CopyN(io.Discard, c.r, -again); err != nil {
			return nil, tableEnd(err)
		}
		again = 0
	}
	run := &contentRun{buf: getBuffer(int(n))}
	run.p = (*run.buf)[:n]
	copy(run.p, last[int64(len(last))-again:])
	if _, err := io.ReadFull(c.r, run.p[again:]); err != nil {
		buffers.Put(run.buf)
		return nil, tableEnd(err)
	}
	c.free()
	run.held.Store(2) // the reader's and the user's
	c.at, c.last = off+n, run
	return run, nil
}

// tableEnd is the error of a table that says more than a message that is whole.
func tableEnd(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it is of a longer message", ErrTable)
	}
	return err
}

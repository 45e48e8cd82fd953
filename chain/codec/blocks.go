package codec

import (
	"fmt"
	"io"
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
			next.decode(t, b, content)
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
	var dst []byte
	if b.Len <= chunkSize {
		c.buf = chunks.Get().(*[chunkSize]byte)
		dst = c.buf[:0]
	} else {
		dst = make([]byte, 0, b.Len)
	}
	plain, err := t.decodeContent(dst, b, content)
	if err != nil {
		c.err = fmt.Errorf("%w: at tar offset %d: %w", ErrTable, b.TarOffset, err)
		return
	}
	if c.n = len(plain); c.buf == nil {
		c.own = plain
	}
}

// contentReader gives runs of a stream that overlap at most with the one before.
type contentReader struct {
	r    io.Reader
	at   int64  // offset of what r gives next
	last []byte // the run that ends there, not to be changed
}

// next is the run of n bytes at offset off.
func (c *contentReader) next(off, n int64) ([]byte, error) {
	again := c.at - off // bytes of the last run
	switch {
	case again == n && again == int64(len(c.last)):
		return c.last, nil
	case again > int64(len(c.last)) || again > n:
		return nil, fmt.Errorf("%w: blocks are not in order", ErrTable)
	case again < 0:
		if _, err := io.CopyN(io.Discard, c.r, -again); err != nil {
			return nil, tableEnd(err)
		}
		again = 0
	}
	run := make([]byte, n)
	copy(run, c.last[int64(len(c.last))-again:])
	if _, err := io.ReadFull(c.r, run[again:]); err != nil {
		return nil, tableEnd(err)
	}
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

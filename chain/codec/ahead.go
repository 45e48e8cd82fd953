package codec

import (
	"io"
	"sync"
)

// chunkSize is how many plain bytes a layer that works ahead hands over at once.
const chunkSize = MaxBlock

// buffers are for chunks and for what is stored of them, most of which are of about
// that size.
var buffers = sync.Pool{New: func() any {
	p := make([]byte, chunkSize)
	return &p
}}

// getBuffer returns a buffer of at least n bytes, to be put back.
func getBuffer(n int) *[]byte {
	p := buffers.Get().(*[]byte)
	if len(*p) < n {
		*p = make([]byte, n)
	}
	return p
}

// chunk is a run of plain bytes that is being, or was, decoded.
type chunk struct {
	buf   *[]byte       // of buffers, or nil
	plain []byte        // within it
	err   error         // behind the bytes; io.EOF if all is well
	ready chan struct{} // closed when the fields above are set; nil: they are
}

func (c *chunk) free() {
	c.plain = nil
	if c.buf != nil {
		buffers.Put(c.buf)
		c.buf = nil
	}
}

// ahead decodes on goroutines of its own, so that reading and hashing what is
// stored, decoding, and what the consumer does go on at once. feed fills the queue
// in order and ends it with an error, which may be io.EOF.
type ahead struct {
	inner layer // used by feed alone until it has ended
	feed  func(*ahead)
	begun sync.Once
	queue chan *chunk
	stop  chan struct{}
	wg    sync.WaitGroup // feed, and who decodes for it
	cur   *chunk
	pos   int // in cur
}

// newAhead returns a layer whose feed may be n chunks ahead, once it is started.
func newAhead(inner layer, n int, feed func(*ahead)) *ahead {
	return &ahead{inner: inner, feed: feed, queue: make(chan *chunk, n), stop: make(chan struct{})}
}

// start starts feed, unless that was done or all has ended.
func (a *ahead) start() {
	a.begun.Do(func() {
		a.wg.Go(func() {
			defer close(a.queue)
			a.feed(a)
		})
	})
}

// send queues a chunk. It reports whether feed shall go on.
func (a *ahead) send(c *chunk) bool {
	select {
	case a.queue <- c:
		return true
	case <-a.stop:
		return false
	}
}

// feedSerially decodes with the inner layer.
func feedSerially(a *ahead) {
	for {
		c := &chunk{buf: getBuffer(chunkSize)}
		var n int
		n, c.err = readFull(a.inner, (*c.buf)[:chunkSize])
		c.plain = (*c.buf)[:n]
		if !a.send(c) || c.err != nil {
			return
		}
	}
}

// readFull fills p unless an error, io.EOF as it is, comes first.
func readFull(r io.Reader, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k, err := r.Read(p[n:])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (a *ahead) Read(p []byte) (int, error) {
	a.start()
	for a.cur == nil || a.pos == len(a.cur.plain) {
		if a.cur != nil {
			if a.cur.err != nil {
				return 0, a.cur.err
			}
			a.cur.free()
		}
		c := <-a.queue
		if c.ready != nil {
			<-c.ready
		}
		a.cur, a.pos = c, 0
	}
	n := copy(p, a.cur.plain[a.pos:])
	a.pos += n
	return n, nil
}

// end ends the goroutines.
func (a *ahead) end() {
	select {
	case <-a.stop:
		return
	default:
	}
	close(a.stop)
	a.begun.Do(func() { close(a.queue) })
	for c := range a.queue {
		if c.ready != nil {
			<-c.ready
		}
		c.free()
	}
	a.wg.Wait()
	if a.cur != nil {
		a.cur.free()
	}
}

func (a *ahead) finish() error {
	a.end()
	return a.inner.finish()
}

func (a *ahead) table() *Table { return a.inner.table() }

func (a *ahead) release() {
	a.end()
	a.inner.release()
}

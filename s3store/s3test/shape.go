package s3test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Link is what a Shape makes of the loopback interface. Both directions are alike
// and independent of each other.
type Link struct {
	Delay time.Duration // one way
	Rate  int64         // bytes per second, of all connections together; 0 is no limit
}

// Shape is a TCP proxy on a free loopback port that forwards to one address as if it
// were at the other end of a Link. It serves any protocol. A new connection's first
// bytes take a round trip more, as its handshake would. It must be closed.
//
// Times are kept to about two milliseconds for a chunk and do not add up: what one
// chunk is late the next one is not.
type Shape struct {
	addr     string
	target   string
	link     Link
	listener net.Listener
	up, down pace
	gate     gate
	ctx      context.Context // of all that it forwards
	stop     context.CancelFunc
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[*shaped]bool
}

// NewShape starts a proxy to the TCP address target.
func NewShape(target string, link Link) (*Shape, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Shape{
		addr: l.Addr().String(), target: target, link: link, listener: l,
		up: pace{rate: link.Rate}, down: pace{rate: link.Rate}, conns: make(map[*shaped]bool),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where the proxy listens, as host:port.
func (s *Shape) Addr() string { return s.addr }

// Bytes are the bytes that have entered the link so far: those towards the target,
// and those from it.
func (s *Shape) Bytes() (up, down int64) { return s.up.total(), s.down.total() }

// Off takes the network away: nothing passes any more, in connections that exist and
// in new ones, which seem to be accepted. Nothing is lost, as TCP would send again.
func (s *Shape) Off() { s.gate.set(false) }

// On brings the network back.
func (s *Shape) On() { s.gate.set(true) }

// Reset breaks all connections that there are, at both ends.
func (s *Shape) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.reset()
	}
}

// Close breaks all connections and returns when nothing of the proxy is left.
func (s *Shape) Close() error {
	s.stop()
	err := s.listener.Close()
	s.Reset()
	s.wg.Wait()
	return err
}

func (s *Shape) accept() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return // Close is the only reason that lasts
		}
		s.wg.Go(func() { s.serve(client.(*net.TCPConn)) })
	}
}

// serve forwards one connection until both directions have ended.
func (s *Shape) serve(client *net.TCPConn) {
	c := &shaped{client: client}
	c.ctx, c.stop = context.WithCancel(s.ctx)
	defer c.stop()
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.close()
	}()
	born := time.Now().Add(2 * s.link.Delay)
	if s.gate.wait(c.ctx) != nil || c.dial(s.target) != nil {
		c.reset()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { s.forward(c, c.server, c.client, &s.up, born) })
	both.Go(func() { s.forward(c, c.client, c.server, &s.down, time.Time{}) })
	both.Wait()
}

// shaped is one connection through the proxy.
type shaped struct {
	ctx  context.Context // ends when the connection is broken
	stop context.CancelFunc

	mu     sync.Mutex
	client *net.TCPConn
	server *net.TCPConn // nil until dialled
}

func (c *shaped) dial(target string) error {
	var d net.Dialer
	conn, err := d.DialContext(c.ctx, "tcp", target)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = conn.(*net.TCPConn)
	return c.ctx.Err()
}

// reset makes both peers see a connection that was reset.
func (c *shaped) reset() {
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range []*net.TCPConn{c.client, c.server} {
		if conn != nil {
			_ = conn.SetLinger(0) // a closed one needs none
			_ = conn.Close()
		}
	}
}

func (c *shaped) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.client.Close()
	if c.server != nil {
		_ = c.server.Close()
	}
}

// chunk is a piece of a stream on its way.
type chunk struct {
	data []byte    // nil: the stream has ended
	due  time.Time // when it arrives
}

const chunkSize = 32 << 10

// slack is how far, at most, a stream may run ahead of its link: sleeps are no finer.
const slack = 2 * time.Millisecond

// forward copies one direction from src to dst. The queue between holds what is in
// flight, and little more.
func (s *Shape) forward(c *shaped, dst, src *net.TCPConn, p *pace, born time.Time) {
	flight := int64(float64(s.link.Rate) * (s.link.Delay + 2*slack).Seconds())
	queue := make(chan chunk, 64+flight/chunkSize)
	var out sync.WaitGroup
	out.Go(func() { s.deliver(c, dst, queue) })
	defer out.Wait()
	defer close(queue)
	for {
		buf := make([]byte, chunkSize)
		n, err := src.Read(buf)
		left := p.enter(n)
		if left.Before(born) {
			left = born
		}
		if n > 0 && !send(c.ctx, queue, chunk{buf[:n], left.Add(s.link.Delay)}) {
			return
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.reset()
			}
			send(c.ctx, queue, chunk{due: left.Add(s.link.Delay)})
			return
		}
		if ahead := time.Until(left) - slack; ahead > 0 && sleep(c.ctx, ahead) != nil {
			return
		}
	}
}

func send(ctx context.Context, queue chan<- chunk, c chunk) bool {
	select {
	case queue <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

// deliver writes what arrives. It drains the queue after an error, so that its
// sender ends.
func (s *Shape) deliver(c *shaped, dst *net.TCPConn, queue <-chan chunk) {
	for ch := range queue {
		if sleep(c.ctx, time.Until(ch.due)) != nil || s.gate.wait(c.ctx) != nil {
			continue
		}
		var err error
		if ch.data == nil {
			err = dst.CloseWrite()
		} else {
			_, err = dst.Write(ch.data)
		}
		if err != nil {
			c.reset()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pace is one direction of a link, which all connections share.
type pace struct {
	rate int64

	mu   sync.Mutex
	free time.Time // when the link has sent all that has entered it
	sum  int64
}

// enter puts n bytes on the link and returns when the last of them has left.
func (p *pace) enter(n int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sum += int64(n)
	if now := time.Now(); p.free.Before(now) {
		p.free = now
	}
	if p.rate > 0 {
		p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	}
	return p.free
}

func (p *pace) total() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sum
}

// gate lets pass or not. Its zero value is open.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed when the gate opens; nil if it is open
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case open && g.shut != nil:
		close(g.shut)
		g.shut = nil
	case !open && g.shut == nil:
		g.shut = make(chan struct{})
	}
}

func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut == nil {
		return ctx.Err()
	}
	select {
	case <-shut:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

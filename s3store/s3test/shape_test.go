package s3test_test

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"hindsight/s3store/s3test"
)

// echo serves connections that get back what they send, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // a peer that breaks off is not its business
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

func shape(t *testing.T, target string, link s3test.Link) *s3test.Shape {
	t.Helper()
	s, err := s3test.NewShape(target, link)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// pass sends n bytes through an echo and reads them again.
func pass(t *testing.T, c *net.TCPConn, n int) {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, err := c.Write(make([]byte, n))
		if err = errors.Join(err, c.CloseWrite()); err != nil {
			t.Error(err)
		}
	})
	if got, err := io.Copy(io.Discard, c); err != nil || got != int64(n) {
		t.Errorf("%d bytes of %d came back: %v", got, n, err)
	}
}

// between fails the test unless got is at least want and not many times that: the
// machine may be busy, but must not be fast.
func between(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	ratio := got.Seconds() / want.Seconds()
	t.Logf("%s: %v, %.2f of what the link takes", what, got.Round(time.Millisecond), ratio)
	if ratio < 0.9 || ratio > 4 {
		t.Errorf("%s took %v, want about %v", what, got, want)
	}
}

func TestShapeDelay(t *testing.T) {
	const delay, trips = 10 * time.Millisecond, 10
	c := dial(t, shape(t, echo(t), s3test.Link{Delay: delay}).Addr())
	begin := time.Now()
	buf := make([]byte, 1)
	for range trips {
		if _, err := c.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Fatal(err)
		}
	}
	between(t, "round trips", time.Since(begin), (trips+1)*2*delay)
}

// TestShapeRate sends the same bytes in one connection and in several: they share the
// link. Echoed bytes come back while others go, which takes no longer.
func TestShapeRate(t *testing.T) {
	const rate, size = 20_000_000, 4 << 20
	for name, n := range map[string]int{"one": 1, "four": 4} {
		t.Run(name, func(t *testing.T) {
			s := shape(t, echo(t), s3test.Link{Rate: rate, Delay: time.Millisecond})
			var wg sync.WaitGroup
			begin := time.Now()
			for range n {
				c := dial(t, s.Addr())
				wg.Go(func() { pass(t, c, size/n) })
			}
			wg.Wait()
			link := time.Duration(float64(size) / rate * float64(time.Second))
			between(t, "echo", time.Since(begin), link)
			if up, down := s.Bytes(); up != size || down != size {
				t.Errorf("%d bytes up and %d down, want %d both", up, down, size)
			}
		})
	}
}

func TestShapeOff(t *testing.T) {
	s := shape(t, echo(t), s3test.Link{Delay: time.Millisecond})
	old := dial(t, s.Addr())
	buf := []byte("x")
	trip := func(c net.Conn) error {
		_, err := c.Write(buf)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadFull(c, buf)
		return err
	}
	if err := trip(old); err != nil {
		t.Fatal(err)
	}
	s.Off()
	young := dial(t, s.Addr())
	for _, c := range []*net.TCPConn{old, young} {
		if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if err := trip(c); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("while off: %v, want nothing", err)
		}
	}
	s.On()
	for _, c := range []*net.TCPConn{old, young} {
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Errorf("on again: %v", err)
		}
	}
	s.Reset()
	if _, err := io.ReadFull(old, buf); err == nil {
		t.Error("a connection outlives Reset")
	}
	pass(t, dial(t, s.Addr()), 10)
}

// TestShapeClose closes a proxy in the middle of everything.
func TestShapeClose(t *testing.T) {
	s := shape(t, echo(t), s3test.Link{Delay: time.Hour})
	other, err := s3test.NewShape("127.0.0.1:1", s3test.Link{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, s.Addr()).Write([]byte("never arrives")); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", other.Addr()); err == nil { // it may be reset as soon as it stands
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a target that refuses gives a byte")
		}
		_ = c.Close()
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}

package s3store_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hindsight/chain/store"
	"hindsight/s3store"
	"hindsight/s3store/s3test"
)

// TestPacer slows all requests down while the server throttles, counts a burst of
// refusals once, and is as fast as before soon after.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := s3store.NewPacer()
		ctx := t.Context()
		requests := func(n int) time.Duration { // how long n of them take to start
			began := time.Now()
			for range n {
				if err := p.Wait(ctx); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(began)
		}
		if d := requests(100); d != 0 {
			t.Errorf("100 requests took %v before any was throttled", d)
		}
		began := time.Now()
		time.Sleep(time.Millisecond)
		for range 8 { // of one burst
			p.Observe(true, began.Add(time.Millisecond))
		}
		first := p.Gap()
		if d := requests(11); first == 0 || d < 10*first || d > 11*first {
			t.Errorf("11 requests took %v with a gap of %v", d, first)
		}
		for range 20 {
			time.Sleep(time.Millisecond)
			p.Observe(true, time.Now())
		}
		most := p.Gap()
		if most <= first || most > time.Second {
			t.Errorf("the gap is %v at the most, %v at first", most, first)
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if err := p.Wait(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("wait with a done context: %v", err)
		}
		began = time.Now()
		n := 0
		for ; p.Gap() > 0; n++ {
			requests(1)
			p.Observe(false, time.Now())
		}
		if d := time.Since(began); d > 10*time.Second || n < 10 {
			t.Errorf("full speed came back after %v and %d requests", d, n)
		}
	})
}

// TestRetryAfter waits as long as the server asks for.
func TestRetryAfter(t *testing.T) {
	t.Parallel() // it mostly waits
	fake, s := newStore(t, s3test.Options{}, nil)
	fake.Break(1, s3test.Rule{Op: s3test.PutObject, Header: http.Header{"Retry-After": {"1"}}})
	began := time.Now()
	if err := put(t, s, "object", []byte("x"), false); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d < time.Second {
		t.Errorf("it took %v", d)
	}
	fake.Break(1, s3test.Rule{Op: s3test.PutObject, Times: -1, Header: http.Header{"Retry-After": {"100"}}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := s.Put(ctx, "object", store.Bytes([]byte("x")), store.PutOptions{})
	if d := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || d > 30*time.Second {
		t.Errorf("a put with a deadline took %v, error %v", d, err)
	}
}

// notices are the records that have a reason: what a user is told.
type notices struct {
	mu   sync.Mutex
	said []string
}

func (*notices) Enabled(context.Context, slog.Level) bool { return true }
func (n *notices) WithAttrs([]slog.Attr) slog.Handler     { return n }
func (n *notices) WithGroup(string) slog.Handler          { return n }
func (n *notices) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.said = append(n.said, r.Message+": "+a.Value.String())
		}
		return true
	})
	return nil
}

// TestSilence tells once that nobody is there, however many ask, and not of a request
// whose second attempt is answered.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first := make(chan struct{})
	var server sync.WaitGroup
	server.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n == 1 { // of all connections one is answered
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
				close(first)
			}
			c.Close()
		}
	})
	var said notices
	c := config("http://"+l.Addr().String(), "node")
	c.Retries, c.Log = 4, slog.New(&said)
	s := open(t, c)
	if err := s.Delete(t.Context(), "object"); err != nil || len(said.said) != 0 {
		t.Errorf("answered the second time: %v, said %q", err, said.said)
	}
	<-first
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() {
			if err := s.Delete(t.Context(), "object"); err == nil {
				t.Error("nobody has answered, and there is no error")
			}
		})
	}
	requests.Wait()
	if len(said.said) != 1 || !strings.HasPrefix(said.said[0], "the server does not answer and is asked again: ") {
		t.Errorf("said %q, want one line", said.said)
	}
	l.Close()
	server.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

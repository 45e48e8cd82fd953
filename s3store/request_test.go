package s3store_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hindsight/chain/store"
	"hindsight/chain/treetest"
	"hindsight/s3store"
	"hindsight/s3store/s3test"
)

// exercise does everything that a Store can do.
func exercise(t *testing.T, s *s3store.Store) {
	t.Helper()
	s.SetCopyLimit(10<<20, 6<<20)
	big := content(1, large)
	for name, data := range map[string][]byte{"small": []byte("small"), "empty": nil, "big": big} {
		if err := put(t, s, name, data, true); err != nil {
			t.Fatal(err)
		}
		wantObject(t, s, name, data)
		if err := s.Copy(t.Context(), name, name+".copy"); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if _, err := s.Temperature(t.Context(), o.Name); err != nil {
			t.Error(err)
		}
		if err := s.Delete(t.Context(), o.Name); err != nil {
			t.Error(err)
		}
	}
	if n != 6 {
		t.Errorf("%d objects are listed, want 6", n)
	}
	for o, err := range s.ListRemains(t.Context(), time.Now()) {
		t.Errorf("remains %v, error %v", o, err)
	}
}

// TestRequests looks at every request: each stays below the prefix, its checksum is a
// plain header, and nothing is signed that is changed on the way.
func TestRequests(t *testing.T) {
	treetest.Sequential(t)
	for name, opt := range map[string]s3test.Options{"http": {}, "https": {TLS: true}} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !opt.TLS {
				t.Skip("one of two")
			}
			opt.Buckets = []string{bucket}
			fake := s3test.NewFake(t, opt)
			c := config(fake.URL, "deep/node")
			if opt.TLS {
				c.CAFile = fake.CAFile(t)
			}
			s := open(t, c)
			defer s.Close()
			exercise(t, s)
			fake.StaysBelow(t, bucket, "deep/node/")
			for _, r := range fake.Requests() {
				h := r.Header
				body := r.Op == s3test.PutObject || r.Op == s3test.UploadPart
				if body != (h.Get("Content-Md5") != "") {
					t.Errorf("%v: Content-MD5 is %q", r, h.Get("Content-Md5"))
				}
				signed := h.Get("X-Amz-Content-Sha256")
				if unsigned := signed == "UNSIGNED-PAYLOAD"; unsigned != (body && opt.TLS) {
					t.Errorf("%v: payload is signed as %q", r, signed)
				}
				for _, bad := range []string{"X-Amz-Trailer", "X-Amz-Sdk-Checksum-Algorithm", "Content-Encoding", "Accept-Encoding"} {
					if v := h.Get(bad); v != "" {
						t.Errorf("%v: %s is %q", r, bad, v)
					}
				}
				if r.Op == s3test.PutObject || r.Op == s3test.CompleteMultipartUpload && !strings.HasSuffix(r.Key, ".copy") {
					if v := h.Get("If-None-Match"); v != "*" {
						t.Errorf("%v: If-None-Match is %q", r, v)
					}
				}
			}
		})
	}
}

// TestRootOfBucket keeps objects at the root of a bucket.
func TestRootOfBucket(t *testing.T) {
	treetest.Sequential(t)
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{bucket}})
	s := open(t, config(fake.URL, ""))
	defer s.Close()
	inner := open(t, config(fake.URL, "inner"))
	defer inner.Close()
	if err := put(t, inner, "object", nil, true); err != nil {
		t.Fatal(err)
	}
	exercise(t, s)
	if keys := fake.Keys(t, bucket); len(keys) != 1 || keys[0] != "inner/object" {
		t.Errorf("the bucket holds %q", keys)
	}
}

// TestObjectHeaders gives each new object its class, encryption and grant.
func TestObjectHeaders(t *testing.T) {
	treetest.Sequential(t)
	fake, s := newStore(t, s3test.Options{}, func(c *s3store.Config) {
		c.Class = func(name string) string {
			return map[bool]string{true: "STANDARD", false: "GLACIER"}[strings.HasSuffix(name, ".manifest")]
		}
		c.Encryption, c.KMSKey, c.Grant = s3store.EncryptKMS, "1234", "id=5"
	})
	for name, class := range map[string]string{"a.manifest": "STANDARD", "a.vol1": "GLACIER"} {
		for _, n := range []int{10, large} {
			fake.Recorder.Reset()
			if err := put(t, s, name, content(1, n), false); err != nil {
				t.Fatal(err)
			}
			for _, r := range fake.Requests(s3test.PutObject, s3test.CreateMultipartUpload) {
				for header, want := range map[string]string{
					"X-Amz-Storage-Class": class, "X-Amz-Server-Side-Encryption": "aws:kms",
					"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "1234", "X-Amz-Grant-Full-Control": "id=5",
				} {
					if got := r.Header.Get(header); got != want {
						t.Errorf("%v of %d bytes: %s is %q, want %q", r, n, header, got, want)
					}
				}
			}
		}
	}
}

// TestVirtualHost has the bucket in the host's name.
func TestVirtualHost(t *testing.T) {
	treetest.Sequential(t)
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{bucket}})
	c := config("http://s3.test", "node")
	c.Style = s3store.StyleVirtual
	s := open(t, c)
	defer s.Close()
	s.DialTo(fake.Addr())
	exercise(t, s)
	fake.StaysBelow(t, bucket, "node/")
}

// TestRegion finds the bucket in another region of AWS, as boto does.
func TestRegion(t *testing.T) {
	for name, answer := range map[string]int{"PermanentRedirect": 301, "AuthorizationHeaderMalformed": 400} {
		var mu sync.Mutex
		var hosts []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			hosts = append(hosts, r.Host)
			mu.Unlock()
			if strings.Contains(r.Host, "eu-west-1") && strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/s3/") {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
			w.WriteHeader(answer)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", name)
		}))
		c := config("", "node")
		c.Region, c.PlainHTTP = "", true
		s := open(t, c)
		s.DialTo(server.Listener.Addr().String())
		for range 2 {
			if err := s.Delete(t.Context(), "object"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(hosts) != 3 || !strings.HasPrefix(hosts[0], bucket+".s3.us-east-1.") || !strings.HasPrefix(hosts[2], bucket+".s3.eu-west-1.") {
			t.Errorf("%s: asked %q", name, hosts)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

// TestExpired gets new credentials when those that are cached have run out.
func TestExpired(t *testing.T) {
	fake, s := newStore(t, s3test.Options{}, nil)
	fake.Break(1, s3test.Rule{Op: s3test.PutObject, Status: 400, Code: "ExpiredToken"})
	if err := put(t, s, "object", []byte("x"), true); err != nil {
		t.Error(err)
	}
	fake.AllFired(t)
}

// countingBody gives parts and counts those that are not released.
type countingBody struct {
	left      int
	data      []byte
	now, most *atomic.Int64
}

func (b *countingBody) Next(context.Context) (store.Part, error) {
	if b.left == 0 {
		return store.Part{}, io.EOF
	}
	b.left--
	n := b.now.Add(1)
	for m := b.most.Load(); n > m && !b.most.CompareAndSwap(m, n); m = b.most.Load() {
	}
	return store.NewPart(b.data, func() { b.now.Add(-1) }), nil
}

// TestPartsInFlight bounds the parts that all puts together hold: those being sent, and
// one for each put that waits for its turn.
func TestPartsInFlight(t *testing.T) {
	if testing.Short() {
		t.Skip("uploads 128 MiB")
	}
	_, s := newStore(t, s3test.Options{}, nil)
	data := content(1, store.PartSize)
	var now, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			body := &countingBody{left: 4, data: data, now: &now, most: &most}
			if err := s.Put(t.Context(), fmt.Sprint(i), body, store.PutOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n < 3 || n > 3+2 {
		t.Errorf("%d parts were held at once, want 3 to 5", n)
	}
	if held := most.Load() * store.PartSize; held >= 96<<20 {
		t.Errorf("two puts hold %d MiB, want less than 96", held>>20)
	}
	if n := now.Load(); n != 0 {
		t.Errorf("%d parts were not released", n)
	}
}

// oneBuffer gives a part only when the one before is released.
type oneBuffer struct {
	left int
	data []byte
	free chan struct{}
}

func (b *oneBuffer) Next(ctx context.Context) (store.Part, error) {
	if b.left == 0 {
		return store.Part{}, io.EOF
	}
	b.left--
	select {
	case <-b.free:
	case <-ctx.Done():
		return store.Part{}, ctx.Err()
	}
	return store.NewPart(b.data, func() { b.free <- struct{}{} }), nil
}

// TestOneBuffer puts many objects out of the memory of one part: no put may wait for
// a second part before it has given back the first.
func TestOneBuffer(t *testing.T) {
	_, s := newStore(t, s3test.Options{}, func(c *s3store.Config) { c.Parts = 1 })
	free := make(chan struct{}, 1)
	free <- struct{}{}
	data := content(1, store.PartSize)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			if err := s.Put(t.Context(), fmt.Sprint(i), &oneBuffer{left: 2, data: data, free: free}, store.PutOptions{IfAbsent: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantObject(t, s, "1", append(append([]byte{}, data...), data...))
}

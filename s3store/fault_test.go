package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"hindsight/chain/store"
	"hindsight/chain/treetest"
	"hindsight/s3store"
	"hindsight/s3store/s3test"
)

// content is n bytes that look different at every place.
func content(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

func newStore(t *testing.T, opt s3test.Options, change func(*s3store.Config)) (*s3test.Fake, *s3store.Store) {
	t.Helper()
	opt.Buckets = []string{bucket}
	fake := s3test.NewFake(t, opt)
	c := config(fake.URL, "node")
	if change != nil {
		change(&c)
	}
	s := open(t, c)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return fake, s
}

func put(t *testing.T, s *s3store.Store, name string, data []byte, absent bool) error {
	t.Helper()
	return s.Put(t.Context(), name, store.Bytes(data), store.PutOptions{IfAbsent: absent})
}

func wantObject(t *testing.T, s *s3store.Store, name string, want []byte) {
	t.Helper()
	got, err := store.ReadAll(t.Context(), s, name, int64(len(want)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, error %v; want %d right ones", name, len(got), err, len(want))
	}
}

const large = store.PartSize + 1<<20

// TestPutFaults breaks puts in every way that is known: they end right, once, and
// leave nothing behind.
func TestPutFaults(t *testing.T) {
	small, big := content(1, 5000), content(2, large)
	type fault struct {
		name string
		rule s3test.Rule
	}
	var faults []fault
	for _, op := range []s3test.Op{s3test.PutObject, s3test.CreateMultipartUpload, s3test.UploadPart, s3test.CompleteMultipartUpload, s3test.ListObjectsV2} {
		faults = append(faults,
			fault{"503", s3test.Rule{Op: op, Times: 2}},
			fault{"500", s3test.Rule{Op: op, Status: 500, Code: "InternalError"}},
			fault{"429", s3test.Rule{Op: op, Status: 429, Code: "TooManyRequests"}},
			fault{"409", s3test.Rule{Op: op, Status: 409, Code: "ConditionalRequestConflict"}},
			fault{"reset", s3test.Rule{Op: op, Effect: s3test.ResetRequest, At: 100}},
			fault{"answer reset", s3test.Rule{Op: op, Effect: s3test.ResetResponse}},
			fault{"lost", s3test.Rule{Op: op, Effect: s3test.Lost, Status: 500, Code: "InternalError"}},
			fault{"lost twice", s3test.Rule{Op: op, Effect: s3test.Lost, Status: 503, Times: 2}},
		)
	}
	faults = append(faults,
		fault{"wrong ETag", s3test.Rule{Op: s3test.PutObject, Effect: s3test.WrongETag}},
		fault{"wrong ETag", s3test.Rule{Op: s3test.UploadPart, Effect: s3test.WrongETag}},
		fault{"body changed", s3test.Rule{Op: s3test.UploadPart, Status: 400, Code: "BadDigest"}},
		fault{"truncated", s3test.Rule{Op: s3test.CompleteMultipartUpload, Effect: s3test.Truncate, At: 10}},
	)
	for _, absent := range []bool{false, true} {
		fake, s := newStore(t, s3test.Options{}, nil)
		for i, f := range faults {
			for size, data := range map[string][]byte{"small": small, "big": big} {
				if size == "big" && testing.Short() && !(absent && f.name == "lost" && (f.rule.Op == s3test.UploadPart || !treetest.Short())) {
					continue
				}
				parts := f.rule.Op != s3test.PutObject && f.rule.Op != s3test.ListObjectsV2
				if parts && !absent && f.rule.Op != s3test.CompleteMultipartUpload {
					continue // the condition is in the last request alone
				}
				if parts != (size == "big") || f.rule.Op == s3test.ListObjectsV2 && !absent {
					continue
				}
				if f.rule.Op == s3test.ListObjectsV2 { // only a put whose answer was lost asks
					fake.Break(uint64(i), f.rule, s3test.Rule{Op: s3test.PutObject, Effect: s3test.Lost, Status: 500})
				} else {
					fake.Break(uint64(i), f.rule)
				}
				name := fmt.Sprintf("object.%d", i)
				if err := put(t, s, name, data, absent); err != nil {
					t.Errorf("%s at %s, absent %v: %v", f.name, f.rule.Op, absent, err)
				}
				fake.AllFired(t)
				fake.Break(0)
				wantObject(t, s, name, data)
				if err := s.Delete(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
		}
		// Uploads whose id was lost are remains.
		left := fake.Uploads()
		for o, err := range s.ListRemains(t.Context(), time.Now().Add(time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteRemains(t.Context(), o.Name); err != nil {
				t.Error(err)
			}
		}
		if n := fake.Uploads(); n > 0 || left > 4 {
			t.Errorf("%d uploads are left, of %d", n, left)
		}
	}
}

// TestPutLostForeign tells an object that is there from one that an own lost attempt
// has put.
func TestPutLostForeign(t *testing.T) {
	for size, data := range map[string][]byte{"small": content(1, 5000), "big": content(2, large)} {
		if size == "big" && treetest.Short() {
			continue
		}
		fake, s := newStore(t, s3test.Options{}, nil)
		op := s3test.PutObject
		if size == "big" {
			op = s3test.CompleteMultipartUpload
		}
		other := bytes.Clone(data)
		other[0]++
		// The answer to the first attempt is lost, and it had not been carried out; before
		// the second somebody else is faster.
		fake.Break(1, s3test.Rule{Op: op, Status: 500, Code: "InternalError"})
		body := &hookBody{Body: store.Bytes(data), end: func() {
			if size == "small" { // the big one meets the object before it ends
				return
			}
			fake.Break(1)
			if err := put(t, s, "object", other, false); err != nil {
				t.Error(err)
			}
			fake.Break(1, s3test.Rule{Op: op, Status: 500, Code: "InternalError"})
		}}
		if size == "small" {
			fake.Break(1)
			if err := put(t, s, "object", other, false); err != nil {
				t.Fatal(err)
			}
			fake.Break(1, s3test.Rule{Op: op, Status: 500, Code: "InternalError"})
		}
		err := s.Put(t.Context(), "object", body, store.PutOptions{IfAbsent: true})
		if !errors.Is(err, store.ErrExist) {
			t.Errorf("%s: put over a foreign object after a lost answer: error %v", size, err)
		}
		fake.AllFired(t)
		wantObject(t, s, "object", other)
		if n := fake.Uploads(); n > 0 {
			t.Errorf("%s: %d uploads are left", size, n)
		}
	}
}

// hookBody calls end before it ends.
type hookBody struct {
	store.Body
	end func()
}

func (b *hookBody) Next(ctx context.Context) (store.Part, error) {
	p, err := b.Body.Next(ctx)
	if err == io.EOF {
		b.end()
	}
	return p, err
}

// TestUnconditional goes on at a server that does not know If-None-Match.
func TestUnconditional(t *testing.T) {
	treetest.Sequential(t)
	fake, s := newStore(t, s3test.Options{Conditional: s3test.Refused}, nil)
	for name, data := range map[string][]byte{"small": content(1, 5000), "big": content(2, large)} {
		if err := put(t, s, name, data, true); err != nil {
			t.Errorf("put %s where nothing is: %v", name, err)
		}
		if err := put(t, s, name, []byte("other"), true); !errors.Is(err, store.ErrExist) {
			t.Errorf("put over %s: error %v", name, err)
		}
		wantObject(t, s, name, data)
		fake.Break(1, s3test.Rule{Op: s3test.PutObject, Effect: s3test.Lost, Status: 500}, s3test.Rule{Op: s3test.CompleteMultipartUpload, Effect: s3test.Lost, Status: 500})
		if err := put(t, s, name+".again", data, true); err != nil {
			t.Errorf("put %s with a lost answer: %v", name, err)
		}
		fake.Break(1)
	}
	refused := 0
	for _, r := range fake.Requests(s3test.PutObject, s3test.CompleteMultipartUpload) {
		if r.Status == 501 {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("the server refused %d times: it is to be remembered", refused)
	}
}

// TestGetFaults breaks bodies off at every kind of place: what is read is right.
func TestGetFaults(t *testing.T) {
	data := content(3, 3<<20)
	for name, rules := range map[string][]s3test.Rule{
		"503":         {{Op: s3test.GetObject, Times: 4}},
		"reset":       {{Op: s3test.GetObject, Times: 4, Effect: s3test.ResetResponse, At: s3test.Random}},
		"reset early": {{Op: s3test.GetObject, Times: 3, Effect: s3test.ResetResponse}},
		"truncated":   {{Op: s3test.GetObject, Times: 4, Effect: s3test.Truncate, At: s3test.Random}},
		"short":       {{Op: s3test.GetObject, Times: 4, Effect: s3test.Short, At: s3test.Random}},
		"short twice": {{Op: s3test.GetObject, Times: 2, Effect: s3test.Short, At: 0}},
		"wrong ETag, then truncated": {
			{Op: s3test.GetObject, Nth: 2, Effect: s3test.WrongETag}, {Op: s3test.GetObject, Effect: s3test.Truncate, At: 1 << 20},
		},
		"wrong ETag":   {{Op: s3test.GetObject, Times: -1, Effect: s3test.WrongETag}},
		"many, random": {{Op: s3test.GetObject, Chance: 0.5, Effect: s3test.Truncate, At: s3test.Random}, {Op: s3test.GetObject, Chance: 0.2, Effect: s3test.WrongETag}},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "many, random" {
				treetest.Sequential(t) // one after the other: that once under the race detector is enough
			}
			fake, s := newStore(t, s3test.Options{}, nil)
			if err := put(t, s, "object", data, false); err != nil {
				t.Fatal(err)
			}
			for i, r := range [][2]int{{0, -1}, {1000, 2 << 20}, {2 << 20, -1}, {100, 70000}} {
				fake.Break(uint64(i), rules...)
				rc, err := s.Get(t.Context(), "object", int64(r[0]), int64(r[1]))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(rc)
				want := data[r[0]:]
				if r[1] >= 0 {
					want = want[:r[1]]
				}
				if err := errors.Join(err, rc.Close()); err != nil || !bytes.Equal(got, want) {
					t.Errorf("range %v: %d bytes, want %d; error %v", r, len(got), len(want), err)
				}
			}
		})
	}
}

// TestGetReplaced reads an object that is replaced when the answer breaks off: there is
// no mixture, be it of the same size or the same beginning.
func TestGetReplaced(t *testing.T) {
	old := content(4, 1<<20)
	same := bytes.Clone(old)
	copy(same[600_000:], content(5, 1000))
	for name, next := range map[string][]byte{"other": content(6, 1<<20), "longer": append(bytes.Clone(old), 1), "shorter": old[:900_000], "gone": nil} {
		fake, s := newStore(t, s3test.Options{}, nil)
		if err := put(t, s, "object", old, false); err != nil {
			t.Fatal(err)
		}
		fake.Break(1, s3test.Rule{Op: s3test.GetObject, Effect: s3test.Truncate, At: 500_000})
		rc, err := s.Get(t.Context(), "object", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 400_000)
		if _, err := io.ReadFull(rc, got); err != nil {
			t.Fatal(err)
		}
		if next == nil {
			err = s.Delete(t.Context(), "object")
		} else {
			err = put(t, s, "object", next, false)
		}
		if err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(rc)
		if err == nil {
			t.Errorf("%s: read %d bytes without an error", name, len(got)+len(rest))
		}
		if !bytes.Equal(append(got, rest...), old[:len(got)+len(rest)]) {
			t.Errorf("%s: bytes of two versions", name)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOtherFaults breaks lists, deletes and copies.
func TestOtherFaults(t *testing.T) {
	treetest.Sequential(t)
	fake, s := newStore(t, s3test.Options{}, nil)
	s.SetCopyLimit(5<<20, 5<<20)
	big := content(7, 6<<20)
	for i, rule := range []s3test.Rule{
		{Op: s3test.ListObjectsV2, Times: 2}, {Op: s3test.ListObjectsV2, Effect: s3test.Truncate, At: 50}, {Op: s3test.ListObjectsV2, Effect: s3test.ResetResponse, At: 50},
		{Op: s3test.DeleteObject, Times: 2}, {Op: s3test.DeleteObject, Effect: s3test.Lost, Status: 500}, {Op: s3test.DeleteObject, Effect: s3test.ResetResponse},
		{Op: s3test.CopyObject, Status: 500}, {Op: s3test.CopyObject, Effect: s3test.Lost, Status: 500},
		{Op: s3test.UploadPartCopy, Status: 503}, {Op: s3test.UploadPartCopy, Effect: s3test.Lost, Status: 500},
	} {
		if testing.Short() && rule.Effect != s3test.Lost {
			continue
		}
		fake.Break(1)
		for name, data := range map[string][]byte{"small": []byte("small"), "big": big} {
			if err := put(t, s, name, data, false); err != nil {
				t.Fatal(err)
			}
		}
		fake.Break(uint64(i), rule)
		for name, data := range map[string][]byte{"small": []byte("small"), "big": big} {
			if err := s.Copy(t.Context(), name, name+".copy"); err != nil {
				t.Errorf("%v: copy %s: %v", rule.Op, name, err)
			}
			wantObject(t, s, name+".copy", data)
			if err := s.Delete(t.Context(), name); err != nil {
				t.Errorf("%v: delete %s: %v", rule.Op, name, err)
			}
		}
		fake.AllFired(t)
		fake.Break(1)
		var names []string
		for o, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, o.Name)
		}
		if got := strings.Join(names, " "); got != "big.copy small.copy" {
			t.Errorf("%v: left are %s", rule.Op, got)
		}
	}
	if n := fake.Uploads(); n > 0 {
		t.Errorf("%d uploads are left", n)
	}
}

// TestStalls breaks off what does not move, and leaves alone what is only slow.
func TestStalls(t *testing.T) {
	const timeout = 2 * time.Second
	data := content(8, 200_000)
	for i, rule := range []s3test.Rule{
		{Op: s3test.PutObject, Effect: s3test.StallRequest, At: 1000}, {Op: s3test.PutObject, Effect: s3test.StallResponse},
		{Op: s3test.GetObject, Effect: s3test.StallResponse}, {Op: s3test.GetObject, Effect: s3test.StallResponse, At: 100_000},
		{Op: s3test.ListObjectsV2, Effect: s3test.StallResponse, At: 10},
		{Op: s3test.GetObject, Effect: s3test.Slow, At: 80_000},
	} {
		t.Run(fmt.Sprintf("%s.%d", rule.Op, i), func(t *testing.T) {
			t.Parallel()
			fake, s := newStore(t, s3test.Options{}, func(c *s3store.Config) { c.Timeout = timeout })
			fake.Break(uint64(i), rule)
			if err := put(t, s, "object", data, false); err != nil {
				t.Errorf("%v: put: %v", rule, err)
			}
			for _, err := range s.List(t.Context(), "") {
				if err != nil {
					t.Errorf("%v: list: %v", rule, err)
				}
			}
			wantObject(t, s, "object", data)
			fake.AllFired(t)
			if want := 1; rule.Effect == s3test.Slow && fake.Count(rule.Op) != want {
				t.Errorf("a slow server was asked %d times, want %d", fake.Count(rule.Op), want)
			}
		})
	}
}

// TestSlowReader does not take a reader's own pause for one of the server.
func TestSlowReader(t *testing.T) {
	t.Parallel() // it mostly waits
	const timeout = 2 * time.Second
	fake, patient := newStore(t, s3test.Options{}, nil)
	data := content(9, 8<<20) // more than buffers on the way hold
	if err := put(t, patient, "object", data, false); err != nil {
		t.Fatal(err)
	}
	c := config(fake.URL, "node")
	c.Timeout = timeout
	s := open(t, c)
	defer s.Close()
	rc, err := s.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	half := make([]byte, 100)
	if _, err := io.ReadFull(rc, half); err != nil {
		t.Fatal(err)
	}
	<-time.After(timeout + timeout/2) // it is the pause that is tested
	rest, err := io.ReadAll(rc)
	if err := errors.Join(err, rc.Close()); err != nil || !bytes.Equal(append(half, rest...), data) {
		t.Errorf("read after a pause: %v", err)
	}
	if n := fake.Count(s3test.GetObject); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// TestPermanent gives up after as many attempts as are allowed, with the reason.
func TestPermanent(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, c := range []struct {
		rule     s3test.Rule
		attempts int
	}{
		{s3test.Rule{Status: 500, Code: "InternalError"}, 2}, {s3test.Rule{Status: 503}, 6}, {s3test.Rule{Effect: s3test.ResetResponse}, 2},
		{s3test.Rule{Status: 403, Code: "AccessDenied"}, 1}, {s3test.Rule{Status: 400, Code: "InvalidArgument"}, 1}, {s3test.Rule{Effect: s3test.StallResponse}, 2},
	} {
		fake, s := newStore(t, s3test.Options{}, func(cfg *s3store.Config) {
			cfg.Retries, cfg.Timeout, cfg.Backoff = 2, time.Minute, time.Microsecond
			if c.rule.Effect == s3test.StallResponse { // of the others none may seem to stall
				cfg.Timeout = 500 * time.Millisecond
			}
		})
		c.rule.Times = -1
		fake.Break(1, c.rule)
		for name, fn := range map[string]func() error{
			"put":    func() error { return put(t, s, "object", []byte("x"), true) },
			"get":    func() error { _, err := s.Get(t.Context(), "object", 0, -1); return err },
			"delete": func() error { return s.Delete(t.Context(), "object") },
		} {
			fake.Recorder.Reset()
			err := fn()
			var se *store.Error
			if !errors.As(err, &se) || se.Op != name {
				t.Errorf("%s with %v: error %v", name, c.rule, err)
			}
			if n := fake.Count(); n != c.attempts {
				t.Errorf("%s with %v: %d attempts, want %d (%v)", name, c.rule, n, c.attempts, err)
			}
		}
	}
}

// TestClockSkew works though this machine's clock is wrong.
func TestClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, 24 * time.Hour} {
		_, s := newStore(t, s3test.Options{Skew: skew}, nil)
		if err := put(t, s, "object", []byte("x"), true); err != nil {
			t.Errorf("server %v ahead: %v", skew, err)
		}
		wantObject(t, s, "object", []byte("x"))
	}
}

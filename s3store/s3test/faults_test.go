package s3test_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"hindsight/s3store/s3test"
)

// TestEffects breaks the same request in every way.
func TestEffects(t *testing.T) {
	const text = "0123456789"
	long := strings.Repeat(text, 200_000) // more than sockets hold
	// What of a reset a client sees first, while it is sending, is a matter of chance.
	reset := func(a answer) bool { return a.err != nil && a.status == 0 }
	stalled := func(a answer) bool {
		var timeout interface{ Timeout() bool }
		return errors.As(a.err, &timeout) && timeout.Timeout()
	}
	tests := []struct {
		name   string
		rule   s3test.Rule
		send   func(c *client) answer
		ok     func(a answer) bool
		stored bool // by a put
	}{
		{"SlowDown", s3test.SlowDown(s3test.PutObject, 1, 1), put("/b/new", text),
			func(a answer) bool { return a.status == 503 && strings.Contains(a.body, "<Code>SlowDown</Code>") }, false},
		{"TooMany", s3test.Rule{Match: "ne?", Status: 429, Code: "TooManyRequests"}, put("/b/new", text),
			func(a answer) bool { return a.status == 429 }, false},
		{"Lost", s3test.Rule{Effect: s3test.Lost, Status: 500, Code: "InternalError"}, put("/b/new", text),
			func(a answer) bool { return a.status == 500 && strings.Contains(a.body, "InternalError") }, true},
		{"ResetRequest", s3test.Rule{Effect: s3test.ResetRequest, At: 1000}, put("/b/new", long), reset, false},
		{"ResetRequestRandom", s3test.Rule{Effect: s3test.ResetRequest, At: s3test.Random}, put("/b/new", long), reset, false},
		{"ResetPutAnswer", s3test.Rule{Effect: s3test.ResetResponse}, put("/b/new", text),
			reset, true},
		{"ResetResponse", s3test.Rule{Effect: s3test.ResetResponse, At: 4}, get,
			func(a answer) bool { return errors.Is(a.err, syscall.ECONNRESET) && strings.HasPrefix(text, a.body) }, false},
		{"Truncate", s3test.Rule{Effect: s3test.Truncate, At: 4}, get,
			func(a answer) bool { return a.body == text[:4] && errors.Is(a.err, io.ErrUnexpectedEOF) }, false},
		{"Short", s3test.Rule{Effect: s3test.Short, At: 4}, get,
			func(a answer) bool { return a.body == text[:4] && a.err == nil }, false},
		{"StallRequest", s3test.Rule{Effect: s3test.StallRequest, At: 1000}, put("/b/new", long), stalled, false},
		{"StallResponse", s3test.Rule{Effect: s3test.StallResponse, At: 4}, get,
			func(a answer) bool { return stalled(a) && a.body == text[:4] }, false},
		{"StallPutAnswer", s3test.Rule{Effect: s3test.StallResponse}, put("/b/new", text), stalled, true},
		{"WrongETag", s3test.Rule{Effect: s3test.WrongETag}, put("/b/new", text),
			func(a answer) bool { return a.status == 200 && strings.Contains(a.header.Get("ETag"), "0000") }, true},
		{"Flip", s3test.Rule{Effect: s3test.Flip, At: 3}, get,
			func(a answer) bool { return a.body == "0122456789" }, false},
		{"Slow", s3test.Rule{Effect: s3test.Slow, At: 100}, get,
			func(a answer) bool { return a.body == text }, false},
		{"Wait", s3test.Rule{Effect: s3test.Wait, For: time.Hour}, get, stalled, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := s3test.NewFake(t, s3test.Options{Buckets: []string{"b"}})
			c := newClient(t, f.URL)
			c.send("PUT", "/b/object", text).want(t, 200, "")
			f.Break(1, tt.rule)
			if strings.HasPrefix(tt.name, "Stall") || tt.name == "Wait" {
				c.http.Timeout = 100 * time.Millisecond
			}
			begin := time.Now()
			if a := tt.send(c); !tt.ok(a) {
				t.Errorf("status %d, %v, body %.100q", a.status, a.err, a.body)
			}
			if took := time.Since(begin); tt.name == "Slow" && took < 90*time.Millisecond {
				t.Errorf("ten bytes took %v, want 100 ms", took)
			}
			f.AllFired(t)
			if keys := f.Keys(t, "b"); (len(keys) == 2) != tt.stored {
				t.Errorf("keys %q, want the new one: %v", keys, tt.stored)
			}
			c.http.Timeout = 0
			c.send("GET", "/b/object", "").want(t, 200, text) // once only
		})
	}
}

func put(path, body string) func(*client) answer {
	return func(c *client) answer { return c.send("PUT", path, body) }
}

func get(c *client) answer { return c.send("GET", "/b/object", "") }

// TestChance hits about as many requests as it says, the same for the same seed.
func TestChance(t *testing.T) {
	f := s3test.NewFake(t, s3test.Options{Buckets: []string{"b"}})
	c := newClient(t, f.URL)
	run := func() (hits string) {
		f.Break(7, s3test.Rule{Op: s3test.HeadObject, Nth: 1, Status: 500}, s3test.Rule{Chance: 0.3})
		c.send("HEAD", "/b/x", "").want(t, 500, "")
		for range 200 {
			hits += map[int]string{503: "x", 404: "."}[c.send("HEAD", "/b/x", "").status]
		}
		return hits
	}
	first := run()
	if n := strings.Count(first, "x"); n < 30 || n > 90 || f.Fired(1) < n {
		t.Errorf("%d of 200 are hit (%d counted), want about 60: %s", n, f.Fired(1), first)
	}
	if second := run(); second != first {
		t.Errorf("the same seed gives\n%s and\n%s", first, second)
	}
}

func TestStaysBelow(t *testing.T) {
	f := s3test.NewFake(t, s3test.Options{Buckets: []string{"b", "c"}})
	c := newClient(t, f.URL)
	for _, r := range []struct {
		method, path string
		below        bool
	}{
		{"GET", "/b?list-type=2&prefix=node/", true},
		{"GET", "/b?list-type=2&prefix=node/dup", true},
		{"GET", "/b?uploads&prefix=node/", true},
		{"PUT", "/b/node/x", true},
		{"DELETE", "/b/node/x", true},
		{"GET", "/b?list-type=2&prefix=node", false},
		{"GET", "/b?list-type=2", false},
		{"GET", "/b?prefix=node/", false}, // the old form
		{"GET", "/b?uploads", false},
		{"GET", "/b?location", false},
		{"GET", "/b?versioning", false},
		{"HEAD", "/b", false},
		{"GET", "/", false},
		{"GET", "/b/other/x", false},
		{"GET", "/b/node", false},
		{"GET", "/c/node/x", false},
		{"POST", "/b?delete", false},
	} {
		f.Recorder.Reset()
		c.send(r.method, r.path, "")
		told := &quiet{TB: t}
		f.StaysBelow(told, "b", "node/")
		if (told.errors == 0) != r.below {
			t.Errorf("%s %s: %d errors, below: %v", r.method, r.path, told.errors, r.below)
		}
	}
	f.Recorder.Reset()
	told := &quiet{TB: t}
	f.StaysBelow(told, "b", "node/")
	if told.errors != 1 {
		t.Error("an empty record passes")
	}
}

// quiet counts the errors of a test that is expected to fail.
type quiet struct {
	testing.TB
	errors int
}

func (q *quiet) Helper()               {}
func (q *quiet) Error(...any)          { q.errors++ }
func (q *quiet) Errorf(string, ...any) { q.errors++ }

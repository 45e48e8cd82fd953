package s3test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Request is what a Recorder has seen of one request.
type Request struct {
	Op     Op
	Method string
	Bucket string
	Key    string // of the object, as it is stored; empty for operations on the bucket
	Query  url.Values
	Header http.Header
	Status int // of the answer; 0 if there was none
}

// Prefix is what a listing asks for.
func (r Request) Prefix() string { return r.Query.Get("prefix") }

// String is "PutObject bucket/key: 200", or "ListObjectsV2 bucket prefix=x/: 200".
func (r Request) String() string {
	place := r.Bucket
	switch {
	case r.Key != "":
		place += "/" + r.Key
	case r.Query.Has("prefix"):
		place += " prefix=" + r.Prefix()
	}
	return fmt.Sprintf("%s %s: %d", r.Op, place, r.Status)
}

// outside says what is wrong with a request of a client that may see only what lies
// below prefix, which ends with a slash, in bucket; or "".
func (r Request) outside(bucket, prefix string) string {
	switch {
	case r.Op == HeadBucket, r.Op == GetBucketLocation, r.Op == ListBuckets, r.Op == CreateBucket:
		return "is never sent"
	case r.Bucket != bucket:
		return "goes to another bucket than " + bucket
	case r.Key != "" && !strings.HasPrefix(r.Key, prefix):
		return "goes to an object that is not below " + prefix
	case r.Key != "":
		if from := r.Header.Get("X-Amz-Copy-Source"); from != "" && !below(from, bucket+"/"+prefix) {
			return "copies from " + from
		}
		return ""
	case r.Op == ListObjectsV2, r.Op == ListMultipartUploads:
		if !strings.HasPrefix(r.Prefix(), prefix) {
			return "lists more than what is below " + prefix
		}
		return ""
	}
	return "asks for something about the whole bucket"
}

// below reports whether an escaped copy source lies below a place.
func below(source, place string) bool {
	plain, err := url.PathUnescape(source)
	return err == nil && strings.HasPrefix(strings.TrimPrefix(plain, "/"), place)
}

// Recorder is a record of requests, in the order in which they began. It is safe for
// concurrent use.
type Recorder struct {
	mu       sync.Mutex
	requests []*Request
}

// Requests returns a copy of the record, of those operations or of all if none is
// given.
func (rec *Recorder) Requests(ops ...Op) []Request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var all []Request
	for _, r := range rec.requests {
		if len(ops) == 0 || slices.Contains(ops, r.Op) {
			all = append(all, *r)
		}
	}
	return all
}

// Count is how many requests of those operations, or of all, there were.
func (rec *Recorder) Count(ops ...Op) int { return len(rec.Requests(ops...)) }

// Reset forgets all requests.
func (rec *Recorder) Reset() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.requests = nil
}

// StaysBelow fails the test unless all requests keep to the objects below prefix in
// bucket, as a client must whose credentials reach no further: no HeadBucket, no
// GetBucketLocation, no listing that does not begin with prefix, which must end with
// a slash. A record without a request fails too, as it shows nothing.
func (rec *Recorder) StaysBelow(t testing.TB, bucket, prefix string) {
	t.Helper()
	all := rec.Requests()
	if len(all) == 0 {
		t.Error("no request was recorded")
	}
	for _, r := range all {
		if wrong := r.outside(bucket, prefix); wrong != "" {
			t.Errorf("%s: %s", r, wrong)
		}
	}
}

// wrap records what comes to next.
func (rec *Recorder) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, bucket, key := operation(r)
		entry := &Request{
			Op: op, Method: r.Method, Bucket: bucket, Key: key, Query: r.URL.Query(), Header: r.Header.Clone(),
		}
		// The record is read by tests: no secret is in a signature, but it is of no use.
		entry.Header.Del("Authorization")
		rec.mu.Lock()
		rec.requests = append(rec.requests, entry)
		rec.mu.Unlock()
		next.ServeHTTP(&statusWriter{ResponseWriter: w, saw: func(status int) {
			rec.mu.Lock()
			defer rec.mu.Unlock()
			entry.Status = status
		}}, r)
	})
}

// statusWriter tells the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	saw  func(status int)
	told bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.told && status >= 200 {
		w.told = true
		w.saw(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if !w.told {
		w.told = true
		w.saw(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find what is within.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

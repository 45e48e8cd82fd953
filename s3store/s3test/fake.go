package s3test

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Conditional is what a server makes of If-None-Match on what puts an object.
type Conditional uint8

const (
	Honoured Conditional = iota // 412 if there is an object of that name
	Refused                     // 501
	Ignored                     // without a word, as by servers that do not know it
)

// Options say what kind of server a Fake is. The zero value is one like AWS, without
// a bucket.
type Options struct {
	Buckets     []string
	Conditional Conditional
	NoCopyPart  bool          // it has no UploadPartCopy: 501
	MinPart     int64         // bytes of a part that is not the last; 0: 5 MiB, as at AWS
	Skew        time.Duration // how far its clock is ahead; by 15 minutes it refuses requests
	Thaw        time.Duration // how long a RestoreObject takes
	TLS         bool          // https, with a certificate that CAFile gives
}

// Fake is an S3 server in this process that keeps everything in memory. It is behind
// a Front. It asks nobody for a key, and checks what a careful server does: digests of
// bodies, sizes of parts, dates, ETags. Bodies in chunks with a trailer (aws-chunked) it refuses,
// as many servers do.
//
// Buckets are in the path, or in the host's name below .s3.test.
type Fake struct {
	*Front
	opt     Options
	backend *s3mem.Backend
	inner   http.Handler

	mu      sync.Mutex // held while something changes
	etags   map[version]string
	classes map[object]string
	thaws   map[object]time.Time // when it can be read
	parts   map[string]map[int]int64
}

// object is a bucket and a key; version is one content of it, by its MD5.
type (
	object  struct{ bucket, key string }
	version struct {
		object
		md5 string
	}
)

const defaultMinPart = 5 << 20

// NewFake starts a server until the test ends.
func NewFake(t testing.TB, opt Options) *Fake {
	t.Helper()
	if opt.MinPart == 0 {
		opt.MinPart = defaultMinPart
	}
	f := &Fake{
		opt: opt, etags: make(map[version]string), classes: make(map[object]string), thaws: make(map[object]time.Time),
		parts: make(map[string]map[int]int64),
	}
	clock := clock{opt.Skew}
	f.backend = s3mem.New(s3mem.WithTimeSource(clock))
	f.inner = gofakes3.New(&backend{f.backend, f}, gofakes3.WithTimeSource(clock), gofakes3.WithTimeSkewLimit(15*time.Minute),
		gofakes3.WithoutVersioning()).Server()
	f.Front = serve(t, f, opt.TLS)
	for _, bucket := range opt.Buckets {
		if err := f.backend.CreateBucket(bucket); err != nil {
			t.Fatal(err)
		}
		f.prime(t, bucket)
	}
	return f
}

// prime makes and aborts an upload: without one in its life the server behind knows
// no list of uploads.
func (f *Fake) prime(t testing.TB, bucket string) {
	t.Helper()
	path := "/" + bucket + "/x"
	begun, aborted := httptest.NewRecorder(), httptest.NewRecorder()
	f.ServeHTTP(begun, httptest.NewRequest(http.MethodPost, path+"?uploads", nil))
	var answer gofakes3.InitiateMultipartUploadResult
	if err := xml.Unmarshal(begun.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	f.ServeHTTP(aborted, httptest.NewRequest(http.MethodDelete, path+"?uploadId="+string(answer.UploadID), nil))
	if aborted.Code/100 != 2 {
		t.Fatalf("abort an upload: %d %s", aborted.Code, aborted.Body)
	}
}

// Keys returns the keys of all objects in a bucket, sorted.
func (f *Fake) Keys(t testing.TB, bucket string) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(f.Sizes(t, bucket)))
}

// Sizes returns the sizes in bytes of all objects in a bucket, by key.
func (f *Fake) Sizes(t testing.TB, bucket string) map[string]int64 {
	t.Helper()
	list, err := f.backend.ListBucket(bucket, nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	sizes := make(map[string]int64)
	for _, c := range list.Contents {
		sizes[c.Key] = c.Size
	}
	return sizes
}

// Uploads is how many multipart uploads are unfinished.
func (f *Fake) Uploads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.parts)
}

// Freeze moves an object to a storage class, such as GLACIER.
func (f *Fake) Freeze(bucket, key, class string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.classes[object{bucket, key}] = class
	delete(f.thaws, object{bucket, key})
}

// FinishThaws ends all restores that are under way.
func (f *Fake) FinishThaws() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for o := range f.thaws {
		f.thaws[o] = time.Time{}
	}
}

// clock is ahead of the machine's.
type clock struct{ ahead time.Duration }

func (c clock) Now() time.Time                  { return time.Now().Add(c.ahead).UTC() }
func (c clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// backend adds to a listing what the memory behind does not know.
type backend struct {
	*s3mem.Backend
	f *Fake
}

// ListBucket is gofakes3.Backend's.
func (b *backend) ListBucket(name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	list, err := b.Backend.ListBucket(name, prefix, page)
	if err != nil {
		return nil, err
	}
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	for _, c := range list.Contents {
		o := object{name, c.Key}
		c.StorageClass = gofakes3.StorageClass(b.f.class(o))
		c.ETag = b.f.etag(o, c.ETag)
	}
	return list, nil
}

// class is the storage class of an object. The lock is held.
func (f *Fake) class(o object) string {
	if c := f.classes[o]; c != "" {
		return c
	}
	return "STANDARD"
}

// etag is the ETag of a content whose MD5, quoted, is sum: if it came in parts it is
// another. The lock is held.
func (f *Fake) etag(o object, sum string) string {
	if etag, ok := f.etags[version{o, strings.Trim(sum, `"`)}]; ok {
		return etag
	}
	return sum
}

// archived reports whether an object must be thawed before it is read, and what
// x-amz-restore says of it. The lock is held.
func (f *Fake) archived(o object) (frozen bool, restore string) {
	switch f.class(o) {
	case "GLACIER", "DEEP_ARCHIVE":
	default:
		return false, ""
	}
	ready, asked := f.thaws[o]
	switch {
	case !asked:
		return true, ""
	case time.Now().Before(ready):
		return true, `ongoing-request="true"`
	}
	return false, `ongoing-request="false", expiry-date="Fri, 23 Dec 2050 00:00:00 GMT"`
}

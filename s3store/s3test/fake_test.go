package s3test_test

import (
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hindsight/s3store/s3test"
)

// client sends plain requests to a server that asks for no signature.
type client struct {
	t    *testing.T
	url  string
	http *http.Client
}

func newClient(t *testing.T, url string) *client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t, url, &http.Client{Transport: transport}}
}

// answer is what a request came to. body is what there was of it.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of the connection
}

func (c *client) send(method, path, body string, header ...string) answer {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data), err}
}

// want ends the test unless the answer has that status, and says it in its body.
func (a answer) want(t *testing.T, status int, text string) answer {
	t.Helper()
	if a.err != nil || a.status != status || !strings.Contains(a.body, text) {
		t.Fatalf("status %d, %v, %q; want %d and %q", a.status, a.err, a.body, status, text)
	}
	return a
}

func tag(a answer, name string) string {
	_, rest, _ := strings.Cut(a.body, "<"+name+">")
	value, _, _ := strings.Cut(rest, "</")
	return strings.ReplaceAll(value, "&#34;", `"`)
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestFakeObjects(t *testing.T) {
	f := s3test.NewFake(t, s3test.Options{Buckets: []string{"b"}})
	c := newClient(t, f.URL)
	c.send("PUT", "/b/n/a%2Bb", "hello", "If-None-Match", "*").want(t, 200, "")
	c.send("PUT", "/b/n/a%2Bb", "other", "If-None-Match", "*").want(t, 412, "PreconditionFailed")
	got := c.send("GET", "/b/n/a%2Bb", "", "Range", "bytes=1-3").want(t, 206, "ell")
	etag := `"` + md5hex("hello") + `"`
	if got.header.Get("ETag") != etag {
		t.Errorf("ETag %s, want %s", got.header.Get("ETag"), etag)
	}
	c.send("GET", "/b/n/a%2Bb", "", "If-Match", etag).want(t, 200, "hello")
	c.send("GET", "/b/n/a%2Bb", "", "If-Match", `"0"`).want(t, 412, "PreconditionFailed")
	c.send("GET", "/b/n/a%2Bb", "", "Range", "bytes=5-9").want(t, 416, "InvalidRange")
	c.send("GET", "/b/n/none", "").want(t, 404, "NoSuchKey")
	sum := md5.Sum([]byte("not this"))
	c.send("PUT", "/b/n/x", "this", "Content-MD5", base64.StdEncoding.EncodeToString(sum[:])).want(t, 400, "BadDigest")
	c.send("PUT", "/b/n/x", "this", "X-Amz-Checksum-Crc32", "AAAAAA==").want(t, 400, "BadDigest")
	c.send("PUT", "/b/n/x", "this", "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER").want(t, 501, "NotImplemented")
	c.send("GET", "/b?list-type=2&prefix=n/", "").want(t, 200, "<Key>n/a+b</Key>").want(t, 200, "STANDARD")
	if keys := f.Keys(t, "b"); !slices.Equal(keys, []string{"n/a+b"}) {
		t.Errorf("keys %q", keys)
	}
	f.StaysBelow(t, "b", "n/")
	// As a client writes that puts the bucket into the host's name.
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.URL+"/n/a%2Bb", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "b.s3.test"
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); string(data) != "hello" {
		t.Errorf("by the host's name: %q, %v", data, err)
	}
}

func TestFakeMultipart(t *testing.T) {
	f := s3test.NewFake(t, s3test.Options{Buckets: []string{"b"}, MinPart: 4})
	c := newClient(t, f.URL)
	c.send("GET", "/b?uploads&prefix=n/", "").want(t, 200, "ListMultipartUploadsResult")
	c.send("PUT", "/b/n/src", "0123456789").want(t, 200, "")
	begin := func() string { return tag(c.send("POST", "/b/n/big?uploads", "").want(t, 200, ""), "UploadId") }
	complete := func(id string, etags ...string) answer {
		var xml strings.Builder
		for i, e := range etags {
			fmt.Fprintf(&xml, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, e)
		}
		return c.send("POST", "/b/n/big?uploadId="+id, "<CompleteMultipartUpload>"+xml.String()+"</CompleteMultipartUpload>", "If-None-Match", "*")
	}
	id := begin()
	one := c.send("PUT", "/b/n/big?partNumber=1&uploadId="+id, "abc").want(t, 200, "").header.Get("ETag")
	two := c.send("PUT", "/b/n/big?partNumber=2&uploadId="+id, "x").want(t, 200, "").header.Get("ETag")
	complete(id, one, two).want(t, 400, "EntityTooSmall")
	one = c.send("PUT", "/b/n/big?partNumber=1&uploadId="+id, "", "X-Amz-Copy-Source", "/b/n/src", "X-Amz-Copy-Source-Range", "bytes=2-5").
		want(t, 200, md5hex("2345")).header.Get("ETag")
	if n := f.Uploads(); n != 1 {
		t.Errorf("%d uploads, want 1", n)
	}
	complete(id, `"`+md5hex("2345")+`"`, two).want(t, 200, "")
	got := c.send("GET", "/b/n/big", "").want(t, 200, "2345x").header.Get("ETag")
	if listed := tag(c.send("GET", "/b?list-type=2&prefix=n/big", ""), "ETag"); !strings.HasSuffix(got, `-2"`) || listed != got {
		t.Errorf("ETag %s, listed %s (%s)", got, listed, one)
	}
	id = begin()
	two = c.send("PUT", "/b/n/big?partNumber=1&uploadId="+id, "xx").want(t, 200, "").header.Get("ETag")
	complete(id, two).want(t, 412, "PreconditionFailed")
	c.send("DELETE", "/b/n/big?uploadId="+id, "").want(t, 204, "")
	if n := f.Uploads(); n != 0 {
		t.Errorf("%d uploads, want none", n)
	}
}

func TestFakeKinds(t *testing.T) {
	refuses := newClient(t, s3test.NewFake(t, s3test.Options{Buckets: []string{"b"}, Conditional: s3test.Refused}).URL)
	refuses.send("PUT", "/b/x", "1", "If-None-Match", "*").want(t, 501, "NotImplemented")
	ignores := newClient(t, s3test.NewFake(t, s3test.Options{Buckets: []string{"b"}, Conditional: s3test.Ignored}).URL)
	ignores.send("PUT", "/b/x", "1", "If-None-Match", "*").want(t, 200, "")
	ignores.send("PUT", "/b/x", "2", "If-None-Match", "*").want(t, 200, "")
	fast := newClient(t, s3test.NewFake(t, s3test.Options{Buckets: []string{"b"}, Skew: time.Hour}).URL)
	now := time.Now().UTC()
	a := fast.send("PUT", "/b/x", "1", "X-Amz-Date", now.Format("20060102T150405Z")).want(t, 403, "RequestTimeTooSkewed")
	date, err := http.ParseTime(a.header.Get("Date"))
	if ahead := date.Sub(now); err != nil || ahead < 59*time.Minute || ahead > 61*time.Minute {
		t.Errorf("its date is %v ahead, %v", ahead, err)
	}
	fast.send("PUT", "/b/x", "1", "X-Amz-Date", date.Format("20060102T150405Z")).want(t, 200, "")
}

func TestFakeArchive(t *testing.T) {
	f := s3test.NewFake(t, s3test.Options{Buckets: []string{"b"}, Thaw: time.Hour})
	c := newClient(t, f.URL)
	c.send("PUT", "/b/cold", "ice", "X-Amz-Storage-Class", "GLACIER").want(t, 200, "")
	c.send("PUT", "/b/warm", "tea").want(t, 200, "")
	c.send("GET", "/b?list-type=2", "").want(t, 200, "<StorageClass>GLACIER</StorageClass>")
	c.send("GET", "/b/cold", "").want(t, 403, "InvalidObjectState")
	c.send("PUT", "/b/copy", "", "X-Amz-Copy-Source", "b/cold").want(t, 403, "InvalidObjectState")
	head := func(restore string) {
		t.Helper()
		h := c.send("HEAD", "/b/cold", "").want(t, 200, "").header
		if h.Get("X-Amz-Storage-Class") != "GLACIER" || h.Get("X-Amz-Restore") != restore {
			t.Errorf("class %q, restore %q; want GLACIER and %q", h.Get("X-Amz-Storage-Class"), h.Get("X-Amz-Restore"), restore)
		}
	}
	head("")
	c.send("POST", "/b/warm?restore", "").want(t, 403, "InvalidObjectState")
	c.send("POST", "/b/cold?restore", "").want(t, 202, "")
	c.send("POST", "/b/cold?restore", "").want(t, 409, "RestoreAlreadyInProgress")
	head(`ongoing-request="true"`)
	f.FinishThaws()
	head(`ongoing-request="false", expiry-date="Fri, 23 Dec 2050 00:00:00 GMT"`)
	c.send("GET", "/b/cold", "").want(t, 200, "ice")
	f.Freeze("b", "warm", "DEEP_ARCHIVE")
	c.send("GET", "/b/warm", "").want(t, 403, "InvalidObjectState")
	c.send("PUT", "/b/warm", "more").want(t, 200, "")
	c.send("GET", "/b/warm", "").want(t, 200, "more")
}

func TestFakeTLS(t *testing.T) {
	f := s3test.NewFake(t, s3test.Options{TLS: true})
	pem, err := os.ReadFile(f.CAFile(t))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c := newClient(t, f.URL)
	if a := c.send("GET", "/", ""); a.err == nil {
		t.Error("an unknown certificate is trusted")
	}
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	c.send("GET", "/", "").want(t, 200, "ListAllMyBucketsResult")
}

package s3store_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hindsight/chain/store"
	"hindsight/s3store"
	"hindsight/s3store/s3test"
)

// hint is what is said about what can be done.
func hint(err error) string {
	var e *s3store.Error
	if errors.As(err, &e) {
		return e.Hint()
	}
	return ""
}

// TestErrors gives each refusal of a server its kind, one line, and advice.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		status     int
		code       string
		kind       error
		text, hint string
	}{
		{403, "AccessDenied", store.ErrPermission, "permission denied: injected fault (AccessDenied)", "must allow s3:GetObject"},
		{403, "InvalidAccessKeyId", store.ErrPermission, "InvalidAccessKeyId", "access key"},
		{404, "XAdminUserNotFound", store.ErrPermission, "XAdminUserNotFound", "access key"},
		{403, "SignatureDoesNotMatch", store.ErrPermission, "SignatureDoesNotMatch", "secret key"},
		{403, "RequestTimeTooSkewed", store.ErrPermission, "RequestTimeTooSkewed", "clock"},
		{400, "ExpiredToken", store.ErrPermission, "ExpiredToken", "new credentials"},
		{403, "WhoKnows", store.ErrPermission, "WhoKnows", "policy"},
		{404, "NoSuchKey", store.ErrNotExist, "does not exist", ""},
		{404, "NoSuchBucket", store.ErrNotExist, "does not exist", "name of the bucket"},
		{403, "InvalidObjectState", store.ErrArchived, "archive class", ""},
		{400, "AuthorizationHeaderMalformed", store.ErrPermission, "AuthorizationHeaderMalformed", "--s3-region-name"},
		{301, "PermanentRedirect", nil, "PermanentRedirect", "--s3-region-name"},
		{507, "Whatever", store.ErrNoSpace, "no space left", ""},
		{403, "QuotaExceeded", store.ErrNoSpace, "no space left", ""},
		{400, "Strange", nil, "injected fault (Strange)", ""},
		{400, "a b\n<i>", nil, "HTTP status 400, bad request", ""},
	} {
		fake, s := newStore(t, s3test.Options{}, func(c *s3store.Config) { c.Retries = 1 })
		fake.Break(1, s3test.Rule{Op: s3test.GetObject, Times: -1, Status: c.status, Code: strings.ReplaceAll(c.code, "<", "&lt;")})
		_, err := s.Get(t.Context(), "object", 0, -1)
		if err == nil {
			t.Errorf("%s: no error", c.code)
			continue
		}
		for _, kind := range []error{store.ErrPermission, store.ErrNotExist, store.ErrExist, store.ErrNoSpace, store.ErrArchived} {
			if errors.Is(err, kind) != (kind == c.kind) {
				t.Errorf("%s: error %v is of kind %v: %v", c.code, err, kind, errors.Is(err, kind))
			}
		}
		if text := err.Error(); !strings.HasPrefix(text, "get object: ") || !strings.Contains(text, c.text) || strings.ContainsAny(text, "\n\r") ||
			strings.Contains(text, s3test.Root.Secret) {
			t.Errorf("%s: error %q, want one line with %q", c.code, text, c.text)
		}
		if got := hint(err); !strings.Contains(got, c.hint) || c.hint == "" && got != "" {
			t.Errorf("%s: advice %q, want %q", c.code, got, c.hint)
		}
	}
}

// TestNestedEndpoint names the likely slip where a list finds a key missing: an endpoint
// that has the bucket in it.
func TestNestedEndpoint(t *testing.T) {
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{bucket}})
	fake.Break(1, s3test.Rule{Op: s3test.ListObjectsV2, Times: -1, Status: 404, Code: "NoSuchKey"})
	s := open(t, config(fake.URL, "node"))
	defer s.Close()
	for _, err := range s.List(t.Context(), "") {
		if !errors.Is(err, store.ErrNotExist) || !strings.Contains(hint(err), "--s3-endpoint-url") {
			t.Errorf("error %v, advice %q", err, hint(err))
		}
	}
	if fake.Count(s3test.ListObjectsV2) != 1 {
		t.Errorf("%d lists", fake.Count(s3test.ListObjectsV2))
	}
}

// TestHostileMessage shows of a server's text one line of bounded length.
func TestHostileMessage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "<Error><Code>Odd</Code><Message>a\nb\x1b[31m&#27;%s</Message></Error>", strings.Repeat("ü", 10000))
	}))
	defer server.Close()
	s := open(t, config(server.URL, "node"))
	defer s.Close()
	err := s.Delete(t.Context(), "object")
	if err == nil || len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("error %q", err)
	}
}

// TestUnreachable says what is wrong on the way to a server.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	plain := s3test.NewFake(t, s3test.Options{Buckets: []string{bucket}})
	secure := s3test.NewFake(t, s3test.Options{Buckets: []string{bucket}, TLS: true})
	for name, c := range map[string]struct{ url, text, hint string }{
		"nobody":     {"http://" + free, "cannot connect to " + free + ": connection refused", "--s3-endpoint-url"},
		"no TLS":     {strings.Replace(plain.URL, "http:", "https:", 1), "plain HTTP", "http://"},
		"unknown CA": {secure.URL, "unknown authority", "--ssl-cacert-file"},
		"no name":    {"http://no-such-host.invalid", "no-such-host.invalid", "--s3-endpoint-url"},
	} {
		conf := config(c.url, "node")
		conf.Retries = 2
		s := open(t, conf)
		err := s.Delete(t.Context(), "object")
		if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(hint(err), c.hint) {
			t.Errorf("%s: error %v, advice %q; want %q and %q", name, err, hint(err), c.text, c.hint)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := secure.Count(); n != 0 {
		t.Errorf("%d requests were sent without trust", n)
	}
}

func TestNoCredentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	s := open(t, config("http://127.0.0.1:1", "node"))
	defer s.Close()
	began := time.Now()
	err := s.Delete(t.Context(), "object")
	if !errors.Is(err, store.ErrPermission) || !strings.Contains(err.Error(), "no credentials") || !strings.Contains(hint(err), "AWS_ACCESS_KEY_ID") {
		t.Errorf("error %v, advice %q", err, hint(err))
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestRefusedCredentials makes sure that what a place of credentials answers is never taken
// for an answer of the store: an object would be missing that is there.
func TestRefusedCredentials(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		where  string
		status int
		body   string
		want   string
	}{
		{"an instance without a role", 404, "<html>none</html>", "no credentials: "},
		{"an instance that may not ask", 403, "", "no credentials: "},
		{"a web identity", 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform it</Message></Error></ErrorResponse>",
			"no credentials: not authorized to perform it"},
		{"a web identity", 404, "<ErrorResponse><Error><Code>NoSuchKey</Code><Message>None here</Message></Error></ErrorResponse>", "no credentials: none here"},
	} {
		asked := atomic.Int64{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT"} {
			t.Setenv(name, "")
		}
		t.Setenv("AWS_CONFIG_FILE", os.DevNull)
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
		if strings.HasPrefix(c.where, "a web") {
			t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/node")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
			t.Setenv("AWS_ENDPOINT_URL_STS", server.URL)
		} else {
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
		}
		s := open(t, config("http://127.0.0.1:1", "node"))
		_, err := s.Get(t.Context(), "object", 0, -1)
		for _, err := range []error{err, s.Delete(t.Context(), "object"), s.Put(t.Context(), "object", store.Bytes(nil), store.PutOptions{IfAbsent: true})} {
			if !errors.Is(err, store.ErrPermission) || errors.Is(err, store.ErrNotExist) || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(hint(err), "AWS_ACCESS_KEY_ID") {
				t.Errorf("%s, status %d: error %v, advice %q", c.where, c.status, err, hint(err))
			}
		}
		if asked.Load() == 0 {
			t.Errorf("%s: nobody was asked", c.where)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

// TestKeys prefers credentials that are given to those of the environment.
func TestKeys(t *testing.T) {
	gateway := s3test.NewGateway(t, bucket)
	for secret, want := range map[string]error{s3test.Root.Secret: nil, "wrong": store.ErrPermission} {
		c := config(gateway.URL, "node")
		c.Keys = &s3store.Keys{ID: s3test.Root.Access, Secret: secret}
		t.Setenv("AWS_SECRET_ACCESS_KEY", "of the environment")
		s := open(t, c)
		if err := s.Delete(t.Context(), "object"); !errors.Is(err, want) {
			t.Errorf("secret %q: error %v, want %v", secret, err, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestConfigRefused refuses what cannot work before anything is sent.
func TestConfigRefused(t *testing.T) {
	for name, change := range map[string]func(*s3store.Config){
		"bucket":     func(c *s3store.Config) { c.Bucket = "a/b" },
		"no bucket":  func(c *s3store.Config) { c.Bucket = "" },
		"endpoint":   func(c *s3store.Config) { c.Endpoint = "host:9000" },
		"user":       func(c *s3store.Config) { c.Endpoint = "https://me:sesame@host" },
		"style":      func(c *s3store.Config) { c.Style = "odd" },
		"encryption": func(c *s3store.Config) { c.Encryption = "rot13" },
		"key":        func(c *s3store.Config) { c.KMSKey = "1234" },
		"retries":    func(c *s3store.Config) { c.Retries = -1 },
		"parts":      func(c *s3store.Config) { c.Parts = 1000 },
		"prefix":     func(c *s3store.Config) { c.Prefix = strings.Repeat("p", 1000) },
		"CA":         func(c *s3store.Config) { c.CAFile = "/dev/null" },
		"no CA":      func(c *s3store.Config) { c.CAFile = "/missing" },
	} {
		c := config("http://127.0.0.1:1", "node")
		change(&c)
		s, err := s3store.Open(t.Context(), c)
		if err == nil || s != nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

package main

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for arg, want := range map[string]place{
		"/srv/b": {dir: "/srv/b"}, "rel": {dir: "rel"}, "file:///srv/b": {dir: "/srv/b"}, "file://rel/x": {dir: "rel/x"},
		"file:///a%20b": {dir: "/a b"}, "/a%20b": {dir: "/a%20b"}, "./host:dir": {dir: "./host:dir"}, "dir/a:b": {dir: "dir/a:b"},
		"s3://b/p": {bucket: "b", prefix: "p"}, "s3:///b/p": {bucket: "b", prefix: "p"}, "boto3+s3://b/p": {bucket: "b", prefix: "p"},
		"S3://B/p": {bucket: "B", prefix: "p"}, "FILE:///srv/B": {dir: "/srv/B"}, "./s3//b": {dir: "./s3//b"}, "s3/b": {dir: "s3/b"},
		"s3://b": {bucket: "b"}, "s3://b/": {bucket: "b"}, "s3:////b//p///q/": {bucket: "b", prefix: "p/q"},
		"s3://b/a%20b": {bucket: "b", prefix: "a b"}, "s3://backups.example.com/p": {bucket: "backups.example.com", prefix: "p"},
	} {
		if p, err := parseURL(arg); err != nil || p != want {
			t.Errorf("URL %q is %+v, %v; want %+v", arg, p, err, want)
		}
	}
	for arg, want := range map[string]string{
		"": "no directory", "file://": "no directory", "file:///a%zz": "invalid URL escape", "file:///a%00": "no directory",
		"sftp://u@h/d": "no kind", "host:dir": "unknown kind", "s3:b": "s3://BUCKET/PREFIX",
		"s3://": "no bucket", "s3:///": "no bucket", "s3://b/../c": `a part ".."`, "s3://b/a%2F..": `a part ".."`, "s3://b/%zz": "cannot be decoded",
		"s3://b/%00":                   "cannot be decoded",
		"s3//b/p":                      `write "s3://b/p", or "./s3//b/p" if a directory`,
		"file//srv/b":                  `write "file://srv/b"`,
		"s3//AKIAKEY:sesame@bucket/p":  `write "s3://bucket/p"`,
		"s3://localhost/b":             "--s3-endpoint-url https://localhost s3://b",
		"s3://h:9000/b/p":              "--s3-endpoint-url https://h:9000 s3://b/p",
		"s3://10.0.0.1/b":              "--s3-endpoint-url",
		"s3://s3.amazonaws.com/b/p":    "--s3-endpoint-url",
		"s3+http://b/p":                "s3://BUCKET/PREFIX",
		"s3://AKIAKEY:sesame@bucket/p": "AWS_ACCESS_KEY_ID",
	} {
		p, err := parseURL(arg)
		if err == nil {
			t.Errorf("URL %q is accepted as %+v", arg, p)
			continue
		}
		if code, _ := judge(err); code != exitUsage {
			t.Errorf("URL %q: exit code %d", arg, code)
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("URL %q: error %q, want one with %q", arg, err, want)
		}
	}
	if _, err := parseURL("sftp://me:sesame@h/d"); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("the error for a URL with a password is %v", err)
	}
}

// TestCacheDir makes sure that a repository has one cache however its URL is
// written, and that different ones have different caches.
func TestCacheDir(t *testing.T) {
	dir := func(url string, change func(*common)) string {
		j := &job{env: newWorld(t).env, opt: &common{cacheDir: "/cache"}}
		if change != nil {
			change(j.opt)
		}
		p, err := parseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		cache, err := j.cacheDir(p)
		if err != nil {
			t.Fatal(err)
		}
		return cache
	}
	base := dir("file:///srv/b", nil)
	if want := "/cache/8356406298d158b94a68ec4c715d3874"; base != want {
		t.Errorf("cache of file:///srv/b is %s, want the MD5 of the URL", base)
	}
	at := func(endpoint string) func(*common) { return func(o *common) { o.s3.endpoint = endpoint } }
	for _, same := range []struct {
		a, b string
		with [2]func(*common)
	}{
		{a: "/srv/b", b: "file:///srv/b"}, {a: "file:///srv/b/", b: "file:///srv/b"}, {a: "file://x", b: "x"},
		{a: "s3://b/p", b: "s3:///b/p/"}, {a: "s3://b/p", b: "boto3+s3://b//p"},
		{"s3://b/p", "s3://b/p", [2]func(*common){at("https://h"), at("https://H:443/")}},
	} {
		if a, b := dir(same.a, same.with[0]), dir(same.b, same.with[1]); a != b {
			t.Errorf("caches of %q and %q are %s and %s", same.a, same.b, a, b)
		}
	}
	seen := map[string]string{base: "file:///srv/b"}
	for what, cache := range map[string]string{
		"a relative path": dir("x", nil), "a file prefix": dir("/srv/b", func(o *common) { o.scheme.Prefix = "p" }),
		"a bucket": dir("s3://srv", nil), "a prefix": dir("s3://srv/b", nil), "another server": dir("s3://srv/b", at("https://h")),
		"another port": dir("s3://srv/b", at("https://h:9")),
	} {
		if other, ok := seen[cache]; ok {
			t.Errorf("%s has the cache of %s", what, other)
		}
		seen[cache] = what
	}
	if got := dir("/srv/b", func(o *common) { o.name = "n" }); got != "/cache/n" {
		t.Errorf("cache with a name is %s", got)
	}
}

// TestEndpoint refuses what is no URL of a server, wherever it was given, and shows no
// password that is in it.
func TestEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://h": "", "http://h:9000": "", "https://h/gateway": "",
		"h:9000": "such as https://h:9000", "h": "such as https://h", "ftp://h": "want http://HOST", "https://": "want http://HOST",
		"https://me:sesame@h": "AWS_SECRET_ACCESS_KEY", "https://h:9o": "want http://HOST",
	} {
		for _, where := range []string{"--s3-endpoint-url", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
			err := checkEndpoint(where, endpoint)
			if where != "--s3-endpoint-url" {
				j := &job{env: newWorld(t).env, opt: &common{cacheDir: "/cache"}}
				j.env.Lookup = func(name string) (string, bool) { return endpoint, name == where }
				_, err = j.openS3(place{bucket: "bucket"})
				if _, cerr := j.cacheDir(place{bucket: "bucket"}); (cerr == nil) != (err == nil) {
					t.Errorf("%s=%s: store %v, cache %v", where, endpoint, err, cerr)
				}
				if _, err := j.cacheDir(place{dir: "/srv"}); err != nil {
					t.Errorf("%s=%s: a directory is refused: %v", where, endpoint, err)
				}
			}
			if want == "" && err == nil {
				continue
			}
			if err == nil || want == "" || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), where) || strings.Contains(err.Error(), "sesame") {
				t.Errorf("%s %q: error %v, want one with %q", where, endpoint, err, want)
			}
			if code, _ := judge(err); err != nil && code != exitUsage {
				t.Errorf("%s %q: exit code %d", where, endpoint, code)
			}
		}
	}
}

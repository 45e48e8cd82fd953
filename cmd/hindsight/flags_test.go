package main

import (
	"math"
	"strconv"
	"testing"
)

func TestSize(t *testing.T) {
	for arg, want := range map[string]int64{
		"0": 0, "1024": 1024, "5K": 5 << 10, "256M": 256 << 20, "256MB": 256 << 20, "256mib": 256 << 20, "1g": 1 << 30, "2T": 2 << 40,
		"8388607T": 8388607 << 40, strconv.Itoa(math.MaxInt64): math.MaxInt64,
	} {
		var s size
		if err := s.Set(arg); err != nil || int64(s) != want {
			t.Errorf("size %q is %d, %v; want %d", arg, s, err, want)
		}
	}
	for _, arg := range []string{"", "M", "-1M", "1.5G", "5X", "8388608T", "9223372036854775808", "1 M"} {
		var s size
		if err := s.Set(arg); err == nil {
			t.Errorf("size %q is accepted as %d", arg, s)
		}
	}
}

func TestVerbosity(t *testing.T) {
	for arg, want := range map[string]verbosity{"0": 0, "9": 9, "n": levelNotice, "Info": levelInfo, "debug": levelDebug, "w": levelWarning} {
		var v verbosity
		if err := v.Set(arg); err != nil || v != want {
			t.Errorf("verbosity %q is %d, %v; want %d", arg, v, err, want)
		}
	}
	for _, arg := range []string{"", "10", "-1", "loud"} {
		var v verbosity
		if err := v.Set(arg); err == nil {
			t.Errorf("verbosity %q is accepted", arg)
		}
	}
}

func TestParseURL(t *testing.T) {
	for arg, want := range map[string]string{
		"/srv/b": "/srv/b", "rel": "rel", "file:///srv/b": "/srv/b", "file://rel/x": "rel/x", "file:///a%20b": "/a b", "/a%20b": "/a%20b",
		"./host:dir": "./host:dir", "dir/a:b": "dir/a:b",
	} {
		if dir, err := parseURL(arg); err != nil || dir != want {
			t.Errorf("URL %q is %q, %v; want %q", arg, dir, err, want)
		}
	}
	for _, arg := range []string{"", "file://", "s3://b/p", "boto3+s3://b/p", "S3://b", "file:///a%zz", "file:///a%00", "sftp://u@h/d", "host:dir", "s3:b"} {
		if dir, err := parseURL(arg); err == nil {
			t.Errorf("URL %q is accepted as %q", arg, dir)
		} else if code, _ := judge(err); code != exitUsage {
			t.Errorf("URL %q: exit code %d", arg, code)
		}
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
		path, err := parseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		cache, err := j.cacheDir(url, path)
		if err != nil {
			t.Fatal(err)
		}
		return cache
	}
	base := dir("file:///srv/b", nil)
	if want := "/cache/8356406298d158b94a68ec4c715d3874"; base != want {
		t.Errorf("cache of file:///srv/b is %s, want the MD5 of the URL", base)
	}
	if got := dir("/srv/b", nil); got != base {
		t.Errorf("cache of the bare path is %s, want %s", got, base)
	}
	if rel, abs := dir("file://x", nil), dir("x", nil); rel != abs || rel == base {
		t.Errorf("caches of a relative path are %s and %s", rel, abs)
	}
	if got := dir("/srv/b", func(o *common) { o.scheme.Prefix = "p" }); got == base {
		t.Error("a repository with a prefix has the cache of the one without")
	}
	if got := dir("/srv/b", func(o *common) { o.name = "n" }); got != "/cache/n" {
		t.Errorf("cache with a name is %s", got)
	}
}

package main

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// place is where a URL leads: a directory, or a prefix of an S3 bucket.
type place struct {
	dir            string // "": a bucket
	bucket, prefix string // the prefix without slashes at its ends
}

// isS3 reports whether the place is a bucket.
func (p place) isS3() bool { return p.bucket != "" }

// String is the place as a URL, or as the path of a directory.
func (p place) String() string {
	switch {
	case !p.isS3():
		return p.dir
	case p.prefix == "":
		return "s3://" + p.bucket
	}
	return "s3://" + p.bucket + "/" + p.prefix
}

// location names the place for the cache: the same however its URL was written.
func (p place) location(endpoint string) (string, error) {
	if !p.isS3() {
		abs, err := filepath.Abs(p.dir)
		return "file://" + abs, err
	}
	if endpoint == "" {
		return p.String(), nil
	}
	u, err := url.Parse(strings.ToLower(endpoint))
	if err != nil {
		return "", err // checkEndpoint has parsed it
	}
	host := u.Host
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return p.String() + "\x00" + host + strings.TrimRight(u.Path, "/"), nil
}

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// remoteLike is a bare argument that looks like a place elsewhere: s3:bucket, or
// host:path.
var remoteLike = regexp.MustCompile(`^[^/:]+:`)

// noColon is a bare argument that is a URL but for a slip.
var noColon = regexp.MustCompile(`^(?i:file|s3|boto3\+s3)//`)

// hasScheme reports whether an argument is written as a URL.
func hasScheme(arg string) bool { return scheme.MatchString(arg) }

// parseURL is the place that a URL means. As in duplicity, file:// is followed by an
// absolute or relative path in which %XX stands for a byte.
func parseURL(arg string) (place, error) {
	name := strings.ToLower(strings.TrimSuffix(scheme.FindString(arg), "://"))
	dir := arg
	switch {
	case name == "file":
		var err error
		if dir, err = url.PathUnescape(arg[len("file://"):]); err != nil {
			return place{}, usagef("URL %q: %w", arg, err)
		}
	case name == "s3", name == "boto3+s3":
		return parseS3(arg, arg[len(name)+len("://"):])
	case strings.HasSuffix(name, "s3+http"), strings.HasSuffix(name, "s3+https"), name == "boto+s3":
		return place{}, usagef("URLs of the kind %s:// are out of use: write s3://BUCKET/PREFIX, and give a server that is not of AWS by --s3-endpoint-url", name)
	case name != "":
		return place{}, usagef("URL %q: want file://, s3:// or a bare path; %s is of no kind that hindsight reads", hideUser(arg), name)
	case noColon.MatchString(arg):
		kind, rest, _ := strings.Cut(arg, "//")
		return place{}, usagef("URL %q has no colon; write %q, or %q if a directory is meant", hideUser(arg), kind+"://"+hideUser(rest), "./"+hideUser(arg))
	case remoteLike.MatchString(arg):
		kind, _, _ := strings.Cut(arg, ":")
		if strings.Contains(arg, "@") { // what stands before it may be a password
			return place{}, usagef("URL %q is of an unknown kind; write s3://BUCKET/PREFIX for a bucket, or ./ before the name of a directory", hideUser(arg))
		}
		return place{}, usagef("URL %q is of an unknown kind, %q; write s3://BUCKET/PREFIX for a bucket, or %q if a directory is meant", arg, kind, "./"+arg)
	}
	if dir == "" || strings.ContainsRune(dir, 0) {
		return place{}, usagef("URL %q names no directory", arg)
	}
	return place{dir: dir}, nil
}

// hideUser leaves out of what may be a URL what may be a password.
func hideUser(arg string) string {
	head := scheme.FindString(arg)
	rest := arg[len(head):]
	if i := strings.LastIndex(rest, "@"); i >= 0 && (head != "" || strings.Contains(rest[:i], ":")) {
		rest = rest[i+1:]
	}
	return head + rest
}

// parseS3 reads what follows s3://. As in duplicity empty parts are dropped, the first
// is the bucket and the others are the prefix (duplicity-format.md §9.1).
func parseS3(arg, rest string) (place, error) {
	if strings.Contains(rest, "@") {
		return place{}, usagef("the URL has a user or key in it: credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, " +
			"a profile (AWS_PROFILE) or a role; write s3://BUCKET/PREFIX")
	}
	path, err := url.PathUnescape(rest)
	if err != nil || strings.ContainsRune(path, 0) {
		return place{}, usagef("URL %q: cannot be decoded", arg)
	}
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return place{}, usagef("URL %q names no bucket: write s3://BUCKET/PREFIX", arg)
	}
	for _, part := range parts[1:] {
		if part == "." || part == ".." {
			return place{}, usagef("URL %q: the prefix must not have a part %q, which servers read differently", arg, part)
		}
	}
	p := place{bucket: parts[0], prefix: strings.Join(parts[1:], "/")}
	if isServer(p.bucket) {
		bucket := "BUCKET"
		if len(parts) > 1 {
			bucket = strings.Join(parts[1:], "/")
		}
		return place{}, usagef("URL %q has a server in the place of the bucket: write --s3-endpoint-url https://%s s3://%s", arg, p.bucket, bucket)
	}
	return p, nil
}

// isServer reports whether what stands for a bucket can only be a server: one with a
// port, an address, or a host of AWS.
func isServer(bucket string) bool {
	host := strings.ToLower(bucket)
	_, err := netip.ParseAddr(host)
	return err == nil || strings.Contains(host, ":") || host == "localhost" || strings.HasSuffix(host, ".amazonaws.com")
}

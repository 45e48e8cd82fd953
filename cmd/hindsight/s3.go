package main

import (
	"context"
	"math"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/s3store"
)

// s3Options say how to get at a bucket, by duplicity's names (duplicity-format.md
// §9.1). They are of no effect on a directory.
type s3Options struct {
	endpoint, region, style, caFile string
	plainHTTP                       bool

	classes     map[string]*bool // by the storage class
	sse, sseKMS bool
	kmsKey      string
	kmsGrant    string

	retries uint
	timeout float64 // seconds
	parts   uint
}

// storageClasses are duplicity's options for them.
var storageClasses = []struct{ flag, class string }{
	{"s3-use-rrs", "REDUCED_REDUNDANCY"}, {"s3-use-ia", "STANDARD_IA"}, {"s3-use-onezone-ia", "ONEZONE_IA"},
	{"s3-use-glacier-ir", "GLACIER_IR"}, {"s3-use-glacier", "GLACIER"}, {"s3-use-deep-archive", "DEEP_ARCHIVE"},
}

// archiveClasses are those in which only volumes are kept: everything else is read by
// the next backup.
var archiveClasses = map[string]bool{"GLACIER": true, "GLACIER_IR": true, "DEEP_ARCHIVE": true}

func (o *s3Options) addFlags(fs *pflag.FlagSet, writes bool) {
	fs.StringVar(&o.endpoint, "s3-endpoint-url", "", "`URL` of the S3 server (default: AWS_ENDPOINT_URL_S3 of the environment, or AWS)")
	fs.StringVar(&o.region, "s3-region-name", "", "`REGION` of the bucket (default: AWS_REGION of the environment, or us-east-1)")
	fs.StringVar(&o.style, "s3-addressing-style", "auto", "where the bucket stands in requests: path, virtual (the host's name), or auto: path with an endpoint (`STYLE`)")
	fs.BoolVar(&o.plainHTTP, "s3-unencrypted-connection", false, "speak plain HTTP to AWS")
	fs.StringVar(&o.caFile, "ssl-cacert-file", "", "trust the certificates in `FILE` too")
	fs.UintVar(&o.retries, "num-retries", 5, "attempt a request to S3 `N` times")
	fs.Float64Var(&o.timeout, "timeout", 30, "break a request to S3 off if nothing moves for `SECONDS`")
	o.classes = make(map[string]*bool)
	for _, c := range storageClasses {
		o.classes[c.class] = fs.Bool(c.flag, false, "keep volumes in class "+c.class)
	}
	fs.BoolVar(&o.sse, "s3-use-server-side-encryption", false, "have the server encrypt with its own key")
	fs.BoolVar(&o.sseKMS, "s3-use-server-side-kms-encryption", false, "have the server encrypt with a key of KMS")
	fs.StringVar(&o.kmsKey, "s3-kms-key-id", "", "`ID` of the key of KMS")
	fs.StringVar(&o.kmsGrant, "s3-kms-grant", "", "give `GRANTEE` full control of new objects")
	fs.UintVar(&o.parts, "s3-multipart-max-procs", 3, "upload `N` parts at once")
	const noEffect = "accepted for duplicity's sake; no effect"
	fs.Uint("s3-multipart-chunk-size", 20, noEffect+": parts have 16 `MB`")
	fs.Float64("backend-retry-delay", 30, noEffect+" (`SECONDS`)")
	fs.Float64("s3-multipart-max-timeout", 0, noEffect)
	fs.Bool("s3-european-buckets", false, noEffect)
	fs.Bool("s3-use-new-style", false, noEffect)
	fs.Bool("s3-use-multiprocessing", false, noEffect)
	hide(fs, "backend-retry-delay", "s3-multipart-max-timeout", "s3-european-buckets", "s3-use-new-style", "s3-use-multiprocessing")
	if !writes {
		hide(fs, "s3-use-server-side-encryption", "s3-use-server-side-kms-encryption", "s3-kms-key-id", "s3-kms-grant",
			"s3-multipart-max-procs", "s3-multipart-chunk-size")
		for _, c := range storageClasses {
			hide(fs, c.flag)
		}
	}
}

const (
	maxRetries = 1000
	maxTimeout = 24 * 60 * 60 // seconds
	maxUploads = 64           // each holds a part of 16 MiB
)

func (o *s3Options) check() error {
	switch {
	case o.retries < 1 || o.retries > maxRetries:
		return usagef("--num-retries %d: want 1 to %d", o.retries, maxRetries)
	case !(o.timeout > 0 && o.timeout <= maxTimeout):
		return usagef("--timeout %v: want more than 0 and at most %d seconds", o.timeout, maxTimeout)
	case o.parts < 1 || o.parts > maxUploads:
		return usagef("--s3-multipart-max-procs %d: want 1 to %d", o.parts, maxUploads)
	case o.sse && o.sseKMS:
		return usagef("--s3-use-server-side-encryption and --s3-use-server-side-kms-encryption contradict each other: give one of them")
	case o.kmsKey != "" && !o.sseKMS:
		return usagef("--s3-kms-key-id is of use only with --s3-use-server-side-kms-encryption")
	}
	if err := checkEndpoint("--s3-endpoint-url", o.endpoint); err != nil {
		return err
	}
	if o.caFile != "" {
		if _, err := os.Stat(o.caFile); err != nil {
			return usagef("--ssl-cacert-file: %w", err)
		}
	}
	_, err := o.class()
	return err
}

// checkEndpoint refuses what is no URL of a server; where says who gave it. Empty is none.
func checkEndpoint(where, endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case strings.Contains(endpoint, "@"):
		return usagef("%s has a user or a key in it: credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role", where)
	case !hasScheme(endpoint):
		return usagef("%s %q: want a URL with its scheme, such as https://%s", where, endpoint, endpoint)
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return usagef("%s %q: want http://HOST or https://HOST", where, endpoint)
	}
	return nil
}

// class is the storage class that was asked for, "" for the bucket's own.
func (o *s3Options) class() (string, error) {
	class, flag := "", ""
	for _, c := range storageClasses {
		if on := o.classes[c.class]; on == nil || !*on {
			continue
		}
		if class != "" {
			return "", usagef("--%s and --%s contradict each other: give one of them", flag, c.flag)
		}
		class, flag = c.class, c.flag
	}
	return class, nil
}

// classOf gives each object its class: everything but volumes stays out of the archive
// classes.
func classOf(class string, names naming.Scheme) func(string) string {
	return func(name string) string {
		if n, ok := names.Parse(name); archiveClasses[class] && (!ok || n.Kind != naming.Volume) {
			return "STANDARD"
		}
		return class
	}
}

// oursBy tells the names of a repository's objects, and those that doctor puts, from
// other names below the prefix.
func oursBy(names naming.Scheme) func(string) bool {
	return func(name string) bool {
		_, ok := names.Parse(name)
		return ok || strings.HasPrefix(name, s3store.ProbePrefix)
	}
}

// endpoint is where the bucket's server is, "" at AWS.
func (j *job) endpoint() (string, error) {
	if j.opt.s3.endpoint != "" {
		return j.opt.s3.endpoint, nil // check has seen it
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if v := j.env.get(name); v != "" {
			return v, checkEndpoint(name, v)
		}
	}
	return "", nil
}

// awsKeys are the credentials of the environment, out of which secrets are taken at the
// start; nil if it has none, and the other places of AWS are to be looked into.
func (j *job) awsKeys() *s3store.Keys {
	k := &s3store.Keys{ID: j.env.get("AWS_ACCESS_KEY_ID"), Secret: j.env.get("AWS_SECRET_ACCESS_KEY"), Token: j.env.get("AWS_SESSION_TOKEN")}
	if k.ID == "" || k.Secret == "" {
		return nil
	}
	return k
}

// s3Config is how the options say to get at a bucket.
func (j *job) s3Config(p place) (s3store.Config, error) {
	o := &j.opt.s3
	class, err := o.class()
	if err != nil {
		return s3store.Config{}, err
	}
	c := s3store.Config{
		Bucket: p.bucket, Prefix: p.prefix, Endpoint: o.endpoint, Region: o.region, Style: s3store.Style(o.style),
		PlainHTTP: o.plainHTTP, CAFile: o.caFile, Class: classOf(class, j.opt.scheme), Ours: oursBy(j.opt.scheme), KMSKey: o.kmsKey, Grant: o.kmsGrant,
		Retries: int(o.retries), Timeout: time.Duration(math.Ceil(o.timeout * float64(time.Second))), Parts: int(o.parts),
		Keys: j.awsKeys(), Log: j.console.logger(), Now: j.env.Now,
	}
	switch {
	case o.sse:
		c.Encryption = s3store.EncryptS3
	case o.sseKMS:
		c.Encryption = s3store.EncryptKMS
	}
	return c, nil
}

// openS3 opens a bucket. Nothing is sent by it.
func (j *job) openS3(p place) (*s3store.Store, error) {
	if _, err := j.endpoint(); err != nil {
		return nil, err
	}
	c, err := j.s3Config(p)
	if err != nil {
		return nil, err
	}
	return s3store.Open(context.Background(), c)
}

// openPlace opens the store of a place, nil after an error. A directory is made if
// create says so; a bucket must be there.
func (j *job) openPlace(p place, create bool) (store.Store, error) {
	if !p.isS3() {
		return openDir(p.dir, create)
	}
	s, err := j.openS3(p)
	if err != nil {
		return nil, err
	}
	return s, nil
}

package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/sys/unix"
)

// Style says where the bucket stands in a request.
type Style string

const (
	StyleAuto    Style = "auto"    // path if an endpoint is given, else virtual
	StylePath    Style = "path"    // https://endpoint/bucket/key
	StyleVirtual Style = "virtual" // https://bucket.endpoint/key
)

// Encryption says who encrypts objects at rest. The empty one leaves it to the bucket.
type Encryption string

const (
	EncryptS3  Encryption = "AES256"
	EncryptKMS Encryption = "aws:kms"
)

// Keys are long-lived credentials, or with a Token such for a session.
type Keys struct{ ID, Secret, Token string }

// Config says where the objects are and how to get at them.
type Config struct {
	Bucket string
	Prefix string // of all keys, without the slash at its end; may be empty

	Endpoint  string // URL with a scheme; "": that of the environment, or AWS
	Region    string // "": that of the environment, or us-east-1
	Style     Style  // "": StyleAuto
	PlainHTTP bool   // no TLS, where Endpoint does not say
	CAFile    string // PEM certificates that are trusted besides the system's

	// Keys are the credentials; nil takes them from the usual places of AWS: environment,
	// profile, web identity, container, instance role.
	Keys *Keys

	// Class is the storage class of an object by its name; "" is the bucket's default.
	// Nil: always that.
	Class func(name string) string

	// Ours tells by an object's name whether an unfinished upload of it may be taken for
	// remains of a Put of ours: others may have objects below the prefix, too. Nil: all
	// may.
	Ours func(name string) bool

	Encryption Encryption
	KMSKey     string // id of the key for EncryptKMS; "": AWS's own
	Grant      string // x-amz-grant-full-control of new objects

	Retries int           // attempts at a request; 0: 5
	Timeout time.Duration // without a byte moving, up to those that buffers on the way hold; 0: 30 s
	Backoff time.Duration // pause before the second attempt; 0: 100 ms
	Parts   int           // uploads of parts at once; 0: 3

	Log *slog.Logger     // nil discards
	Now func() time.Time // nil: time.Now
}

const (
	defaultRetries = 5
	defaultTimeout = 30 * time.Second
	defaultBackoff = 100 * time.Millisecond

	// defaultParts keeps what the two puts of a backup hold below 96 MiB: these parts, and
	// one for each put that waits for its turn.
	defaultParts = 3

	// maxParts keeps the memory of uploads in bounds that anyone may have meant.
	maxParts = 256
)

// ErrConfig says that a configuration is of no use at any server.
var ErrConfig = errors.New("wrong configuration of S3")

// configError is an ErrConfig that says no more than its cause.
type configError struct{ error }

func (e configError) Unwrap() error      { return e.error }
func (configError) Is(target error) bool { return target == ErrConfig }

// check fills in what is not given, and refuses what cannot be.
func (c *Config) check() error {
	if c.Style == "" {
		c.Style = StyleAuto
	}
	c.Retries = orDefault(c.Retries, defaultRetries)
	c.Timeout = orDefault(c.Timeout, defaultTimeout)
	c.Backoff = orDefault(c.Backoff, defaultBackoff)
	c.Parts = orDefault(c.Parts, defaultParts)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Class == nil {
		c.Class = func(string) string { return "" }
	}
	if c.Ours == nil {
		c.Ours = func(string) bool { return true }
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	switch {
	case c.Bucket == "" || strings.ContainsAny(c.Bucket, "/?#@ \x00"):
		return fmt.Errorf("%q is no name of a bucket", c.Bucket)
	case c.Style != StyleAuto && c.Style != StylePath && c.Style != StyleVirtual:
		return fmt.Errorf("addressing style %q: want auto, path or virtual", c.Style)
	case c.Encryption != "" && c.Encryption != EncryptS3 && c.Encryption != EncryptKMS:
		return fmt.Errorf("encryption %q: want %s or %s", c.Encryption, EncryptS3, EncryptKMS)
	case c.KMSKey != "" && c.Encryption != EncryptKMS:
		return errors.New("a KMS key is of use only with KMS encryption")
	case c.Retries < 0 || c.Timeout < 0 || c.Backoff < 0:
		return errors.New("negative retries, timeout or backoff")
	case c.Parts < 0 || c.Parts > maxParts:
		return fmt.Errorf("%d uploads at once: want 1 to %d", c.Parts, maxParts)
	case len(c.Prefix) > maxKey-256: // store.MaxName and the slash
		return fmt.Errorf("prefix of %d bytes: want at most %d", len(c.Prefix), maxKey-256)
	}
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if strings.Contains(c.Endpoint, "@") {
			return errors.New("the endpoint has a user or a key in it, which belong into the environment or a profile")
		}
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("endpoint %q: want http://HOST or https://HOST", c.Endpoint)
		}
	}
	return nil
}

// maxKey is the length in bytes of the longest key of an object.
const maxKey = 1024

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// Open returns the store of a configuration. It sends nothing: whether the bucket is
// there and may be used shows at the first request. An error that is ErrConfig is the
// configuration's.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.check(); err != nil {
		return nil, openError(c.Bucket, configError{err})
	}
	buildable, err := httpClient(&c)
	if err != nil {
		return nil, openError(c.Bucket, configError{err})
	}
	opts := []func(*config.LoadOptions) error{
		config.WithHTTPClient(buildable), // for credentials too
		config.WithLogger(sdkLog(c.Log)),
		config.WithDefaultRegion("us-east-1"),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if c.Region != "" {
		opts = append(opts, config.WithRegion(c.Region))
	}
	if k := c.Keys; k != nil {
		opts = append(opts, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(k.ID, k.Secret, k.Token)))
	}
	ac, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, openError(c.Bucket, &Error{Message: oneLine(err.Error()), hint: "check AWS_PROFILE and the files of AWS's configuration", err: err})
	}
	// It carries what the environment adds to ours, such as AWS_CA_BUNDLE.
	loaded, ok := ac.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		loaded = buildable
	}
	s := &Store{
		c: c, log: c.Log, keyPrefix: c.Prefix,
		transport: loaded.GetTransport(),
		pace:      newPacer(),
		uploads:   make(chan struct{}, c.Parts),
		copyLimit: maxCopy, copyPart: copyPart,
	}
	if c.Prefix != "" {
		s.keyPrefix += "/"
	}
	s.opaqueETags.Store(c.Encryption == EncryptKMS)
	if cache, ok := ac.Credentials.(*aws.CredentialsCache); ok {
		s.credentials = cache
	}
	s.client = s3.NewFromConfig(ac, func(o *s3.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
		o.EndpointOptions.DisableHTTPS = c.PlainHTTP
		o.UsePathStyle = c.Style == StylePath || c.Style == StyleAuto && o.BaseEndpoint != nil
		o.Retryer = aws.NopRetryer{} // retry.go does it
		o.HTTPClient = &http.Client{
			Transport: &watchdog{base: s.transport, patience: c.Timeout},
			// A signature holds for one host; another region is dealt with in retry.go.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		o.APIOptions = append(o.APIOptions, leaveAcceptEncoding)
		s.ownEndpoint = o.BaseEndpoint != nil
	})
	return s, nil
}

// leaveAcceptEncoding takes out what would set and sign Accept-Encoding: Google changes
// that header on the way. The transport sends none either.
func leaveAcceptEncoding(stack *middleware.Stack) error {
	const id = "DisableAcceptEncodingGzip"
	if _, ok := stack.Finalize.Get(id); ok {
		_, err := stack.Finalize.Remove(id)
		return err
	}
	return nil
}

const (
	maxIdle      = 64 // connections; more than are ever at work
	idleTimeout  = 60 * time.Second
	dialTimeout  = 10 * time.Second
	keepAlive    = 15 * time.Second
	socketBuffer = 128 << 10 // bytes, per connection and direction
)

// httpClient makes the client that the SDK builds upon.
func httpClient(c *Config) (*awshttp.BuildableClient, error) {
	roots, err := rootCAs(c.CAFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: min(dialTimeout, c.Timeout), KeepAlive: keepAlive, Control: boundUnsent}
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.DialContext = dialer.DialContext
		t.TLSHandshakeTimeout = min(dialTimeout, c.Timeout)
		t.ForceAttemptHTTP2 = false // one connection would carry all parts
		t.TLSNextProto = make(map[string]func(string, *tls.Conn) http.RoundTripper)
		t.DisableCompression = true
		t.MaxIdleConns, t.MaxIdleConnsPerHost = maxIdle, maxIdle
		t.IdleConnTimeout = idleTimeout
		t.ReadBufferSize, t.WriteBufferSize = socketBuffer, socketBuffer
		if roots != nil {
			t.TLSClientConfig.RootCAs = roots
		}
	}), nil
}

// boundUnsent keeps the kernel from taking megabytes that it has not sent: what is
// taken counts as progress.
func boundUnsent(network, _ string, conn syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	return conn.Control(func(fd uintptr) {
		// Without it a stall shows later, that is all.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 256<<10)
	})
}

// rootCAs are the system's certificates and those of a file, nil without one.
func rootCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// sdkLog passes on what the SDK would write to the standard error.
func sdkLog(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(class logging.Classification, format string, v ...any) {
		log.Debug("aws sdk", "class", string(class), "text", fmt.Sprintf(format, v...))
	})
}

// encryption sets the headers of new objects that only some requests have.
func (s *Store) encryption() (sse types.ServerSideEncryption, key, grant *string) {
	return types.ServerSideEncryption(s.c.Encryption), optional(s.c.KMSKey), optional(s.c.Grant)
}

func optional(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

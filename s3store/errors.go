package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"hindsight/chain/store"
)

// Error is what a server or the way to it said, in our words. It is the cause of a
// store.Error, and holds no secrets.
type Error struct {
	Code    string // of the server, such as AccessDenied; "" if it gave none
	Status  int    // of HTTP; 0: there was no answer
	Message string // one line

	hint   string
	kind   error
	region string        // of the bucket, where the answer tells
	after  time.Duration // Retry-After
	err    error         // for errors.Is: of the context, of a body, or below
}

// Error is the message and the server's code.
func (e *Error) Error() string {
	switch {
	case e.Code != "" && e.Message != "" && e.Message != e.Code:
		return fmt.Sprintf("%s (%s)", e.Message, e.Code)
	case e.Code != "":
		return e.Code
	case e.Message != "":
		return e.Message
	}
	return "HTTP status " + strconv.Itoa(e.Status)
}

// Hint says what can be done about it, or nothing.
func (e *Error) Hint() string { return e.hint }

// Unwrap gives errors.Is the cause below.
func (e *Error) Unwrap() error { return e.err }

func (e *Error) skewed() bool  { return e.Code == "RequestTimeTooSkewed" }
func (e *Error) expired() bool { return e.Code == "ExpiredToken" }

// say is what is known of a server's error code.
type say struct {
	kind error
	hint string
}

const (
	hintKeys   = "check the access key and the secret key (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"
	hintRegion = "give the region of the bucket with --s3-region-name"
	hintPolicy = "the policy of these credentials must allow %s there; hindsight policy URL prints one that does"
	hintNested = "check --s3-endpoint-url: it must not name the bucket" // or else the bucket is taken for a key
	hintBucket = "check the name of the bucket and --s3-endpoint-url; hindsight does not make buckets"
)

// codes has the error codes that mean something to us.
var codes = map[string]say{
	"NoSuchKey":    {store.ErrNotExist, ""},
	"NotFound":     {store.ErrNotExist, ""},
	"NoSuchBucket": {store.ErrNotExist, hintBucket},
	"NoSuchUpload": {store.ErrNotExist, ""},

	"AccessDenied":                   {store.ErrPermission, hintPolicy},
	"AccessDeniedException":          {store.ErrPermission, hintPolicy},
	"AllAccessDisabled":              {store.ErrPermission, hintPolicy},
	"Forbidden":                      {store.ErrPermission, hintPolicy},
	"InvalidAccessKeyId":             {store.ErrPermission, hintKeys},
	"SignatureDoesNotMatch":          {store.ErrPermission, hintKeys + ", and the clock"},
	"AuthorizationQueryParameters":   {store.ErrPermission, hintKeys},
	"InvalidToken":                   {store.ErrPermission, hintKeys + ", and AWS_SESSION_TOKEN"},
	"InvalidTokenId":                 {store.ErrPermission, hintKeys + ", and AWS_SESSION_TOKEN"},
	"ExpiredToken":                   {store.ErrPermission, "get new credentials"},
	"TokenRefreshRequired":           {store.ErrPermission, "get new credentials"},
	"XAdminUserNotFound":             {store.ErrPermission, hintKeys}, // versitygw's answer to an unknown access key, with status 404
	"UnauthorizedAccess":             {store.ErrPermission, hintKeys},
	"NotSignedUp":                    {store.ErrPermission, hintKeys},
	"AccountProblem":                 {store.ErrPermission, "ask the provider what is wrong with the account"},
	"RequestTimeTooSkewed":           {store.ErrPermission, "set the clock of this machine"},
	"RequestExpired":                 {store.ErrPermission, "set the clock of this machine"},
	"KMS.AccessDeniedException":      {store.ErrPermission, "the key's policy must allow this credential to encrypt and decrypt"},
	"AuthorizationHeaderMalformed":   {store.ErrPermission, hintRegion},
	"PermanentRedirect":              {nil, hintRegion},
	"TemporaryRedirect":              {nil, hintRegion},
	"IllegalLocationConstraint":      {nil, hintRegion},
	"InvalidRegion":                  {nil, hintRegion},
	"InvalidBucketName":              {nil, hintBucket},
	"InvalidObjectState":             {store.ErrArchived, ""},
	"InvalidStorageClass":            {nil, "this server has no such storage class"},
	"PreconditionFailed":             {store.ErrExist, ""},
	"QuotaExceeded":                  {store.ErrNoSpace, ""},
	"XMinioStorageFull":              {store.ErrNoSpace, ""},
	"XMinioAdminBucketQuotaExceeded": {store.ErrNoSpace, ""},
	"InsufficientStorage":            {store.ErrNoSpace, ""},
	"NoSpaceLeft":                    {store.ErrNoSpace, ""},
	"EntityTooLarge":                 {nil, "the server limits the size of objects: make smaller volumes with --volsize"},
	"KMS.NotFoundException":          {nil, "check --s3-kms-key-id"},
	"KMS.DisabledException":          {nil, "the KMS key is disabled"},
	"ServerSideEncryptionConfigurationNotFoundError": {nil, "this server cannot encrypt"},
}

// statuses stands in for codes where a server gave none, or one that is not known.
var statuses = map[int]say{
	http.StatusUnauthorized:        {store.ErrPermission, hintKeys},
	http.StatusForbidden:           {store.ErrPermission, hintPolicy},
	http.StatusNotFound:            {store.ErrNotExist, ""},
	http.StatusMovedPermanently:    {nil, hintRegion},
	http.StatusTemporaryRedirect:   {nil, hintRegion},
	http.StatusPreconditionFailed:  {store.ErrExist, ""},
	http.StatusInsufficientStorage: {store.ErrNoSpace, ""},
}

// describe says what an error of the SDK is. It never returns nil.
func describe(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	e := &Error{}
	if noCredentials(err) { // what answered, if anything did, is not the store
		e.unanswered(err)
		return e
	}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.Response != nil {
		e.Status = resp.HTTPStatusCode()
		e.region = word(resp.Response.Header.Get("X-Amz-Bucket-Region"))
		e.after = retryAfter(resp.Response.Header)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code, e.Message = word(api.ErrorCode()), lowerFirst(oneLine(api.ErrorMessage()))
	}
	switch {
	case e.Status < 300 && e.Code == "": // or the answer broke off
		e.unanswered(err)
		return e
	case e.Code == "" || e.Code == "UnknownError":
		e.Code, e.Message = "", statusText(e.Status)
	}
	meaning, ok := codes[e.Code]
	if !ok {
		meaning = statuses[e.Status]
	}
	e.kind, e.hint = meaning.kind, meaning.hint
	if e.hint == hintRegion && e.region != "" {
		e.hint = "give --s3-region-name " + e.region
	}
	return e
}

// unanswered describes an error that came before an answer.
func (e *Error) unanswered(err error) {
	var (
		unknownCA x509.UnknownAuthorityError
		badCert   x509.CertificateInvalidError
		badHost   x509.HostnameError
		recordErr tls.RecordHeaderError
		dns       *net.DNSError
		sign      *v4.SigningError
		operation *net.OpError
		garbled   *smithy.DeserializationError
	)
	e.err = err
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Message = oneLine(innermost(err).Error())
	case errors.As(err, &sign), noCredentials(err):
		e.Message, e.hint, e.kind = "no credentials: "+refusal(err), hintKeys, store.ErrPermission
	case errors.Is(err, errStalled):
		e.Message, e.hint = errStalled.Error(), "check the network; --timeout allows for longer pauses"
	case errors.Is(err, errLongAnswer):
		e.Message, e.hint = errLongAnswer.Error(), "check --s3-endpoint-url: that is no S3 server"
	case errors.As(err, &unknownCA):
		e.Message, e.hint = "the server's certificate is signed by an unknown authority", "give its certificate with --ssl-cacert-file"
	case errors.As(err, &badCert), errors.As(err, &badHost):
		e.Message, e.hint = oneLine(innermost(err).Error()), "the certificate does not fit the name in --s3-endpoint-url, or is out of date"
	case errors.As(err, &recordErr), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		e.Message, e.hint = "the server speaks plain HTTP", "write http:// in --s3-endpoint-url if that is meant"
	case errors.As(err, &dns):
		e.Message, e.hint = "no address is known for "+oneLine(dns.Name), "check --s3-endpoint-url and the network"
	case errors.As(err, &operation) && operation.Op == "dial":
		e.Message, e.hint = "cannot connect to "+fmt.Sprint(operation.Addr)+": "+oneLine(innermost(operation.Err).Error()), "check --s3-endpoint-url and the network"
	case errors.As(err, &garbled):
		e.Message = "the answer cannot be understood: " + oneLine(innermost(err).Error())
	default:
		e.Message = oneLine(innermost(err).Error())
	}
}

// noCredentials recognises what the SDK says, in text only, when no place has any.
func noCredentials(err error) bool {
	text := err.Error()
	return strings.Contains(text, "get identity") || strings.Contains(text, "failed to refresh cached credentials") ||
		strings.Contains(text, "static credentials are empty")
}

// refusal is what a place of credentials had to say.
func refusal(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorMessage() != "" {
		return lowerFirst(oneLine(api.ErrorMessage()))
	}
	return oneLine(innermost(err).Error())
}

// innermost is the error at the end of a chain of causes.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// verdict says what an error of an attempt means for the next one.
type verdict struct {
	retry     bool
	throttled bool
	lost      bool // the request may have been carried out
	after     time.Duration
}

var (
	throttledCodes = set("SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "Throttling", "ThrottlingException", "ThrottledException",
		"RequestThrottled", "RequestThrottledException", "RequestLimitExceeded", "TooManyRequests", "TooManyRequestsException", "BandwidthLimitExceeded",
		"PriorRequestNotComplete", "ReduceYourRequestRate", "XMinioServerBusy")

	// What the server has not done, and may do if asked again. A bad digest is a body
	// that was changed on the way.
	transientCodes = set("RequestTimeout", "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody",
		"OperationAborted", "ConditionalRequestConflict", "InternalError")
)

func set(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// classify says whether another attempt makes sense.
func classify(err error) verdict {
	if err == nil {
		return verdict{}
	}
	var mixed *mixedETagError
	if errors.As(err, &mixed) {
		return verdict{retry: true, lost: true}
	}
	e := describe(err)
	v := verdict{after: e.after}
	switch {
	case throttledCodes[e.Code], e.Status == http.StatusTooManyRequests, e.Status == http.StatusServiceUnavailable:
		v.retry, v.throttled, v.lost = true, true, e.Status >= 500
	case e.Status == http.StatusNotImplemented, e.kind != nil:
	case transientCodes[e.Code]:
		v.retry, v.lost = true, e.Status >= 500
	case e.Status >= 500:
		v.retry, v.lost = true, true
	case e.Status == http.StatusRequestTimeout:
		v.retry = true
	case e.Status >= 300:
	default:
		v.retry = passing(err)
		v.lost = v.retry
	}
	return v
}

// passing says whether an error without an answer may be gone at the next attempt.
func passing(err error) bool {
	var (
		send *smithyhttp.RequestSendError
		read *smithy.DeserializationError
		wire *net.OpError // while the answer's body was read
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, errStalled):
		return true
	case errors.As(err, &cert), errors.As(err, &rec), errors.Is(err, errLongAnswer):
		return false
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return false
	}
	return errors.As(err, &send) || errors.As(err, &read) || errors.As(err, &wire) || errors.Is(err, io.ErrUnexpectedEOF)
}

// opError makes a store.Error of what an operation ended with.
func opError(op, name string, err error) error {
	var se *store.Error
	if err == nil || errors.As(err, &se) {
		return err
	}
	var body *bodyError
	switch {
	case errors.As(err, &body):
		return &store.Error{Op: op, Name: name, Err: body.error}
	case errors.Is(err, store.ErrName), errors.Is(err, store.ErrExist), errors.Is(err, store.ErrNotExist), errors.Is(err, errors.ErrUnsupported):
		return &store.Error{Op: op, Name: name, Err: err}
	}
	e := *describe(err)
	if op == opList && e.Code == "NoSuchKey" {
		e.hint = hintNested
	}
	if e.hint == hintPolicy {
		action := actions[op]
		if action == "" {
			action = "it"
		}
		e.hint = fmt.Sprintf(hintPolicy, action)
	}
	return &store.Error{Op: op, Name: name, Kind: e.kind, Err: &e}
}

// actions are the rights that operations need.
var actions = map[string]string{
	opList: "s3:ListBucket", opGet: "s3:GetObject", opPut: "s3:PutObject", opDelete: "s3:DeleteObject", opCopy: "s3:GetObject and s3:PutObject",
	opListRemains: "s3:ListBucketMultipartUploads", opDeleteRemains: "s3:AbortMultipartUpload", opLook: "s3:GetObject", opThaw: "s3:RestoreObject",
}

// Operations, as errors name them.
const (
	opList          = "list"
	opGet           = "get"
	opPut           = "put"
	opDelete        = "delete"
	opCopy          = "copy"
	opListRemains   = "list unfinished uploads of"
	opDeleteRemains = "delete remains"
	opLook          = "look at"
	opThaw          = "thaw"
)

func openError(bucket string, err error) error {
	return &store.Error{Op: "open", Name: "s3://" + bucket, Err: err}
}

// bodyError is an error of a put's body: it tells nothing of the store.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// maxText is how much of a server's message is shown.
const maxText = 300

// oneLine makes a server's text fit for a line of ours.
func oneLine(text string) string {
	text = strings.ToValidUTF8(text, "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.TrimRight(strings.Join(strings.Fields(text), " "), ".")
	if len(text) > maxText {
		n := maxText
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n] + "…"
	}
	return text
}

// lowerFirst makes a sentence a part of ours, unless it begins with an abbreviation.
func lowerFirst(text string) string {
	if len(text) > 1 && 'A' <= text[0] && text[0] <= 'Z' && (text[1] == ' ' || 'a' <= text[1] && text[1] <= 'z') {
		return string(text[0]+'a'-'A') + text[1:]
	}
	return text
}

// word is a server's text if it is a plain word, and nothing if not.
func word(text string) string {
	if len(text) > 64 {
		return ""
	}
	for _, r := range text {
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r) {
			return ""
		}
	}
	return text
}

func statusText(status int) string {
	text := "HTTP status " + strconv.Itoa(status)
	if name := http.StatusText(status); name != "" {
		text += ", " + strings.ToLower(name)
	}
	return text
}

// retryAfter reads the header's seconds. A date is not worth trusting two clocks.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || n < 0 || n > 1<<20 {
		return 0
	}
	return time.Duration(n) * time.Second
}

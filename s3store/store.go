package s3store

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"hindsight/chain/store"
)

// Store keeps objects under a prefix of a bucket. It is safe for concurrent use.
type Store struct {
	c           Config
	client      *s3.Client
	transport   *http.Transport
	credentials *aws.CredentialsCache // nil: they do not change
	log         *slog.Logger
	keyPrefix   string // of all keys: "" or with its slash
	ownEndpoint bool   // not AWS's: there are no other regions

	pace    *pacer
	uploads chan struct{} // holds one token per upload of a part
	region  atomic.Pointer[string]

	unconditional atomic.Bool // the server has refused If-None-Match
	opaqueETags   atomic.Bool // its ETags are not MD5s
	silent        atomic.Bool // it does not answer, and that was told

	copyLimit int64 // bytes; what one CopyObject takes
	copyPart  int64 // bytes; of a larger copy
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Remains = (*Store)(nil)
	_ store.Copier  = (*Store)(nil)
	_ store.Thawer  = (*Store)(nil)
)

// Close gives back the connections.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// options are those of one request.
func (s *Store) options(o *s3.Options) {
	if r := s.region.Load(); r != nil {
		o.Region = *r
	}
}

func (s *Store) currentRegion() string {
	if r := s.region.Load(); r != nil {
		return *r
	}
	return s.client.Options().Region
}

func (s *Store) bucket() *string { return &s.c.Bucket }

func (s *Store) key(name string) *string { return aws.String(s.keyPrefix + name) }

// where names a place in the bucket in errors.
func (s *Store) where(prefix string) string { return "s3://" + s.c.Bucket + "/" + s.keyPrefix + prefix }

// name is the object's name of a key, if it is one of ours.
func (s *Store) name(key string) (string, bool) {
	name, ok := strings.CutPrefix(key, s.keyPrefix)
	return name, ok && store.CheckName(name) == nil
}

// begin checks what every operation on an object checks first.
func begin(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return store.CheckName(name)
}

// Delete is described at store.Store. In a bucket with versions it makes the object's
// content an old version, which the bucket's lifecycle rule removes.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := begin(ctx, name); err != nil {
		return opError(opDelete, name, err)
	}
	err := s.do(ctx, "delete "+name, func(ctx context.Context, _ call) error {
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket(), Key: s.key(name)}, s.options)
		return err
	})
	if missingKey(err) {
		return nil
	}
	return opError(opDelete, name, err)
}

// missingKey says that the object is missing, not the bucket.
func missingKey(err error) bool {
	if err == nil {
		return false
	}
	e := describe(err)
	return errors.Is(e.kind, store.ErrNotExist) && e.Code != "NoSuchBucket"
}

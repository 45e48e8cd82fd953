package s3store

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hindsight/chain/store"
)

// Put is described at store.Store. It holds a part only as long as it is being sent,
// or waits for its turn.
func (s *Store) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	if err := begin(ctx, name); err != nil {
		return opError(opPut, name, err)
	}
	src := &source{body: body}
	first, err := src.next(ctx)
	switch {
	case err == io.EOF:
		err = s.putOne(ctx, name, nil, opt)
	case err != nil:
	case len(first.Data) == store.PartSize:
		// The second part must not be waited for: the memory for it may be this one's.
		err = s.putParts(ctx, name, first, src, opt)
	default:
		if err = src.end(ctx); err == nil {
			err = s.putOne(ctx, name, first.Data, opt)
		}
		first.Release()
	}
	return opError(opPut, name, err)
}

// source takes the parts of a body and sees that they keep the rules of store.Body.
type source struct {
	body  store.Body
	short bool // the last part has come
}

// next is the next part, or io.EOF, or a *bodyError. It belongs to the caller.
func (b *source) next(ctx context.Context) (store.Part, error) {
	if ctx.Err() != nil {
		return store.Part{}, context.Cause(ctx)
	}
	p, err := b.body.Next(ctx)
	if ctx.Err() != nil && (err == nil || err == io.EOF) {
		if err == nil {
			p.Release()
		}
		return store.Part{}, context.Cause(ctx)
	}
	if err == io.EOF {
		return store.Part{}, io.EOF
	}
	if err != nil {
		return store.Part{}, &bodyError{err}
	}
	if n := len(p.Data); n == 0 || n > store.PartSize || b.short {
		p.Release()
		return store.Part{}, &bodyError{fmt.Errorf("part of %d bytes, want %d, or 1 to that for the last", n, store.PartSize)}
	}
	b.short = len(p.Data) < store.PartSize
	return p, nil
}

// end fails unless the body has ended.
func (b *source) end(ctx context.Context) error {
	p, err := b.next(ctx)
	switch err {
	case nil:
		p.Release()
		return &bodyError{errors.New("a part behind the last")}
	case io.EOF:
		return nil
	}
	return err
}

// turn waits until a part may be sent; the function gives the turn back.
func (s *Store) turn(ctx context.Context) (done func(), err error) {
	select {
	case s.uploads <- struct{}{}:
		return func() { <-s.uploads }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// putOne stores an object by one request.
func (s *Store) putOne(ctx context.Context, name string, data []byte, opt store.PutOptions) error {
	done, err := s.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	sum := md5.Sum(data)
	want := hex.EncodeToString(sum[:])
	checked := false // that nothing is there
	return s.do(ctx, "put "+name, func(ctx context.Context, c call) error {
		var condition *string
		if opt.IfAbsent {
			var err error
			if condition, err = s.absent(ctx, name, &checked); err != nil {
				return err
			}
		}
		sse, key, grant := s.encryption()
		in := &s3.PutObjectInput{
			Bucket: s.bucket(), Key: s.key(name), ContentLength: aws.Int64(int64(len(data))), ContentMD5: base64Sum(sum), IfNoneMatch: condition,
			StorageClass: types.StorageClass(s.c.Class(name)), ServerSideEncryption: sse, SSEKMSKeyId: key, GrantFullControl: grant,
		}
		body := &partReader{data: data}
		defer body.cut()
		in.Body = body
		out, err := s.client.PutObject(ctx, in, s.options)
		if err == nil {
			s.checkETag(name, out.ETag, want, out.ServerSideEncryption)
			return nil
		}
		return s.settle(ctx, err, condition, c, stored{name: name, size: int64(len(data)), etag: want})
	})
}

func base64Sum(sum [md5.Size]byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

// checkETag learns whether the server's ETags can be predicted. It has been given the
// MD5 of what it took, so that another ETag is no sign of damage.
func (s *Store) checkETag(name string, etag *string, want string, sse types.ServerSideEncryption) {
	got := trimETag(etag)
	if got == want || got == "" {
		return
	}
	if keyed(sse) || !isMD5(got) {
		s.opaqueETags.Store(true)
		return
	}
	s.log.Warn("the server's ETag is not that of what was sent", "object", name, "want", want, "got", got)
}

// keyed says that an ETag is no MD5, as the object is encrypted with a key of KMS.
func keyed(sse types.ServerSideEncryption) bool {
	return strings.HasPrefix(string(sse), "aws:")
}

// isMD5 says whether an ETag may be the MD5 of an object put by one request.
func isMD5(etag string) bool {
	b, err := hex.DecodeString(etag)
	return err == nil && len(b) == md5.Size
}

// absent is the condition that an object is not there yet. Where the server does not
// know it, the place is looked at instead, once: what appears there between the
// attempts of one Put is our own.
func (s *Store) absent(ctx context.Context, name string, checked *bool) (*string, error) {
	if !s.unconditional.Load() {
		return aws.String("*"), nil
	}
	if *checked {
		return nil, nil
	}
	_, found, err := s.lookup(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case found:
		return nil, store.ErrExist
	}
	*checked = true
	return nil, nil
}

// stored is what an object looks like if a put of ours has been carried out.
type stored struct {
	name string
	size int64
	etag string
}

// settle decides what a failed attempt at a put means: whether an earlier one has put
// the object, or that the server does not know the condition, which calls for another
// attempt without it.
func (s *Store) settle(ctx context.Context, err error, condition *string, c call, want stored) error {
	e := describe(err)
	switch {
	case condition != nil && e.Status == http.StatusNotImplemented:
		if !s.unconditional.Swap(true) {
			s.log.Info("the server does not know If-None-Match: it is asked by a list before a put", "error", e)
		}
		return errOnceMore
	case e.Status != http.StatusPreconditionFailed:
		return err
	case !c.lost:
		return store.ErrExist
	}
	ours, lerr := s.landed(ctx, want)
	switch {
	case lerr != nil:
		return lerr
	case ours:
		return nil
	}
	return store.ErrExist
}

// landed looks whether an object is there as we have sent it.
func (s *Store) landed(ctx context.Context, want stored) (bool, error) {
	e, found, err := s.lookup(ctx, want.name)
	if err != nil || !found {
		return false, err
	}
	same := e.Size == want.size && (e.etag == want.etag || e.etag == "" || s.opaqueETags.Load())
	s.log.Info("the answer to a put was lost, and the object is looked up", "object", want.name, "ours", same)
	return same, nil
}

// md5Of is the MD5 that an ETag is, zeros if it is none.
func md5Of(etag *string) (sum [md5.Size]byte) {
	if b, err := hex.DecodeString(trimETag(etag)); err == nil && len(b) == md5.Size {
		copy(sum[:], b)
	}
	return sum
}

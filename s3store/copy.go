package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hindsight/chain/store"
)

const (
	maxCopy  = 5 << 30   // bytes; what one CopyObject takes, by S3's own limit
	copyPart = 512 << 20 // bytes; of a larger copy
)

// Copy is described at store.Copier. The bytes do not leave the server. The copy is of
// the class of its own name.
func (s *Store) Copy(ctx context.Context, src, dst string) error {
	if err := errors.Join(begin(ctx, src), store.CheckName(dst)); err != nil {
		return opError(opCopy, dst, err)
	}
	e, found, err := s.lookup(ctx, src)
	switch {
	case err != nil:
		return opError(opCopy, src, err)
	case !found:
		return opError(opCopy, src, store.ErrNotExist)
	case e.Size > s.copyLimit:
		err = s.copyParts(ctx, e, dst)
	default:
		err = s.copyWhole(ctx, e, dst)
	}
	if err != nil && describe(err).Status == http.StatusNotImplemented {
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, describe(err))
	}
	return opError(opCopy, dst, err)
}

// copySource is the header that names an object.
func (s *Store) copySource(name string) *string {
	key := strings.ReplaceAll(url.PathEscape(*s.key(name)), "%2F", "/")
	return aws.String(s.c.Bucket + "/" + strings.ReplaceAll(key, "+", "%2B"))
}

// sourceETag pins the version that is copied.
func sourceETag(e entry) *string {
	if e.etag == "" {
		return nil
	}
	return aws.String(`"` + e.etag + `"`)
}

func (s *Store) copyWhole(ctx context.Context, src entry, dst string) error {
	sse, key, grant := s.encryption()
	return s.do(withPatience(ctx), "copy to "+dst, func(ctx context.Context, _ call) error {
		_, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: s.bucket(), Key: s.key(dst), CopySource: s.copySource(src.Name), CopySourceIfMatch: sourceETag(src),
			StorageClass: types.StorageClass(s.c.Class(dst)), ServerSideEncryption: sse, SSEKMSKeyId: key, GrantFullControl: grant,
		}, s.options)
		return changed(err)
	})
}

// changed says what a failed pin means.
func changed(err error) error {
	if err != nil && describe(err).Status == http.StatusPreconditionFailed {
		return errors.New("the source was replaced while it was copied")
	}
	return err
}

// copyParts copies what is too large for one request, part after part.
func (s *Store) copyParts(ctx context.Context, src entry, dst string) error {
	m, err := s.startParts(ctx, dst)
	if err != nil {
		return err
	}
	for off, number := int64(0), int32(1); off < src.Size && err == nil; number++ {
		n := min(s.copyPart, src.Size-off)
		err = m.copyPart(ctx, src, number, off, n)
		off += n
	}
	if err == nil {
		err = m.complete(ctx, store.PutOptions{})
	}
	if err != nil {
		m.abandon(ctx)
	}
	return err
}

func (m *multipart) copyPart(ctx context.Context, src entry, number int32, off, n int64) error {
	m.grow()
	what := fmt.Sprintf("copy part %d of %s", number, m.name)
	return m.s.do(withPatience(ctx), what, func(ctx context.Context, _ call) error {
		out, err := m.s.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: m.s.bucket(), Key: m.s.key(m.name), UploadId: &m.id, PartNumber: &number,
			CopySource: m.s.copySource(src.Name), CopySourceIfMatch: sourceETag(src),
			CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1)),
		}, m.s.options)
		if err != nil {
			return changed(err)
		}
		if out.CopyPartResult == nil {
			return errors.New("the server does not say what it has copied")
		}
		m.done(number, md5Of(out.CopyPartResult.ETag), out.CopyPartResult.ETag, n)
		return nil
	})
}

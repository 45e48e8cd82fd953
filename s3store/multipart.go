package s3store

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"hindsight/chain/store"
)

const (
	// maxPartNumber is S3's, and with it an object has at most 156 GiB.
	maxPartNumber = 10_000

	// abortTime is how long the clean-up after a failed put may take, also when the put
	// was cancelled.
	abortTime = 15 * time.Second
)

// multipart is an upload in parts.
type multipart struct {
	s    *Store
	name string
	id   string

	mu    sync.Mutex
	parts []types.CompletedPart // by number
	sums  [][md5.Size]byte      // likewise
	size  int64                 // bytes, of all parts
	keyed bool                  // ETags are no MD5s
}

// putParts stores an object by a multipart upload that begins with the part first.
func (s *Store) putParts(ctx context.Context, name string, first store.Part, src *source, opt store.PutOptions) error {
	if opt.IfAbsent {
		// It spares the uploading. What decides is the condition at the end.
		if _, found, err := s.lookup(ctx, name); err != nil || found {
			first.Release()
			if err == nil {
				err = store.ErrExist
			}
			return err
		}
	}
	m, err := s.startParts(ctx, name)
	if err != nil {
		first.Release()
		return err
	}
	if err = m.send(ctx, first, src); err == nil {
		err = m.complete(ctx, opt)
	}
	if err != nil {
		m.abandon(ctx)
	}
	return err
}

func (s *Store) startParts(ctx context.Context, name string) (*multipart, error) {
	sse, key, grant := s.encryption()
	m := &multipart{s: s, name: name}
	err := s.do(ctx, "begin upload of "+name, func(ctx context.Context, _ call) error {
		out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: s.bucket(), Key: s.key(name), StorageClass: types.StorageClass(s.c.Class(name)),
			ServerSideEncryption: sse, SSEKMSKeyId: key, GrantFullControl: grant,
		}, s.options)
		if err != nil {
			return err
		}
		m.id, m.keyed = aws.ToString(out.UploadId), keyed(out.ServerSideEncryption)
		if m.id == "" {
			return errors.New("the server gives the upload no id")
		}
		return nil
	})
	return m, err
}

// send uploads all parts side by side. It has released each of them when it returns.
func (m *multipart) send(ctx context.Context, p store.Part, src *source) error {
	group, gctx := errgroup.WithContext(ctx)
	err := error(nil)
	for number := int32(1); err == nil; number++ {
		if number > maxPartNumber {
			p.Release()
			err = fmt.Errorf("more than %d parts of %d bytes", maxPartNumber, store.PartSize)
			break
		}
		// The turn comes after the part, so that a Put that waits for its body keeps no
		// other from sending.
		var done func()
		if done, err = m.s.turn(gctx); err != nil {
			p.Release()
			break
		}
		part, n := p, number
		m.grow()
		group.Go(func() error {
			defer done()
			defer part.Release()
			return m.sendPart(gctx, n, part.Data)
		})
		p, err = src.next(gctx)
	}
	if werr := group.Wait(); werr != nil {
		return werr
	}
	if err == io.EOF {
		return nil
	}
	return err
}

func (m *multipart) grow() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parts = append(m.parts, types.CompletedPart{})
	m.sums = append(m.sums, [md5.Size]byte{})
}

// done notes a part that the server has.
func (m *multipart) done(number int32, sum [md5.Size]byte, etag *string, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parts[number-1] = types.CompletedPart{PartNumber: aws.Int32(number), ETag: etag}
	m.sums[number-1] = sum
	m.size += size
}

// mixedETagError says that a server's ETag of a part is neither the MD5 of what was
// sent nor the one it gave before, so that it cannot be trusted to name the part.
type mixedETagError struct{ want, got string }

func (e *mixedETagError) Error() string {
	return fmt.Sprintf("the server's ETag of a part is %q, want %q", oneLine(e.got), e.want)
}

func (m *multipart) sendPart(ctx context.Context, number int32, data []byte) error {
	sum := md5.Sum(data)
	want := hex.EncodeToString(sum[:])
	before := "" // the ETag of the attempt before
	what := fmt.Sprintf("put part %d of %s", number, m.name)
	return m.s.do(ctx, what, func(ctx context.Context, _ call) error {
		body := &partReader{data: data}
		defer body.cut()
		out, err := m.s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: m.s.bucket(), Key: m.s.key(m.name), UploadId: &m.id, PartNumber: &number,
			Body: body, ContentLength: aws.Int64(int64(len(data))), ContentMD5: base64Sum(sum),
		}, m.s.options)
		if err != nil {
			return err
		}
		got := trimETag(out.ETag)
		if got != want && got != before && !m.opaque(out.ServerSideEncryption) {
			before = got
			return &mixedETagError{want, got}
		}
		if got != want {
			m.s.opaqueETags.Store(true) // so they are not MD5s here: the next is believed at once
		}
		m.done(number, sum, out.ETag, int64(len(data)))
		return nil
	})
}

// opaque says that ETags are not to be predicted.
func (m *multipart) opaque(sse types.ServerSideEncryption) bool {
	return m.keyed || keyed(sse) || m.s.opaqueETags.Load()
}

// etag is that of the whole object: the MD5 of the parts' MD5s, and their number.
func (m *multipart) etag() string {
	h := md5.New()
	for _, sum := range m.sums {
		h.Write(sum[:])
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(m.sums))
}

// complete makes the parts an object.
func (m *multipart) complete(ctx context.Context, opt store.PutOptions) error {
	want := stored{name: m.name, size: m.size, etag: m.etag()}
	checked := false
	return m.s.do(withPatience(ctx), "end upload of "+m.name, func(ctx context.Context, c call) error {
		var condition *string
		if opt.IfAbsent {
			var err error
			if condition, err = m.s.absent(ctx, m.name, &checked); err != nil {
				return err
			}
		}
		_, err := m.s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: m.s.bucket(), Key: m.s.key(m.name), UploadId: &m.id, IfNoneMatch: condition,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: m.parts},
		}, m.s.options)
		if err == nil {
			return nil
		}
		if c.lost && describe(err).Code == "NoSuchUpload" {
			// AWS says yes again to what is done, others have forgotten the upload.
			if ours, lerr := m.s.landed(ctx, want); lerr == nil && ours {
				return nil
			}
		}
		return m.s.settle(ctx, err, condition, c, want)
	})
}

// abandon removes the parts. It gets a little time of its own, as the context may be
// the reason why the put failed.
func (m *multipart) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	if err := m.s.abort(ctx, m.name, m.id); err != nil && !missingKey(err) {
		m.s.log.Warn("the parts of a failed upload could not be removed; cleanup or a lifecycle rule does it",
			"object", m.name, "error", describe(err))
	}
}

// abort gives an unfinished upload up.
func (s *Store) abort(ctx context.Context, name, id string) error {
	return s.do(ctx, "give up upload of "+name, func(ctx context.Context, _ call) error {
		_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: s.bucket(), Key: s.key(name), UploadId: &id,
		}, s.options)
		return err
	})
}

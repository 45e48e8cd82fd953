package s3store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hindsight/chain/store"
)

// entry is an object as a List shows it.
type entry struct {
	store.Object
	etag string // without quotes
}

// List yields the objects in the server's order. A page is fetched when it is needed.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		for e, err := range s.entries(ctx, prefix) {
			if err != nil {
				yield(store.Object{}, opError(opList, s.where(prefix), err))
				return
			}
			if !yield(e.Object, nil) {
				return
			}
		}
	}
}

// entries is List with the ETags.
func (s *Store) entries(ctx context.Context, prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(entry{}, context.Cause(ctx))
			return
		}
		if strings.ContainsAny(prefix, "/\x00") || len(prefix) > store.MaxName {
			return // no object's name begins so
		}
		var token *string
		for empty := 0; ; {
			page, err := s.page(ctx, prefix, token)
			if err != nil {
				yield(entry{}, err)
				return
			}
			if empty++; len(page.Contents)+len(page.CommonPrefixes) > 0 {
				empty = 0
			}
			for _, o := range page.Contents {
				e, ok, err := s.entry(o, page.EncodingType)
				if err != nil {
					yield(entry{}, err)
					return
				}
				if ok && strings.HasPrefix(e.Name, prefix) && !yield(e, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				return
			}
			next := page.NextContinuationToken
			if aws.ToString(next) == "" || aws.ToString(next) == aws.ToString(token) || empty > maxEmptyPages {
				yield(entry{}, errors.New("the server does not say how its list goes on"))
				return
			}
			token = next
		}
	}
}

// maxEmptyPages is how many pages in a row may show nothing: a few do where much was
// deleted.
const maxEmptyPages = 1000

// page fetches a page of a list. The delimiter keeps out what lies in folders below.
func (s *Store) page(ctx context.Context, prefix string, token *string) (page *s3.ListObjectsV2Output, err error) {
	err = s.do(ctx, "list "+prefix, func(ctx context.Context, _ call) (err error) {
		page, err = s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
			Bucket: s.bucket(), Prefix: s.key(prefix), Delimiter: aws.String("/"),
			ContinuationToken: token, EncodingType: types.EncodingTypeUrl,
		}, s.options)
		return err
	})
	return page, err
}

// entry checks and converts an object of a list; ok says whether it is one of ours.
func (s *Store) entry(o types.Object, encoding types.EncodingType) (e entry, ok bool, err error) {
	key := decodeKey(aws.ToString(o.Key), encoding)
	name, ok := s.name(key)
	if !ok {
		return entry{}, false, nil
	}
	size := aws.ToInt64(o.Size)
	if size < 0 {
		return entry{}, false, fmt.Errorf("the server lists %s with %d bytes", name, size)
	}
	return entry{
		Object: store.Object{Name: name, Size: size, Time: aws.ToTime(o.LastModified), Cold: cold[o.StorageClass]},
		etag:   trimETag(o.ETag),
	}, true, nil
}

// decodeKey undoes encoding-type=url where the server says that it has done it.
func decodeKey(key string, encoding types.EncodingType) string {
	if encoding != types.EncodingTypeUrl {
		return key
	}
	if plain, err := url.QueryUnescape(key); err == nil {
		return plain
	}
	return key
}

func trimETag(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// lookup finds one object by a List. It is not read for that, so that a credential
// without the right to read can tell what it has written.
func (s *Store) lookup(ctx context.Context, name string) (e entry, found bool, err error) {
	for e, err := range s.entries(ctx, name) {
		if err != nil {
			return entry{}, false, err
		}
		if e.Name == name {
			return e, true, nil
		}
	}
	return entry{}, false, nil
}

// remainsMark stands between the object's name and the upload's id in the name of
// remains.
const remainsMark = "?uploadId="

// ListRemains yields unfinished uploads of Config.Ours that were begun before olderThan,
// with no size: the server does not list it. The right to it, s3:ListBucketMultipartUploads,
// cannot be bound to a prefix, so that a node may well lack it: then the error is
// store.ErrPermission, and a lifecycle rule must do the work.
func (s *Store) ListRemains(ctx context.Context, olderThan time.Time) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		fail := func(err error) { yield(store.Object{}, opError(opListRemains, s.where(""), err)) }
		var key, id *string
		for empty := 0; ; {
			page, err := s.uploadsPage(ctx, key, id)
			if err != nil {
				fail(err)
				return
			}
			if empty++; len(page.Uploads) > 0 {
				empty = 0
			}
			for _, u := range page.Uploads {
				name, ok := s.name(decodeKey(aws.ToString(u.Key), page.EncodingType))
				begun := aws.ToTime(u.Initiated)
				if !ok || !s.c.Ours(name) || u.Initiated == nil || !begun.Before(olderThan) {
					continue
				}
				if !yield(store.Object{Name: store.TempPrefix + name + remainsMark + aws.ToString(u.UploadId), Time: begun}, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				return
			}
			nextKey := decodeKey(aws.ToString(page.NextKeyMarker), page.EncodingType)
			if nextKey == aws.ToString(key) && aws.ToString(page.NextUploadIdMarker) == aws.ToString(id) || empty > maxEmptyPages {
				fail(errors.New("the server does not say how its list goes on"))
				return
			}
			key, id = &nextKey, page.NextUploadIdMarker
		}
	}
}

func (s *Store) uploadsPage(ctx context.Context, key, id *string) (page *s3.ListMultipartUploadsOutput, err error) {
	err = s.do(ctx, "list unfinished uploads", func(ctx context.Context, _ call) (err error) {
		page, err = s.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{
			Bucket: s.bucket(), Prefix: aws.String(s.keyPrefix), KeyMarker: key, UploadIdMarker: id, EncodingType: types.EncodingTypeUrl,
		}, s.options)
		return err
	})
	return page, err
}

// DeleteRemains gives up an unfinished upload.
func (s *Store) DeleteRemains(ctx context.Context, remains string) error {
	if ctx.Err() != nil {
		return opError(opDeleteRemains, remains, context.Cause(ctx))
	}
	rest, ok := strings.CutPrefix(remains, store.TempPrefix)
	i := strings.LastIndex(rest, remainsMark)
	if !ok || i < 0 || store.CheckName(rest[:i]) != nil || i+len(remainsMark) == len(rest) {
		return opError(opDeleteRemains, remains, store.ErrName)
	}
	err := s.abort(ctx, rest[:i], rest[i+len(remainsMark):])
	if missingKey(err) {
		return nil
	}
	return opError(opDeleteRemains, remains, err)
}

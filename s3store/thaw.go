package s3store

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hindsight/chain/store"
)

// cold has the classes whose objects may have to be thawed. Of intelligent tiering a
// List does not tell the tier.
var cold = map[types.ObjectStorageClass]bool{
	types.ObjectStorageClassGlacier:            true,
	types.ObjectStorageClassDeepArchive:        true,
	types.ObjectStorageClassIntelligentTiering: true,
}

// Temperature is described at store.Thawer.
func (s *Store) Temperature(ctx context.Context, name string) (store.Temperature, error) {
	if err := begin(ctx, name); err != nil {
		return 0, opError(opLook, name, err)
	}
	var out *s3.HeadObjectOutput
	err := s.do(ctx, "look at "+name, func(ctx context.Context, _ call) (err error) {
		out, err = s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket(), Key: s.key(name)}, s.options)
		return err
	})
	if err != nil {
		return 0, opError(opLook, name, err)
	}
	return temperature(types.ObjectStorageClass(out.StorageClass), out.ArchiveStatus, aws.ToString(out.Restore)), nil
}

// temperature reads the headers of an object. Restore is
// ongoing-request="false", expiry-date="..." or ongoing-request="true".
func temperature(class types.ObjectStorageClass, status types.ArchiveStatus, restore string) store.Temperature {
	switch {
	case strings.Contains(restore, `ongoing-request="true"`):
		return store.Thawing
	case strings.Contains(restore, `ongoing-request="false"`):
		return store.Readable
	case class == types.ObjectStorageClassIntelligentTiering && status == "":
		return store.Readable
	case cold[class]:
		return store.Frozen
	}
	return store.Readable
}

// Thaw is described at store.Thawer. The retrieval is of the standard tier, or of the
// one that the bucket's class has: hours. An object of intelligent tiering moves back
// for good, and has no days.
func (s *Store) Thaw(ctx context.Context, name string, days int) error {
	if err := begin(ctx, name); err != nil {
		return opError(opThaw, name, err)
	}
	request := &types.RestoreRequest{Days: aws.Int32(int32(days))}
	err := s.do(ctx, "thaw "+name, func(ctx context.Context, _ call) error {
		_, err := s.client.RestoreObject(ctx, &s3.RestoreObjectInput{Bucket: s.bucket(), Key: s.key(name), RestoreRequest: request}, s.options)
		if err == nil {
			return nil
		}
		switch e := describe(err); {
		case e.Code == "RestoreAlreadyInProgress", e.Code == "InvalidObjectState" && request.Days == nil:
			return nil
		case e.Code == "MalformedXML" && request.Days != nil, e.Code == "InvalidArgument" && request.Days != nil:
			request.Days = nil // intelligent tiering
			return errOnceMore
		}
		return err
	})
	return opError(opThaw, name, err)
}

package s3test

import (
	"net"
	"net/http"
	"strings"
)

// Op is an operation of S3, by the name that its documentation and policies use.
type Op string

// The operations that are told apart. Other is everything else.
const (
	ListBuckets             Op = "ListBuckets"
	HeadBucket              Op = "HeadBucket"
	GetBucketLocation       Op = "GetBucketLocation"
	CreateBucket            Op = "CreateBucket"
	ListObjects             Op = "ListObjects" // the old form; ListObjectsV2 is ours
	ListObjectsV2           Op = "ListObjectsV2"
	ListMultipartUploads    Op = "ListMultipartUploads"
	DeleteObjects           Op = "DeleteObjects"
	GetObject               Op = "GetObject"
	HeadObject              Op = "HeadObject"
	PutObject               Op = "PutObject"
	CopyObject              Op = "CopyObject"
	DeleteObject            Op = "DeleteObject"
	RestoreObject           Op = "RestoreObject"
	CreateMultipartUpload   Op = "CreateMultipartUpload"
	UploadPart              Op = "UploadPart"
	UploadPartCopy          Op = "UploadPartCopy"
	ListParts               Op = "ListParts"
	CompleteMultipartUpload Op = "CompleteMultipartUpload"
	AbortMultipartUpload    Op = "AbortMultipartUpload"
	Other                   Op = "other"
)

// operation finds out what a request asks for.
func operation(r *http.Request) (op Op, bucket, key string) {
	bucket, key = place(r)
	switch {
	case bucket == "" && r.Method == http.MethodGet:
		return ListBuckets, "", ""
	case bucket == "":
		return Other, "", key
	case key == "":
		return bucketOp(r), bucket, ""
	}
	return objectOp(r), bucket, key
}

// hostBase is the domain whose subdomains are buckets, for clients that are told to
// put the bucket into the host's name.
const hostBase = ".s3.test"

// place is the bucket and key of a request, by its path or by its host.
func place(r *http.Request) (bucket, key string) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	if bucket, ok := strings.CutSuffix(host, hostBase); ok {
		return bucket, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

func bucketOp(r *http.Request) Op {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodHead:
		return HeadBucket
	case r.Method == http.MethodPut && r.URL.RawQuery == "":
		return CreateBucket
	case r.Method == http.MethodPost && q.Has("delete"):
		return DeleteObjects
	case r.Method != http.MethodGet:
		return Other
	case q.Has("location"):
		return GetBucketLocation
	case q.Has("uploads"):
		return ListMultipartUploads
	case q.Get("list-type") == "2":
		return ListObjectsV2
	}
	for _, other := range []string{"acl", "policy", "versioning", "versions", "object-lock", "lifecycle", "encryption", "tagging"} {
		if q.Has(other) {
			return Other
		}
	}
	return ListObjects
}

func objectOp(r *http.Request) Op {
	q := r.URL.Query()
	copies := r.Header.Get("X-Amz-Copy-Source") != ""
	switch r.Method {
	case http.MethodHead:
		return HeadObject
	case http.MethodGet:
		switch {
		case q.Has("uploadId"):
			return ListParts
		case q.Has("acl"), q.Has("tagging"), q.Has("attributes"), q.Has("retention"), q.Has("legal-hold"):
			return Other
		}
		return GetObject
	case http.MethodPut:
		switch {
		case q.Has("partNumber") && copies:
			return UploadPartCopy
		case q.Has("partNumber"):
			return UploadPart
		case q.Has("acl"), q.Has("tagging"), q.Has("retention"), q.Has("legal-hold"):
			return Other
		case copies:
			return CopyObject
		}
		return PutObject
	case http.MethodDelete:
		if q.Has("uploadId") {
			return AbortMultipartUpload
		}
		return DeleteObject
	case http.MethodPost:
		switch {
		case q.Has("uploads"):
			return CreateMultipartUpload
		case q.Has("uploadId"):
			return CompleteMultipartUpload
		case q.Has("restore"):
			return RestoreObject
		}
	}
	return Other
}

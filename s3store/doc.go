// Package s3store is a store.Store under one prefix of an S3 bucket, at AWS or at any
// server that speaks the protocol.
//
// # Least privilege
//
// It needs no right outside its prefix. It never sends HeadBucket, GetBucketLocation,
// HeadObject on a path that is only to be probed, or a List without the whole prefix
// and its slash: a credential that may touch nothing but "prefix/*" works. Policy
// writes the policy for one.
//
// # Requests
//
// An object of less than store.PartSize is one PUT, a larger one a multipart upload
// whose parts go up side by side as the body gives them. A Put holds no copy of a part
// and no file. What a killed Put leaves is an unfinished upload, which is no object
// and which Store shows as store.Remains.
//
// Objects that must not be there yet are put with If-None-Match: *. If that is refused
// after an attempt of the same Put whose answer was lost, the object is looked up: one
// of the right size and ETag is ours.
//
// Every PUT carries Content-MD5, computed beforehand. That is the one checksum that AWS
// (Object Lock buckets included, which demand one) and every other server know, and
// the same sum predicts the ETag, by which lost answers are settled; it costs a tenth
// of a core at 60 MB/s. The SDK's own checksums are off, as its trailers (aws-chunked)
// are refused by many servers. Over TLS the payload is not signed besides, over plain
// HTTP its SHA-256 is.
//
// # Failures
//
// Config.Retries attempts are made, with growing, jittered pauses. A throttled request
// (503, 429, SlowDown) may be made three times as often, and slows down all others of
// the Store, which speed up again as they succeed. Retry-After is honoured. A request
// on which nothing moves for Config.Timeout is broken off and made again. A body that
// breaks off is continued from where it was by a request of the rest, pinned to the
// same ETag. A lost race for credentials that expire, a clock that is wrong and a
// bucket in another region of AWS are put right by themselves.
//
// # Servers
//
// What is known of them, and what is done about it:
//
//   - Google Cloud Storage changes Accept-Encoding on the way, so it is not sent and
//     not signed. It answers 404 to a Delete of a missing object, which is taken for
//     done, has no part copy (larger copies say errors.ErrUnsupported), and no
//     If-None-Match on a PUT.
//   - A server that answers 501 to If-None-Match (Google, Backblaze B2, old Ceph) is
//     remembered, and is asked by a List before such a Put. Of two Puts at the same
//     moment both may then succeed. One that ignores the header without a word (old
//     versions of Ceph, MinIO, SeaweedFS and Wasabi) cannot be told apart; Probe says so.
//   - Ceph, Garage and versitygw take minutes for the end of a large multipart upload
//     or a copy without sending a byte, where AWS sends blanks: these two requests have
//     ten times the Timeout.
//   - Cloudflare R2 demands that all parts but the last are of one length, which they
//     are.
//   - A Complete that has been done and is asked for again is an error everywhere but
//     at AWS: the object is looked up.
//   - With SSE-KMS, and at servers that encrypt or compress, an ETag is no MD5. It is
//     compared only where it can be one and the server says nothing else.
//   - Garage and SeaweedFS may not honour encoding-type in a List: keys are decoded
//     only where the answer says that they are encoded.
//   - A range that begins behind the end is 416 from all of them, for an empty object
//     too; it is no error here.
//   - Hetzner's and old Ceph's 404 for a bucket that exists in another region reads as
//     "no such bucket".
//
// # Concurrency
//
// A Store is safe for concurrent use. At most Config.Parts uploads of parts are under
// way in all of its Puts together; gets are as many as are called for.
package s3store

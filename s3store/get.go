package s3store

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"hindsight/chain/store"
)

// Get opens a range of an object. A body that breaks off is continued by a request
// for the rest, of the same version only.
func (s *Store) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	if err := begin(ctx, name); err != nil {
		return nil, opError(opGet, name, err)
	}
	if off < 0 {
		return nil, opError(opGet, name, errors.New("negative offset"))
	}
	end := int64(math.MaxInt64) // exclusive, as far as is known
	if length >= 0 && length < math.MaxInt64-off {
		end = off + length
	}
	r := &reader{s: s, ctx: ctx, name: name, start: off, pos: off, end: end, size: -1}
	if err := r.open(); err != nil {
		return nil, opError(opGet, name, err)
	}
	return r, nil
}

// reader is a range of an object that is being read.
type reader struct {
	s    *Store
	ctx  context.Context // of the Get, which covers the reads
	name string
	etag string // of the version that is read

	size int64 // of the object; -1: not known

	body  io.ReadCloser // nil: there is nothing more to read
	pos   int64         // of the next byte
	end   int64         // of the range; lowered to what there is
	exact bool          // end is where the range does end

	start int64        // of the range
	sum   maphash.Hash // of the bytes from start to pos

	since int64 // bytes since the last request
	idle  int   // requests that brought little
	err   error // sticks
}

// open makes a request for what is left.
func (r *reader) open() error {
	r.since = 0
	return r.s.do(withContent(r.ctx), "get "+r.name, func(ctx context.Context, _ call) error {
		in := &s3.GetObjectInput{Bucket: r.s.bucket(), Key: r.s.key(r.name), Range: r.header()}
		if r.etag != "" {
			in.IfMatch = aws.String(`"` + r.etag + `"`)
		}
		out, err := r.s.client.GetObject(ctx, in, r.s.options)
		if err != nil {
			if e := describe(err); e.Status == http.StatusRequestedRangeNotSatisfiable || e.Code == "InvalidRange" {
				r.end, r.exact, r.body = r.pos, true, nil
				return nil
			}
			if e := describe(err); r.etag != "" && e.Status == http.StatusPreconditionFailed {
				return errChanged
			}
			return err
		}
		if err := r.begin(out); err != nil {
			return errors.Join(err, out.Body.Close())
		}
		return nil
	})
}

// errChanged ends a read when the version that was begun is not there any more.
var errChanged = errors.New("it was replaced while it was read")

// header is the range that is asked for, always one, as the answer then tells the
// object's size even if it is cut. An empty one cannot be: a byte is read in its place,
// to learn whether the object is there.
func (r *reader) header() *string {
	if r.end == math.MaxInt64 {
		return aws.String(fmt.Sprintf("bytes=%d-", r.pos))
	}
	return aws.String(fmt.Sprintf("bytes=%d-%d", r.pos, max(r.end-1, r.pos)))
}

// begin takes an answer: it must be of the range that was asked for, and of the same
// version as those before.
func (r *reader) begin(out *s3.GetObjectOutput) error {
	etag := trimETag(out.ETag)
	if r.etag != "" && etag != "" && etag != r.etag {
		return errChanged
	}
	first, size, ranged := contentRange(aws.ToString(out.ContentRange))
	switch {
	case ranged && first != r.pos:
		return fmt.Errorf("the server sends bytes from %d, asked for those from %d", first, r.pos)
	case !ranged && r.pos > 0:
		return errors.New("the server does not know ranges")
	}
	if !ranged && out.ContentLength != nil {
		size = *out.ContentLength
	}
	if size >= 0 {
		if r.size >= 0 && size != r.size {
			return errChanged
		}
		r.size = size
		r.end, r.exact = max(min(r.end, size), r.pos), true
	}
	r.etag, r.body = etag, out.Body
	return nil
}

// contentRange reads "bytes FIRST-LAST/SIZE". A size that is not told is -1.
func contentRange(h string) (first, size int64, ok bool) {
	rest, ok := strings.CutPrefix(h, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	from, _, ok3 := strings.Cut(span, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	if !ok || !ok2 || !ok3 || err != nil || first < 0 {
		return 0, -1, false
	}
	if size, err = strconv.ParseInt(total, 10, 64); err != nil || size < 0 {
		size = -1
	}
	return first, size, true
}

// littleProgress is what a request must have brought for it not to count as a failure
// when its body breaks off.
const littleProgress = 64 << 10 // bytes

// Read reads on, over as many requests as it takes.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.ctx.Err() != nil {
			return 0, r.fail(context.Cause(r.ctx))
		}
		if r.body == nil || r.pos >= r.end {
			return 0, io.EOF
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.pos)])
		r.pos += int64(n)
		r.since += int64(n)
		if n > 0 {
			r.sum.Write(p[:n])
			return n, nil // an error comes again, or the next request tells it
		}
		if err == io.EOF && (!r.exact || r.pos == r.end) {
			r.end = r.pos
			return 0, io.EOF
		}
		if err != nil {
			if err := r.resume(err); err != nil {
				return 0, r.fail(err)
			}
		}
	}
}

// resume asks for the rest after a body broke off.
func (r *reader) resume(cause error) error {
	_ = r.body.Close() // it is broken anyway
	r.body = nil
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if r.since >= littleProgress {
		r.idle = 0
	} else if r.idle++; r.idle >= r.s.c.Retries {
		return fmt.Errorf("the answer broke off at byte %d: %w", r.pos, cause)
	}
	r.s.log.Info("an answer broke off and is continued", "object", r.name, "offset", r.pos, "error", cause)
	if r.idle > 0 {
		if err := sleep(r.ctx, jitter(r.s.c.Backoff)); err != nil {
			return err
		}
	}
	if r.etag == "" {
		return r.restart()
	}
	if err := r.open(); !errors.Is(err, errChanged) {
		return err
	}
	return r.restart()
}

// restart begins anew where the version is not the one that was begun, or its ETag was
// wrong: the bytes that were given out already must be the same.
func (r *reader) restart() error {
	at, given := r.pos, r.sum.Sum64()
	var again maphash.Hash
	again.SetSeed(r.sum.Seed())
	r.etag, r.pos = "", r.start
	if err := r.open(); err != nil {
		return err
	}
	r.pos = at
	if r.body == nil || r.end < at {
		return errChanged
	}
	if _, err := io.CopyN(&again, r.body, at-r.start); err != nil {
		r.etag, r.body = "", brokenBody{r.body, err} // for the next restart
		return nil
	}
	if again.Sum64() != given {
		return errChanged
	}
	return nil
}

// brokenBody is a body that has broken off.
type brokenBody struct {
	io.Closer
	err error
}

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }

func (r *reader) fail(err error) error {
	r.err = opError(opGet, r.name, err)
	return r.err
}

// Close gives the connection back, or ends it if not all was read.
func (r *reader) Close() error {
	if r.err == nil {
		r.err = &store.Error{Op: "get", Name: r.name, Err: errors.New("read after close")}
	}
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	_ = body.Close() // nothing is written by it
	return nil
}

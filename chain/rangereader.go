package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"hindsight/chain/codec"
	"hindsight/chain/pgp"
)

// Limits of one request of a RangeReader, in bytes; a single block may be larger.
const (
	maxRequest = 4 << 20  // stored
	maxDecoded = 16 << 20 // plain
	maxGap     = 64 << 10 // stored bytes that nobody wants, fetched rather than asked twice
)

// RangeReader reads an object in the middle, by its table. No byte is returned that does
// not match the table's hashes. The manifest's hash and a signature cover whole objects
// and are not checked: who made the table, or had it from a reader of the whole object,
// has seen to them.
//
// It holds nothing between calls but the table, and a call takes what one request brings,
// or some small ones do: 4 MiB stored, 16 MiB plain, and what codec's Table.Decode needs. By a Sequential table
// a call reads the object from its beginning to the last block wanted, and takes what a
// VolumeReader does. It is safe for concurrent use.
type RangeReader struct {
	repo   *Repository
	object Object
	table  *codec.Table
}

// Ranges returns a RangeReader of an object whose table is known; nothing is fetched
// yet. The error is a codec.ErrTable: the table is not the object's. The table must not
// be changed any more.
func (r *Repository) Ranges(o Object, t *codec.Table) (*RangeReader, error) {
	if o.CMS {
		return nil, errCMS(o)
	}
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Key, err)
	}
	if !t.Sequential && (o.Encrypted != (t.Message != nil) || !o.Encrypted && o.Compressed != t.Deflated) {
		return nil, fmt.Errorf("%s: %w: it is of another kind", o.Key, codec.ErrTable)
	}
	if n := len(t.Blocks); n > 0 && !t.Sequential {
		if off, length := t.Range(n-1, n-1); off+length > o.Size {
			return nil, fmt.Errorf("%s: %w: it needs %d bytes and there are %d", o.Key, codec.ErrTable, off+length, o.Size)
		}
	}
	if o.Encrypted && r.Keys == nil {
		return nil, fmt.Errorf("%s: read encrypted object: no keyring", o.Key)
	}
	return &RangeReader{repo: r, object: o, table: t}, nil
}

// Table is the object's table.
func (r *RangeReader) Table() *codec.Table { return r.table }

// Block returns the plain bytes of one block.
func (r *RangeReader) Block(ctx context.Context, block int) ([]byte, error) {
	var got []byte
	err := r.Each(ctx, []int{block}, func(_ int, plain []byte) error {
		got = plain
		return nil
	})
	return got, err
}

// Each calls fn with the plain bytes of every block in want, in that order, which must
// be ascending without repetition. fn may keep them, or Recycle them one day. Blocks near to each other are
// fetched by one request and decoded in parallel.
//
// What is wrong with the stored bytes is a *CorruptError that names object and offset,
// and so is, with an error of package pgp, a session key that cannot be had. Errors of the
// store, of the context and of fn are returned as they are.
func (r *RangeReader) Each(ctx context.Context, want []int, fn func(block int, plain []byte) error) error {
	return r.EachHead(ctx, want, nil, fn)
}

// EachHead is as Each, but may decode of the k-th block only its first heads[k] bytes, and
// compares them with no hash unless that is all of it: the caller has one of what lies in
// them.
func (r *RangeReader) EachHead(ctx context.Context, want []int, heads []int32, fn func(block int, plain []byte) error) error {
	if r.table.Sequential {
		return r.sequence(ctx, want, fn)
	}
	if err := r.check(want); err != nil {
		return err
	}
	q := newRequests(ctx, r)
	defer q.close()
	for len(want) > 0 || len(q.under) > 0 {
		for len(want) > 0 {
			next, room := q.next(want)
			if !room {
				break
			}
			want = want[len(next.want):]
			if heads != nil {
				next.heads, heads = heads[:len(next.want)], heads[len(next.want):]
			}
			q.start(next)
		}
		done := q.wait()
		if done.err != nil {
			return done.err
		}
		for i, p := range done.plain {
			done.plain[i] = nil // which is fn's alone then
			if err := fn(done.want[i], p); err != nil {
				return err
			}
		}
	}
	return nil
}

// check refuses blocks that are not there, or not in order.
func (r *RangeReader) check(want []int) error {
	last := -1
	for _, b := range want {
		if b <= last || b >= len(r.table.Blocks) {
			return fmt.Errorf("%s: no block %d after %d", r.object.Key, b, last)
		}
		last = b
	}
	return nil
}

// requests calls do with the blocks that are fetched at once, and the range they need.
func (r *RangeReader) requests(want []int, do func(want []int, off, length int64) error) error {
	if err := r.check(want); err != nil {
		return err
	}
	for len(want) > 0 {
		n, off, length := r.request(want)
		if err := do(want[:n], off, length); err != nil {
			return err
		}
		want = want[n:]
	}
	return nil
}

// request is how many of the blocks are fetched at once, and the range they need.
func (r *RangeReader) request(want []int) (n int, off, length int64) {
	off, length = r.table.Range(want[0], want[0])
	plain := int64(r.table.Blocks[want[0]].Len)
	for n = 1; n < len(want); n++ {
		at, size := r.table.Range(want[n], want[n])
		plain += int64(r.table.Blocks[want[n]].Len)
		end := max(off+length, at+size)
		if at-(off+length) > maxGap || end-off > maxRequest || plain > maxDecoded {
			break
		}
		length = end - off
	}
	return n, off, length
}

// fetch reads and decodes the blocks that lie in a range.
func (r *RangeReader) fetch(ctx context.Context, want []int, heads []int32, off, length int64) (plain [][]byte, err error) {
	err = r.load(ctx, off, length, func(stored []byte, key pgp.SessionKey) error {
		plain, err = r.table.DecodeHeads(want, heads, stored, off, key)
		if err != nil {
			return r.explain(ctx, err)
		}
		return nil
	})
	return plain, err
}

// load calls fn with a range of the object, which is fn's until it returns, and what
// opens it.
func (r *RangeReader) load(ctx context.Context, off, length int64, fn func(stored []byte, key pgp.SessionKey) error) error {
	var key pgp.SessionKey
	if m := r.table.Message; m != nil {
		var err error
		if key, err = r.repo.Keys.SessionKey(ctx, m.ESK, m.Prefix); err != nil {
			return r.explain(ctx, err)
		}
	}
	buf := storedBuffers.Get().(*[]byte)
	defer storedBuffers.Put(buf)
	*buf = slices.Grow((*buf)[:0], int(length))
	stored := (*buf)[:length]
	if err := r.get(ctx, off, stored); err != nil {
		return err
	}
	return fn(stored, key)
}

// Stored is the stored bytes of a block, and what it takes to decode them.
type Stored struct {
	from  *RangeReader
	block int
	bytes []byte
	key   pgp.SessionKey
	plain []byte // of a Sequential table
}

// Decode returns the plain bytes, which may be Recycled. What is wrong with the stored ones
// is a *CorruptError.
func (s *Stored) Decode() ([]byte, error) {
	if s.plain != nil {
		return s.plain, nil
	}
	off, _ := s.from.table.Range(s.block, s.block)
	plain, err := s.from.table.Decode([]int{s.block}, s.bytes, off, s.key)
	if err != nil {
		return nil, &CorruptError{s.from.object.Key, err}
	}
	return plain[0], nil
}

// StoredLen is about how many bytes a block takes that is Stored.
func (r *RangeReader) StoredLen(block int) int64 {
	b := &r.table.Blocks[block]
	if r.table.Sequential {
		return int64(b.Len)
	}
	return int64(b.StoredLen)
}

// Fetch is as Each, but does not decode: that costs many times as much as to fetch what
// lies near, and may be in vain for what is fetched ahead.
func (r *RangeReader) Fetch(ctx context.Context, want []int, fn func(block int, s Stored) error) error {
	if r.table.Sequential {
		return r.sequence(ctx, want, func(b int, plain []byte) error { return fn(b, Stored{plain: plain}) })
	}
	return r.requests(want, func(want []int, off, length int64) error {
		return r.load(ctx, off, length, func(stored []byte, key pgp.SessionKey) error {
			for _, b := range want {
				at, n := r.table.Range(b, b)
				one := Stored{from: r, block: b, bytes: slices.Clone(stored[at-off : at-off+n]), key: key}
				if err := fn(b, one); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// storedBuffers hold what one request brings.
var storedBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Recycle takes back a block that Each gave and nobody uses any more, for its memory.
func (r *RangeReader) Recycle(plain []byte) { codec.Recycle(plain) }

// get reads a range of the stored object.
func (r *RangeReader) get(ctx context.Context, off int64, stored []byte) error {
	rc, err := r.repo.Store.Get(ctx, r.object.Key, off, int64(len(stored)))
	if err != nil {
		return err
	}
	source := &body{ReadCloser: rc}
	n, err := io.ReadFull(source, stored)
	err = errors.Join(err, rc.Close())
	switch {
	case err == nil:
		return nil
	case source.err != nil:
		return sourceError(ctx, r.object.Key, source.err)
	}
	return r.explain(ctx, fmt.Errorf("at %d: %w", off+int64(n), io.ErrUnexpectedEOF))
}

// explain makes an error that is not the context's a *CorruptError.
func (r *RangeReader) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return &CorruptError{r.object.Key, err}
}

// ReadAt reads len(p) plain bytes from offset off of the tar. As io.ReaderAt does, it
// reads fewer only with an error, which is io.EOF at the end. Errors as of Each.
func (r *RangeReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: negative offset", r.object.Key)
	}
	end := min(off+int64(len(p)), r.table.Size())
	var want []int
	for b := r.table.Find(off); b < len(r.table.Blocks) && r.table.Blocks[b].TarOffset < end; b++ {
		want = append(want, b)
	}
	n := 0
	err := r.Each(ctx, want, func(b int, plain []byte) error {
		n += copy(p[n:], plain[off+int64(n)-r.table.Blocks[b].TarOffset:])
		return nil
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

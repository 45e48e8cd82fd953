package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/zeebo/blake3"

	"hindsight/chain/difftar"
	"hindsight/chain/librsync"
	"hindsight/chain/source"
)

const (
	// attempts is how often a small file is read that changes meanwhile.
	attempts = 3
	// maxGrowth is how many bytes a file may grow while it is read; what comes
	// then waits for the next backup, so that a log cannot hold a backup up for ever.
	maxGrowth = 64 << 20
	// maxKept is the longest block, in bytes, for which a reader keeps its buffers.
	maxKept = 64 << 10
)

// reader reads files, one after the other.
type reader struct {
	*run
	hash  *blake3.Hasher
	sums  librsync.SignatureWriter
	sig   bytes.Buffer
	ops   librsync.DeltaWriter
	delta bytes.Buffer
}

func (r *run) newReader() *reader { return &reader{run: r, hash: blake3.New()} }

// file is what is read of the source.
type file interface {
	io.Reader
	Item() *source.Item
	Changed() (bool, error)
	Rewind() error
	Xattrs() ([]source.Xattr, error)
}

// read reads what an object has beside its item: of a regular file the content, or
// the delta, which go to t.parts.
func (rd *reader) read(ctx context.Context, t *task) {
	defer close(t.parts)
	if t.err = ctx.Err(); t.err != nil {
		return
	}
	if t.item.Type != difftar.Regular {
		t.modTime = t.item.ModTime
		rd.readXattrs(t, &t.item, maxKeptXattrs)
		return
	}
	f, err := t.item.Open(ctx)
	if err != nil {
		t.err = err
		return
	}
	defer f.Close()
	rd.readFile(ctx, t, f)
}

// errTooLarge is what becomes of a file that no archive takes: a hole, no doubt, for
// whose signature alone there might be no memory.
var errTooLarge = fmt.Errorf("larger than %d bytes", int64(difftar.MaxSize))

func (rd *reader) readFile(ctx context.Context, t *task, f file) {
	old := rd.basis(t)
	item := f.Item()
	if item.Size > difftar.MaxSize {
		t.err = errTooLarge
		return
	}
	var grown bool
	if item.Size < difftar.PartSize {
		grown, t.err = rd.readSmall(t, f, item, old)
	}
	if item.Size >= difftar.PartSize || grown {
		rd.readLarge(ctx, t, f, old)
	}
}

// readXattrs keeps the extended attributes of an object, if they are no longer than
// limit bytes in all. Without them the object is not less in the backup: the format of the archives
// has no room for them.
func (r *run) readXattrs(t *task, of interface {
	Xattrs() ([]source.Xattr, error)
}, limit int) {
	attrs, err := of.Xattrs()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.Log.Warn("extended attributes could not be read", "path", t.path, "error", err)
		}
		return
	}
	total := 0
	for _, a := range attrs {
		total += len(a.Name) + len(a.Value)
	}
	if t.longXattrs = total > limit; !t.longXattrs {
		t.xattrs = attrs
	}
}

// readSmall reads a file that fits one part, again if it changes meanwhile. If it
// has grown too large for that nothing was done.
func (rd *reader) readSmall(t *task, f file, item *source.Item, old *librsync.Signature) (grown bool, err error) {
	for attempt := 1; ; attempt++ {
		p := newPart(int(item.Size))
		p.n, err = readUpTo(f, *p.buf, int(item.Size))
		var changed bool
		if err == nil && p.n <= int(item.Size) {
			changed, err = f.Changed()
		}
		switch {
		case err != nil:
			p.free()
			return false, err
		case p.n <= int(item.Size) && (!changed || attempt == attempts):
			if changed {
				t.warning = ErrChanged
			}
			rd.readXattrs(t, f, maxKeptXattrs)
			rd.takeSmall(t, p, item, old)
			return false, nil
		}
		// One that says it is empty and is not, as in /proc, is read like a large one.
		p.free()
		if err := f.Rewind(); err != nil {
			return false, err
		}
		if item = f.Item(); item.Size >= difftar.PartSize || attempt == attempts || !changed {
			return true, nil
		}
	}
}

// readUpTo reads size bytes, or less at the end of the file; of a file that is said
// to be empty one byte more, to see whether it is.
func readUpTo(r io.Reader, buf []byte, size int) (n int, err error) {
	for want := max(size, 1); n < want && err == nil; {
		var k int
		k, err = r.Read(buf[n:want])
		n += k
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// takeSmall makes signature and delta of a content that is in memory.
func (rd *reader) takeSmall(t *task, p part, item *source.Item, old *librsync.Signature) {
	t.kind, t.meta, t.modTime, t.size = difftar.Snapshot, item.Meta, item.ModTime, int64(p.n)
	t.hash = blake3.Sum256(p.bytes())
	rd.Progress.Bytes.Add(t.size)
	rd.sig.Reset()
	rd.sums.Reset(&rd.sig, rd.blockLen(t.size))
	rd.sums.Write(p.bytes()) // to memory, which does not fail
	rd.sums.Close()
	t.signature = slices.Clone(rd.sig.Bytes())
	if old != nil && p.n > 0 {
		p.n = rd.shrink(t, p, old)
	}
	t.parts <- p // there is room for one
}

// shrink puts the delta in the content's place, unless that would be no shorter: a
// snapshot needs no older set.
func (rd *reader) shrink(t *task, p part, old *librsync.Signature) int {
	rd.delta.Reset()
	rd.ops.Reset(old, &rd.delta)
	rd.ops.Write(p.bytes()) // to memory
	rd.ops.Close()
	rd.forget(old)
	if rd.delta.Len() >= p.n {
		return p.n
	}
	t.kind = difftar.Diff
	return copy(*p.buf, rd.delta.Bytes())
}

// forget drops buffers that are unusually large.
func (rd *reader) forget(old *librsync.Signature) {
	if old.BlockLen() > maxKept {
		rd.ops = librsync.DeltaWriter{}
	}
}

// readLarge reads a file that takes more than one part, once.
func (rd *reader) readLarge(ctx context.Context, t *task, f file, old *librsync.Signature) {
	item := f.Item()
	t.meta, t.modTime, t.kind = item.Meta, item.ModTime, difftar.Snapshot
	rd.readXattrs(t, f, maxKeptXattrs)
	out := &partWriter{ctx: ctx, parts: t.parts}
	defer out.abort()
	blockLen := rd.blockLen(item.Size)
	var sig bytes.Buffer
	sig.Grow(int(librsync.SignatureSize(item.Size, blockLen)))
	rd.sums.Reset(&sig, blockLen)
	var err error
	if old == nil {
		err = rd.stream(t, f, item.Size, out, out)
	} else {
		t.kind = difftar.Diff
		rd.ops.Reset(old, out)
		in := deltaInput{ops: &rd.ops, buf: newPart(difftar.PartSize)}
		if err = rd.stream(t, f, item.Size, in, out); err == nil {
			err = rd.ops.Close()
		}
		in.buf.free()
		rd.forget(old)
	}
	if err == nil {
		err = out.close()
	}
	if err != nil {
		t.err = err
		return
	}
	rd.sums.Close() // to memory
	t.signature = sig.Bytes()
	if changed, err := f.Changed(); t.warning == nil && (err != nil || changed) {
		t.warning = ErrChanged
	}
}

// input takes a file's content where it is read to.
type input interface {
	space() []byte    // for what is read next; not empty
	take(n int) error // the first n bytes of it
}

// stream reads a file's content for the signature and for in, which makes parts of it
// for out. When reading fails after the first of them was sent, which may be stored
// already, what was read is kept as the file's content, with a warning.
func (rd *reader) stream(t *task, f io.Reader, size int64, in input, out *partWriter) error {
	rd.hash.Reset()
	defer func() { rd.hash.Sum(t.hash[:0]) }()
	limit := size + maxGrowth
	for t.size < limit {
		buf := in.space()
		buf = buf[:min(int64(len(buf)), limit-t.size)]
		n, err := f.Read(buf)
		t.size += int64(n)
		rd.Progress.Bytes.Add(int64(n))
		if n > 0 {
			rd.sums.Write(buf[:n]) // to memory
			rd.hash.Write(buf[:n]) // does not fail
			if terr := in.take(n); terr != nil {
				return terr
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !out.sent:
			return err
		case err != nil:
			t.warning = fmt.Errorf("only its first %d bytes could be read: %w", t.size, err)
			return nil
		}
	}
	t.warning = ErrChanged
	return nil
}

// partWriter cuts what is written into parts (duplicity-format.md §3.4).
type partWriter struct {
	ctx   context.Context
	parts chan<- part
	cur   part
	sent  bool // at least one
}

// space is the rest of the part being filled, into which a file is read without a copy.
func (w *partWriter) space() []byte {
	if w.cur.buf == nil {
		w.cur = newPart(difftar.PartSize)
	}
	return (*w.cur.buf)[w.cur.n:]
}

func (w *partWriter) take(n int) error {
	w.cur.n += n
	if w.cur.n < difftar.PartSize {
		return nil
	}
	return w.send()
}

// deltaInput makes the delta of what is read.
type deltaInput struct {
	ops *librsync.DeltaWriter
	buf part
}

func (d deltaInput) space() []byte { return *d.buf.buf }

func (d deltaInput) take(n int) error {
	_, err := d.ops.Write((*d.buf.buf)[:n])
	return err
}

func (w *partWriter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(w.space(), p[n:])
		n += k
		if err := w.take(k); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (w *partWriter) send() error {
	select {
	case w.parts <- w.cur:
		w.cur, w.sent = part{}, true
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// close sends the last part, which is shorter than the others, and may be empty.
func (w *partWriter) close() error {
	if w.cur.buf == nil {
		w.cur = newPart(0)
	}
	return w.send()
}

func (w *partWriter) abort() {
	if w.cur.buf != nil {
		w.cur.free()
		w.cur = part{}
	}
}

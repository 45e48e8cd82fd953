package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"hindsight/chain/store"
)

// Record is one operation that an OpLog has seen.
type Record struct {
	Op       Op
	Name     string // object, or the prefix of a List
	Src      string // of a Copy
	Off, Len int64  // range asked for by a Get
	Bytes    int64  // really read by a Get, or taken by a Put
	Objects  int    // yielded by a List
	IfAbsent bool
	Err      string // what kind of error, or empty: see String
}

// String is the operation as one line: "get NAME off=0 len=-1 read=512". An error is
// told at its end by its kind alone, "err=not-exist", as texts differ from store to
// store. Names that hold spaces or control characters are quoted.
func (r Record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Op, quote(r.Name))
	switch r.Op {
	case Get:
		fmt.Fprintf(&b, " off=%d len=%d read=%d", r.Off, r.Len, r.Bytes)
	case Put:
		fmt.Fprintf(&b, " size=%d", r.Bytes)
		if r.IfAbsent {
			b.WriteString(" if-absent")
		}
	case Copy:
		b.WriteString(" from=" + quote(r.Src))
	case List, ListRemains:
		fmt.Fprintf(&b, " objects=%d", r.Objects)
	}
	if r.Err != "" {
		b.WriteString(" err=" + r.Err)
	}
	return b.String()
}

func quote(name string) string {
	if q := fmt.Sprintf("%q", name); name == "" || strings.Contains(name, " ") || q != `"`+name+`"` {
		return q
	}
	return name
}

// errKind is the word for err in a Record.
func errKind(err error) string {
	if err == nil {
		return ""
	}
	for _, k := range []struct {
		err  error
		word string
	}{
		{store.ErrNotExist, "not-exist"}, {store.ErrExist, "exist"}, {store.ErrPermission, "permission"},
		{store.ErrNoSpace, "no-space"}, {store.ErrName, "name"}, {errors.ErrUnsupported, "unsupported"},
		{context.Canceled, "canceled"}, {context.DeadlineExceeded, "deadline"},
	} {
		if errors.Is(err, k.err) {
			return k.word
		}
	}
	return "other"
}

// Total is what one object, or all, have cost.
type Total struct {
	Name     string
	Requests int
	Read     int64 // bytes read by gets
	Written  int64 // bytes taken by puts
}

// OpLog is a store that records what is asked of it, in the order in which the
// operations began. It is also a Copier, Remains and ShortParts; where the store within is not,
// these fail with errors.ErrUnsupported.
type OpLog struct {
	inner store.Store

	mu      sync.Mutex
	records []*Record
}

var (
	_ store.Store      = (*OpLog)(nil)
	_ store.Copier     = (*OpLog)(nil)
	_ store.Remains    = (*OpLog)(nil)
	_ store.ShortParts = (*OpLog)(nil)
)

// NewOpLog returns inner with a record of its operations.
func NewOpLog(inner store.Store) *OpLog { return &OpLog{inner: inner} }

// begin enters r. Its later changes go through update.
func (l *OpLog) begin(r Record) *Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, &r)
	return &r
}

func (l *OpLog) update(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *OpLog) end(r *Record, err error) error {
	l.update(func() { r.Err = errKind(err) })
	return err
}

// Records returns a copy of the records. Bytes of a Get are those read so far.
func (l *OpLog) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	rs := make([]Record, len(l.records))
	for i, r := range l.records {
		rs[i] = *r
	}
	return rs
}

// String is all records, one a line.
func (l *OpLog) String() string {
	var b strings.Builder
	for _, r := range l.Records() {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// Reset forgets all records.
func (l *OpLog) Reset() { l.update(func() { l.records = nil }) }

// Totals adds up per name, sorted by name. Lists count for their prefix.
func (l *OpLog) Totals() []Total {
	byName := make(map[string]*Total)
	for _, r := range l.Records() {
		t := byName[r.Name]
		if t == nil {
			t = &Total{Name: r.Name}
			byName[r.Name] = t
		}
		t.add(r)
	}
	var ts []Total
	for t := range maps.Values(byName) {
		ts = append(ts, *t)
	}
	slices.SortFunc(ts, func(a, b Total) int { return cmp.Compare(a.Name, b.Name) })
	return ts
}

// Sum adds up the records of the given operations, or of all if none is given.
func (l *OpLog) Sum(ops ...Op) Total {
	var t Total
	for _, r := range l.Records() {
		if len(ops) == 0 || slices.Contains(ops, r.Op) {
			t.add(r)
		}
	}
	return t
}

func (t *Total) add(r Record) {
	t.Requests++
	switch r.Op {
	case Get:
		t.Read += r.Bytes
	case Put:
		t.Written += r.Bytes
	}
}

// List is described at store.Store. It is recorded once per loop over it.
func (l *OpLog) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return l.list(List, prefix, l.inner.List(ctx, prefix))
}

func (l *OpLog) list(op Op, prefix string, inner iter.Seq2[store.Object, error]) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		r := l.begin(Record{Op: op, Name: prefix})
		for o, err := range inner {
			if err != nil {
				l.end(r, err)
			} else {
				l.update(func() { r.Objects++ })
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// Get is described at store.Store.
func (l *OpLog) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	r := l.begin(Record{Op: Get, Name: name, Off: off, Len: length})
	rc, err := l.inner.Get(ctx, name, off, length)
	if err != nil {
		return nil, l.end(r, err)
	}
	return &logReader{ReadCloser: rc, log: l, rec: r}, nil
}

type logReader struct {
	io.ReadCloser
	log *OpLog
	rec *Record
}

func (lr *logReader) Read(p []byte) (int, error) {
	n, err := lr.ReadCloser.Read(p)
	lr.log.update(func() {
		lr.rec.Bytes += int64(n)
		if err != nil && err != io.EOF {
			lr.rec.Err = errKind(err)
		}
	})
	return n, err
}

// Put is described at store.Store.
func (l *OpLog) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	r := l.begin(Record{Op: Put, Name: name, IfAbsent: opt.IfAbsent})
	return l.end(r, l.inner.Put(ctx, name, &logBody{Body: body, log: l, rec: r}, opt))
}

type logBody struct {
	store.Body
	log *OpLog
	rec *Record
}

func (b *logBody) Next(ctx context.Context) (store.Part, error) {
	p, err := b.Body.Next(ctx)
	if err == nil {
		b.log.update(func() { b.rec.Bytes += int64(len(p.Data)) })
	}
	return p, err
}

// Delete is described at store.Store.
func (l *OpLog) Delete(ctx context.Context, name string) error {
	r := l.begin(Record{Op: Delete, Name: name})
	return l.end(r, l.inner.Delete(ctx, name))
}

// Copy is described at store.Copier. It counts for the new object.
func (l *OpLog) Copy(ctx context.Context, src, dst string) error {
	r := l.begin(Record{Op: Copy, Name: dst, Src: src})
	return l.end(r, copyIn(ctx, l.inner, src, dst))
}

// ListRemains is described at store.Remains.
func (l *OpLog) ListRemains(ctx context.Context, olderThan time.Time) iter.Seq2[store.Object, error] {
	return l.list(ListRemains, "", listRemainsIn(ctx, l.inner, olderThan))
}

// DeleteRemains is described at store.Remains.
func (l *OpLog) DeleteRemains(ctx context.Context, name string) error {
	r := l.begin(Record{Op: DeleteRemains, Name: name})
	return l.end(r, deleteRemainsIn(ctx, l.inner, name))
}

// Close closes the store within.
func (l *OpLog) Close() error { return l.inner.Close() }

// PartSize is described at store.ShortParts.
func (l *OpLog) PartSize() int { return store.PartSizeOf(l.inner) }

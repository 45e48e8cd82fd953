package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"hindsight/chain/store"
)

// Mem is a store in memory. It starts empty, as does its zero value.
type Mem struct {
	// Now is the clock that dates objects; time.Now if nil. It is set before use.
	Now func() time.Time

	mu      sync.Mutex
	objects map[string]memObject
}

// memObject is never changed once it is in the map, so readers share its bytes.
type memObject struct {
	data []byte
	time time.Time
}

var (
	_ store.Store  = (*Mem)(nil)
	_ store.Copier = (*Mem)(nil)
)

// NewMem returns an empty store.
func NewMem() *Mem { return &Mem{} }

// Clone returns a store with the same objects, to go on from one state in several
// ways.
func (m *Mem) Clone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Mem{Now: m.Now, objects: maps.Clone(m.objects)}
}

// Names returns the names of all objects, sorted.
func (m *Mem) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

// Size is the number of bytes in all objects.
func (m *Mem) Size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var n int64
	for _, o := range m.objects {
		n += int64(len(o.data))
	}
	return n
}

func (m *Mem) lookup(name string) (memObject, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[name]
	return o, ok
}

// keep stores o, unless ifAbsent forbids it, and says whether it did.
func (m *Mem) keep(name string, data []byte, ifAbsent bool) bool {
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[name]; ok && ifAbsent {
		return false
	}
	if m.objects == nil {
		m.objects = make(map[string]memObject)
	}
	m.objects[name] = memObject{data: data, time: now()}
	return true
}

// List yields the objects that were there when it began, sorted by name.
func (m *Mem) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		for _, name := range m.Names() {
			if err := ctx.Err(); err != nil {
				yield(store.Object{}, opError("list", prefix, err))
				return
			}
			o, ok := m.lookup(name)
			if !ok || !strings.HasPrefix(name, prefix) {
				continue
			}
			if !yield(store.Object{Name: name, Size: int64(len(o.data)), Time: o.time}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(store.Object{}, opError("list", prefix, err))
		}
	}
}

// Get is described at store.Store.
func (m *Mem) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	if err := errors.Join(ctx.Err(), store.CheckName(name)); err != nil {
		return nil, opError("get", name, err)
	}
	if off < 0 {
		return nil, opError("get", name, errors.New("negative offset"))
	}
	o, ok := m.lookup(name)
	if !ok {
		return nil, opError("get", name, store.ErrNotExist)
	}
	data := o.data[min(off, int64(len(o.data))):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	return &memReader{ctx: ctx, r: *bytes.NewReader(data)}, nil
}

type memReader struct {
	ctx context.Context // of the Get, which covers the reads
	r   bytes.Reader
}

func (r *memReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (r *memReader) Close() error { return nil }

// Put is described at store.Store.
func (m *Mem) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	if err := errors.Join(ctx.Err(), store.CheckName(name)); err != nil {
		return opError("put", name, err)
	}
	var data []byte
	err := store.EachPart(ctx, body, func(part []byte) error {
		data = append(data, part...)
		return nil
	})
	if err != nil {
		return opError("put", name, err)
	}
	if !m.keep(name, data, opt.IfAbsent) {
		return opError("put", name, store.ErrExist)
	}
	return nil
}

// Delete is described at store.Store.
func (m *Mem) Delete(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), store.CheckName(name)); err != nil {
		return opError("delete", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

// Copy is described at store.Copier.
func (m *Mem) Copy(ctx context.Context, src, dst string) error {
	if err := errors.Join(ctx.Err(), store.CheckName(src), store.CheckName(dst)); err != nil {
		return opError("copy", dst, err)
	}
	o, ok := m.lookup(src)
	if !ok {
		return opError("copy", src, store.ErrNotExist)
	}
	m.keep(dst, o.data, false)
	return nil
}

// Close does nothing: the objects stay.
func (m *Mem) Close() error { return nil }

func opError(op, name string, err error) error {
	return &store.Error{Op: op, Name: name, Err: err}
}

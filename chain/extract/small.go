package extract

import (
	"context"
	"errors"
	"io"

	"hindsight/chain/difftar"
)

// smallFile is a file that is whole in one entry.
type smallFile struct {
	handle Handle
	path   string
	meta   difftar.Meta
	size   int
	check  *contentCheck // nil: none is made
	promise
}

// batch is small files that one task of the writers makes, their bytes one behind
// the other.
type batch struct {
	files []smallFile
	data  []byte // a buffer of the writers; nil: the batch is empty
}

// maxBatch bounds the files of a batch: many are empty in some trees.
const maxBatch = 64

// small takes in a file that is whole in one entry.
func (w *volumeReader) small(en *difftar.Entry, k *knownPath) error {
	b, size := &w.batch, int(en.Size)
	if b.data != nil && (len(b.data)+size > cap(b.data) || len(b.files) == maxBatch) {
		w.flush()
	}
	if b.data == nil {
		b.data = w.writers.buffer()
	}
	end := len(b.data)
	if _, err := io.ReadFull(w.vr, b.data[end:end+size]); err != nil {
		return dataError{err}
	}
	f := smallFile{handle: w.newHandle(), path: en.Path, meta: en.Meta, size: size, promise: w.content}
	if k != nil {
		f.check = newContentCheck(&w.blocks, k.fingerprint)
	}
	if err := w.record(f.path, &record{state: done, handle: f.handle, size: en.Size}); err != nil {
		return err
	}
	b.data, b.files = b.data[:end+size], append(b.files, f)
	return nil
}

// flush hands the small files taken in so far to the writers.
func (w *volumeReader) flush() {
	b := w.batch
	w.batch = batch{}
	if b.data == nil {
		return
	}
	w.work.Add(1)
	w.writers.do(func() {
		defer w.work.Done()
		defer w.writers.free(b.data)
		data := b.data
		for i := range b.files {
			f := &b.files[i]
			w.writeSmall(f, data[:f.size])
			data = data[f.size:]
		}
	})
}

// writeSmall makes one small file.
func (w *volumeReader) writeSmall(f *smallFile, data []byte) {
	if w.writers.ctx.Err() != nil {
		w.outcome(f.handle, context.Cause(w.writers.ctx))
		return
	}
	if !f.kept(data) {
		w.outcome(f.handle, &PathError{f.path, ErrContent})
		return
	}
	if f.check != nil {
		err := f.check.add(data, 0)
		if err == nil {
			err = f.check.finish(int64(len(data)))
		}
		if err != nil {
			if errors.Is(err, ErrContent) {
				err = &PathError{f.path, err}
			}
			w.outcome(f.handle, err)
			return
		}
	}
	err := w.Sink.WriteFile(f.handle, f.path, &f.meta, data)
	if err == nil {
		w.Progress.Files.Add(1)
		w.Progress.Bytes.Add(int64(len(data)))
	}
	w.outcome(f.handle, err)
}

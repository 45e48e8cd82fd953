package toc

import (
	"fmt"
	"io"
)

// EntryWriter writes the entries of a set apart from the rest of its toc, which is
// known only when all volumes are: [Writer.CopyEntries] takes over the bytes as they
// are. Errors of the destination stick. It is for one goroutine.
type EntryWriter struct {
	rec   *recordWriter
	enc   encoder
	count int64
}

// NewEntryWriter returns an EntryWriter to dst.
func NewEntryWriter(dst io.Writer) *EntryWriter {
	return &EntryWriter{rec: &recordWriter{dst: dst}}
}

// Write writes an entry, behind the last one in difftar.Compare's order. Ops that are
// more than MaxOps are written as OpsUnknown. An entry that cannot be written is an
// error that leaves nothing. e is not kept.
func (w *EntryWriter) Write(e *Entry) error {
	if w.rec.err != nil {
		return w.rec.err
	}
	payload, err := w.enc.encode(e)
	if err != nil {
		return fmt.Errorf("write portable index: %w", err)
	}
	if err := w.rec.record(tagEntry, payload); err != nil {
		return err
	}
	w.count++
	return nil
}

// Count is the number of entries written.
func (w *EntryWriter) Count() int64 { return w.count }

// Flush hands everything that was written to the destination.
func (w *EntryWriter) Flush() error { return w.rec.flush() }

// EntryReader reads what an EntryWriter wrote. Memory is bounded by a few times the
// longest entry's record. Errors stick. It is for one goroutine.
type EntryReader struct {
	rec   recordReader
	dec   decoder
	entry Entry
	err   error
}

// NewEntryReader returns an EntryReader of src.
func NewEntryReader(src io.Reader) *EntryReader {
	return &EntryReader{rec: recordReader{src: src}}
}

// Next returns the next entry. It stays valid until the call after, but for strings,
// which may be kept. The error is io.EOF where src ends between entries, else wraps
// ErrFormat, io.ErrUnexpectedEOF or src's.
func (r *EntryReader) Next() (*Entry, error) {
	if r.err == nil {
		r.err = r.next()
	}
	if r.err != nil {
		return nil, r.err
	}
	return &r.entry, nil
}

func (r *EntryReader) next() error {
	for {
		tag, payload, err := r.rec.next()
		if err != nil {
			return err
		}
		if tag == tagEntry {
			return r.rec.entry(&r.dec, payload, &r.entry)
		}
		r.rec.skipped = true
	}
}

package toc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/blake3"
)

// stage is how far a toc has come: records of one stage follow those of the last.
type stage uint8

const (
	atVolumes stage = iota
	atSignatures
	atEntries
	atEnd
)

var errStage = errors.New("write portable index: out of order")

// Writer writes a toc: volumes, then the signatures, then entries, then Close. The bytes
// depend on what is written alone. Errors of the destination stick; anything that
// cannot be written is an error that leaves nothing. It is for one goroutine.
type Writer struct {
	rec     *recordWriter
	entries EntryWriter
	copied  bool  // the entries
	count   int64 // of those
	stage   stage
	volume  int // number of the last
	volumes int64
	buf     []byte
}

// NewWriter returns a Writer of the toc of a set to dst. A header that makes no sense is
// an error of whatever is called next.
func NewWriter(dst io.Writer, h Header) *Writer {
	rec := &recordWriter{dst: dst, hash: blake3.New()}
	w := &Writer{rec: rec, entries: EntryWriter{rec: rec}}
	if err := h.check(); err != nil {
		rec.err = fmt.Errorf("write portable index: %w", err)
		return w
	}
	rec.buf = append(rec.buf, magic...)
	rec.buf = binary.AppendUvarint(rec.buf, Version)
	w.buf = appendHeader(w.buf, h)
	rec.record(tagHeader, w.buf) // its error sticks
	return w
}

// enter begins a stage, or goes on with it.
func (w *Writer) enter(s stage) error {
	if w.rec.err != nil {
		return w.rec.err
	}
	if s < w.stage {
		return errStage
	}
	w.stage = s
	return nil
}

// Volume writes a volume; their numbers ascend. A table too large for a record is left
// out.
func (w *Writer) Volume(v *Volume) error {
	err := v.check()
	if err == nil && v.Number <= w.volume {
		err = fmt.Errorf("after volume %d", w.volume)
	}
	if err != nil {
		return fmt.Errorf("write portable index: volume %d: %w", v.Number, err)
	}
	if err := w.enter(atVolumes); err != nil {
		return err
	}
	w.buf = binary.AppendUvarint(w.buf[:0], uint64(v.Number))
	w.buf = appendObject(w.buf, &v.Object, MaxRecord)
	if err := w.rec.record(tagVolume, w.buf); err != nil {
		return err
	}
	w.volume = v.Number
	w.volumes++
	return nil
}

// Signatures writes the set's signatures. It may be left out.
func (w *Writer) Signatures(s *Object) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("write portable index: signatures: %w", err)
	}
	if err := w.enter(atSignatures); err != nil {
		return err
	}
	w.stage = atEntries
	w.buf = appendObject(w.buf[:0], s, MaxRecord)
	return w.rec.record(tagSignatures, w.buf)
}

// Entry writes an entry; see EntryWriter.Write.
func (w *Writer) Entry(e *Entry) error {
	if w.copied {
		return errStage
	}
	if err := w.enter(atEntries); err != nil {
		return err
	}
	return w.entries.Write(e)
}

// CopyEntries takes over what an EntryWriter wrote, n entries, as they are. They are
// all that the toc gets. An error of src sticks.
func (w *Writer) CopyEntries(src io.Reader, n int64) error {
	if w.copied || w.entries.Count() > 0 {
		return errStage
	}
	if err := w.enter(atEntries); err != nil {
		return err
	}
	w.copied, w.count = true, n
	buf := make([]byte, bufferSize)
	for {
		k, err := src.Read(buf)
		if err := w.rec.write(buf[:k]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			w.rec.err = fmt.Errorf("write portable index: copy entries: %w", err)
			return w.rec.err
		}
	}
}

// Close ends the toc. It does not close the destination.
func (w *Writer) Close() error {
	if w.stage == atEnd {
		return errStage
	}
	if err := w.enter(atEnd); err != nil {
		return err
	}
	w.buf = binary.AppendUvarint(w.buf[:0], uint64(w.volumes))
	w.buf = binary.AppendUvarint(w.buf, uint64(w.count+w.entries.Count()))
	return w.rec.trailer(w.buf)
}

package manifest

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
)

// Writer writes a manifest, byte for byte as duplicity writes it. When a method has
// returned nil its text has gone to the underlying writer, so that a checkpoint may
// follow; there is nothing to close. After an error every call returns that error.
type Writer struct {
	w      io.Writer
	buf    []byte
	err    error
	listed bool
}

// NewWriter returns a Writer on w. The head of the manifest goes out with the first
// volume or Filelist. hostname and localdir are left out if empty; with both empty
// the Writer goes on with a manifest that was begun before.
func NewWriter(w io.Writer, hostname, localdir string) *Writer {
	mw := &Writer{w: w}
	if strings.Contains(hostname, "\n") {
		mw.err = errors.New("write manifest: line end in the host name")
		return mw
	}
	if len(localdir) > MaxPath {
		mw.err = fmt.Errorf("write manifest: source directory longer than %d bytes", MaxPath)
		return mw
	}
	if hostname != "" {
		mw.buf = append(mw.buf, "Hostname "...)
		mw.buf = append(mw.buf, hostname...)
		mw.endLine(0)
	}
	if start := len(mw.buf); localdir != "" {
		mw.buf = append(mw.buf, "Localdir "...)
		mw.buf = appendQuoted(mw.buf, localdir)
		mw.endLine(start)
	}
	return mw
}

// Volume writes the entry of a volume. Numbers need not ascend: a resumed backup
// logs its last volume again. What a reader would refuse is an error.
func (w *Writer) Volume(v Volume) error {
	if w.err != nil {
		return w.err
	}
	if err := w.checkVolume(v); err != nil {
		return w.fail(err)
	}
	w.buf = append(w.buf, "Volume "...)
	w.buf = strconv.AppendInt(w.buf, int64(v.Number), 10)
	w.buf = append(w.buf, ":\n"...)
	w.position("    StartingPath   ", v.Start)
	w.position("    EndingPath     ", v.End)
	for _, h := range v.Hashes {
		start := len(w.buf)
		w.buf = append(w.buf, "    Hash "...)
		w.buf = append(w.buf, h.Algorithm...)
		w.buf = append(w.buf, ' ')
		w.buf = append(w.buf, h.Hex...)
		w.endLine(start)
	}
	return w.flush()
}

// checkVolume makes sure that the entry can be read again.
func (w *Writer) checkVolume(v Volume) error {
	if w.listed {
		return fmt.Errorf("volume %d after the Filelist", v.Number)
	}
	if v.Number < 1 || v.Number > MaxVolumes {
		return fmt.Errorf("volume number %d is not 1 to %d", v.Number, MaxVolumes)
	}
	for _, pos := range []Position{v.Start, v.End} {
		if pos.Block < 0 || pos.Block > MaxBlock {
			return fmt.Errorf("volume %d: block number %d is not 0 to %d", v.Number, pos.Block, MaxBlock)
		}
		if err := checkPath(pos.Path); err != nil {
			return fmt.Errorf("volume %d: %w", v.Number, err)
		}
	}
	if len(v.Hashes) > MaxHashes {
		return fmt.Errorf("volume %d: more than %d hashes", v.Number, MaxHashes)
	}
	for _, h := range v.Hashes {
		if err := h.check(); err != nil {
			return fmt.Errorf("volume %d: %w", v.Number, err)
		}
	}
	return nil
}

// position appends a line. No block is written as a space, so that the line ends in
// two of them.
func (w *Writer) position(field string, pos Position) {
	start := len(w.buf)
	w.buf = append(w.buf, field...)
	w.buf = appendPath(w.buf, pos.Path)
	w.buf = append(w.buf, ' ')
	if pos.Block == 0 {
		w.buf = append(w.buf, ' ')
	} else {
		w.buf = strconv.AppendInt(w.buf, int64(pos.Block), 10)
	}
	w.endLine(start)
}

// Filelist writes what became of the regular files; it comes last and at most once.
// n is the number of changes that follow, from 0 to 2^40; it stands before them and must
// be right. Nil is no changes. The word of a change must be New, Changed or Deleted.
func (w *Writer) Filelist(n int, changes iter.Seq2[Change, error]) error {
	const batch = 32 << 10 // bytes
	if w.err != nil {
		return w.err
	}
	if w.listed {
		return w.fail(errors.New("a second Filelist"))
	}
	if n < 0 || n > maxListed {
		return w.fail(fmt.Errorf("count %d of the Filelist is not 0 to %d", n, maxListed))
	}
	w.listed = true
	w.buf = append(w.buf, "Filelist "...)
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	w.buf = append(w.buf, '\n')
	if changes == nil {
		changes = func(func(Change, error) bool) {}
	}
	written := 0
	for c, err := range changes {
		if err == nil {
			err = w.change(c)
		}
		if err != nil {
			return w.fail(err)
		}
		if written++; len(w.buf) >= batch {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	if written != n {
		return w.fail(fmt.Errorf("%d changes where %d were announced", written, n))
	}
	return w.flush()
}

// change appends a line of the Filelist: the word padded to seven, two spaces, the path.
func (w *Writer) change(c Change) error {
	if c.Word != New && c.Word != Changed && c.Word != Deleted {
		return fmt.Errorf("change %q is not new, changed or deleted", c.Word)
	}
	if err := checkPath(c.Path); err != nil {
		return fmt.Errorf("%s: %w", c.Word, err)
	}
	start := len(w.buf)
	w.buf = append(w.buf, "    "...)
	w.buf = append(w.buf, c.Word...)
	w.buf = append(w.buf, "         "[len(c.Word):]...)
	w.buf = appendPath(w.buf, c.Path)
	w.endLine(start)
	return w.err
}

// endLine ends the line that began at start and holds it to the limit.
func (w *Writer) endLine(start int) {
	w.buf = append(w.buf, '\n')
	if len(w.buf)-start > MaxLine && w.err == nil {
		w.fail(fmt.Errorf("a line longer than %d bytes", MaxLine))
	}
}

// flush hands over what is ready, unless something is wrong with it.
func (w *Writer) flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	if _, err := w.w.Write(w.buf); err != nil {
		return w.fail(err)
	}
	w.buf = w.buf[:0]
	return nil
}

// fail makes err the answer to this and every later call.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = fmt.Errorf("write manifest: %w", err)
	}
	return w.err
}

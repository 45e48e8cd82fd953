package librsync

import (
	"fmt"
	"io"
)

// patchBuffer is how many bytes of a delta are read at once.
const patchBuffer = 32 << 10

// Patch writes to out the file that delta makes of the basisSize bytes of basis. The
// errors are those of OpDecoder, and a *CorruptError for a copy from beyond the
// basis.
//
// A delta can name the same bytes of the basis again and again: the length of what
// it makes is not bounded by its own. Where that matters out has to refuse.
func Patch(basis io.ReaderAt, basisSize int64, delta io.Reader, out io.Writer) error {
	var dec OpDecoder
	buf := make([]byte, patchBuffer)
	emit := func(op Op, lit []byte) error {
		if !op.Copy {
			_, err := out.Write(lit)
			return err
		}
		return copyRange(basis, basisSize, op, dec.opAt, out)
	}
	for {
		n, err := delta.Read(buf)
		if derr := dec.Decode(buf[:n], emit); derr != nil {
			return derr
		}
		if err == io.EOF {
			return dec.Close()
		}
		if err != nil {
			return fmt.Errorf("read delta: %w", err)
		}
	}
}

func copyRange(basis io.ReaderAt, size int64, op Op, opAt int64, out io.Writer) error {
	if op.Pos > size-op.Len {
		reason := fmt.Sprintf("copy of %d bytes from %d in a basis of %d", op.Len, op.Pos, size)
		return &CorruptError{opAt, reason}
	}
	n, err := io.Copy(out, io.NewSectionReader(basis, op.Pos, op.Len))
	if err == nil && n < op.Len {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("copy from basis at %d: %w", op.Pos+n, err)
	}
	return nil
}

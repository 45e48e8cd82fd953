package inflate

import (
	"fmt"
	"io"
)

// Checkpoint is all that is needed to read a stream from the start of one of its
// blocks on.
type Checkpoint struct {
	Bit    int64  // where the block begins, in bits from the start of the stream
	Out    int64  // where its output begins, in bytes
	Window []byte // the last WindowSize bytes of output before it, or all
}

// Byte returns the offset of the stream's byte with which input begins.
func (c Checkpoint) Byte() int64 { return c.Bit >> 3 }

func (c Checkpoint) check() error {
	if c.Bit < 0 || c.Out < int64(len(c.Window)) || len(c.Window) > WindowSize {
		return fmt.Errorf("inflate: checkpoint with bit %d, output %d, window of %d bytes", c.Bit, c.Out, len(c.Window))
	}
	return nil
}

// checkpoint is that of a block beginning where the output ends now.
func (r *Reader) checkpoint(bit int64) Checkpoint {
	return Checkpoint{
		Bit:    bit,
		Out:    r.base + int64(r.n),
		Window: r.out[max(r.n-WindowSize, 0):r.n],
	}
}

// NewReaderAt returns a Reader of what follows c in a stream. The first byte of src
// is that at c.Byte(). The window is copied; less of it than the stream refers to
// makes the stream corrupt. An error says that the checkpoint is none.
func NewReaderAt(c Checkpoint, src io.Reader) (*Reader, error) {
	r := new(Reader)
	if err := r.ResetAt(c, src); err != nil {
		return nil, err
	}
	return r, nil
}

// ResetAt makes the Reader read what follows c in another stream; see NewReaderAt.
// OnBlock stays.
func (r *Reader) ResetAt(c Checkpoint, src io.Reader) error {
	if err := c.check(); err != nil {
		return err
	}
	r.start(c)
	r.setSource(src)
	return nil
}

// ResetBytesAt makes the Reader read what follows c in a stream of which b is the bytes
// from c.Byte() on; see ResetBytes and NewReaderAt.
func (r *Reader) ResetBytesAt(c Checkpoint, b []byte) error {
	if err := c.check(); err != nil {
		return err
	}
	r.startBytes(c, b)
	return nil
}

package inflate

import (
	"io"
	"sync"
)

var decoders = sync.Pool{New: func() any { return new(Decoder) }}

// Inflate decodes one stream that begins with src to dst, which must have room for
// all of it. It returns the number of bytes decoded, and of bytes of src used; more
// may follow the stream. All of dst may be overwritten. It is safe for concurrent
// use.
//
// The stream ends with its last block, or with src if that ends at a byte boundary
// between two blocks: as a piece does that ended by a full flush. Which of them it
// was is for the caller to know, by the length it expects.
//
// Errors, all after n valid bytes: io.ErrShortBuffer if dst is full and the stream
// goes on, io.ErrUnexpectedEOF if src ends inside a block or is empty, and a
// *CorruptError.
func Inflate(dst, src []byte) (n, used int, err error) {
	d := decoders.Get().(*Decoder)
	defer decoders.Put(d)
	d.Reset()
	n, used, err = d.Decode(dst, 0, src)
	switch err {
	case io.EOF:
		return n, used, nil
	case ErrShortDst:
		return n, used, io.ErrShortBuffer
	case ErrShortSrc:
		if d.state == stateHeader && used == len(src) && used > 0 {
			return n, used, nil
		}
		return n, used, io.ErrUnexpectedEOF
	}
	return n, used, err
}

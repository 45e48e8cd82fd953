package librsync

import (
	"errors"
	"fmt"
)

// ErrTooLarge is returned by ReadSignature for a signature that would take more
// memory than the caller allows.
var ErrTooLarge = errors.New("signature exceeds the memory limit")

var errClosed = errors.New("write after close")

// CorruptError says where a signature or a delta breaks its format.
type CorruptError struct {
	Offset int64  // of the field or command in the stream, in bytes
	Reason string // what is wrong there
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt at byte %d: %s", e.Offset, e.Reason)
}

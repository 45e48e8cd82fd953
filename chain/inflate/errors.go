package inflate

import (
	"errors"
	"fmt"
)

// What Decoder.Decode stops for.
var (
	// ErrShortSrc asks for more input: the rest of src is less than one symbol or
	// one block header.
	ErrShortSrc = errors.New("inflate: more input is needed")
	// ErrShortDst asks for more room.
	ErrShortDst = errors.New("inflate: output is full")
	// ErrBlock says that a block begins, see Decoder.StopAtBlocks.
	ErrBlock = errors.New("inflate: start of a block")
)

// CorruptError is invalid data.
type CorruptError struct {
	Bit    int64  // start of the block header or symbol, in bits from the start of the stream
	Reason string // without any of the data
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("inflate: corrupt data at byte %d, bit %d: %s", e.Bit>>3, e.Bit&7, e.Reason)
}

// reason is a CorruptError before its place is known.
type reason string

func (r reason) Error() string { return string(r) }

const (
	errBlockType    = reason("reserved block type")
	errStoredLength = reason("length of a stored block does not match its complement")
	errCodeCount    = reason("too many codes")
	errCode         = reason("invalid Huffman code")
	errRepeat       = reason("repeated code length out of place")
	errSymbol       = reason("bits are no code of the block")
	errDistance     = reason("distance beyond the start of the data")
)

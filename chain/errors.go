package chain

import (
	"errors"
	"fmt"

	"hindsight/chain/naming"
)

var (
	// ErrNoChain says that there is no complete backup at all.
	ErrNoChain = errors.New("no complete backup found")
	// ErrNoSignatures says that a set's signature archive is missing.
	ErrNoSignatures = errors.New("no signatures")
	// ErrHash says that stored bytes are not those that the manifest names.
	ErrHash = errors.New("hash mismatch")
	// ErrRemoved says that somebody removed a volume of a set that was being written.
	ErrRemoved = errors.New("removed while the backup was made")
	// ErrMissingVolume says that a volume of the manifest is not on the store.
	ErrMissingVolume = errors.New("volume is missing")
)

// CorruptError says what is wrong with one stored object.
type CorruptError struct {
	Object string
	Err    error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("%s: %v", e.Object, e.Err) }
func (e *CorruptError) Unwrap() error { return e.Err }

// DuplicateError says that two objects claim the same place in a set, so that
// nobody can know which one is meant.
type DuplicateError struct {
	First, Second string

	part naming.Name // what both are
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("%s and %s are the same part of one set: remove the wrong one", e.First, e.Second)
}

// OverlapError says that two chains cover one time, so that it is ambiguous
// (duplicity-format.md §5.2).
type OverlapError struct {
	Time          naming.Time
	First, Second *Chain
}

func (e *OverlapError) Error() string {
	return fmt.Sprintf("two chains cover the time %v: those that begin at %v and at %v", e.Time, e.First.Start(), e.Second.Start())
}

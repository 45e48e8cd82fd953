package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"hindsight/chain"
	"hindsight/chain/naming"
	"hindsight/chain/source"
)

// Mode says what kind of set to make.
type Mode uint8

const (
	Auto        Mode = iota // incremental if it can be, else full
	Full                    // a new chain
	Incremental             // ErrNoSignatures if it cannot be
)

// Options says what to back up and how.
type Options struct {
	Repository *chain.Repository // its Archive is required
	Source     source.Options    // Warn is set by Run
	Mode       Mode
	Time       naming.Time   // of the new set
	FullAfter  time.Duration // with Auto: a full if the last is at least as old; 0: never
	Set        chain.SetOptions
	// Last, if it is set, may know the tree after the first n of the sets, a chain's from
	// the full on, that the new one builds on: its signatures then need not be merged.
	// n is 0 if it does not. An error is one of what it knows, not of the backup.
	Last func(ctx context.Context, base []*chain.Set) (tree chain.State, n int, err error)
	// AllowSourceMismatch continues a chain of another host or directory
	// (duplicity-format.md §2).
	AllowSourceMismatch bool
	Hostnames           []string // names of this host, the first of which is stored
	NumericOwner        bool     // compare owners by id, not by name
	MaxBlock            int      // largest block of signatures in bytes; 0: no limit
	DryRun              bool     // find what changed, read and write nothing

	Jobs int // files read at once; 0: one per CPU
	// Memory bounds, in bytes, what is held of contents and signatures; 0: 64 MiB.
	// A changed file whose old signature takes more than half of it is stored whole.
	Memory int64

	// Warn is told of every file that is not, or perhaps not rightly, in the backup;
	// and, with an empty path, of what is wrong with the chain that is continued:
	// ErrUnencrypted, ErrExposed, ErrBroken. One at a time. nil is told nothing.
	Warn     func(path string, err error)
	Progress *Progress // nil: none
	Log      *slog.Logger
}

// Progress is what a run has done so far. Fields may be read at any time.
type Progress struct {
	Files  atomic.Int64 // regular files seen
	Bytes  atomic.Int64 // of content read
	Stored atomic.Int64 // bytes durable on the store
}

// Statistics is what a run did, in duplicity's terms (duplicity-format.md §6.2).
type Statistics struct {
	Set              chain.SetID
	Start, End       time.Time
	SourceFiles      int64 // objects of any type
	SourceFileSize   int64 // bytes that stat says of them, directories and links too
	NewFiles         int64 // stored that were no files before: changed directories too
	NewFileSize      int64 // bytes
	DeletedFiles     int64 // objects of any type
	ChangedFiles     int64 // regular files
	ChangedFileSize  int64 // bytes of the whole files
	ChangedDeltaSize int64 // bytes stored of them (duplicity never counts it and says 0)
	DeltaEntries     int64 // paths in the set
	RawDeltaSize     int64 // bytes of contents and deltas before compression
	StoredSize       int64 // bytes of all the set's objects
	Volumes          int
	Errors           int64 // files that were warned about, not troubles of the chain
}

var (
	// ErrHostMismatch says that the chain was made on another host.
	ErrHostMismatch = errors.New("the backup was made on another host")
	// ErrDirMismatch says that the chain was made from another directory.
	ErrDirMismatch = errors.New("the backup was made from another directory")
	// ErrChanged says that a file changed while it was read.
	ErrChanged = errors.New("changed while it was read; it will be read again in the next backup")
	// ErrRaced says that another backup was committed meanwhile.
	ErrRaced = errors.New("another backup to the same place was finished meanwhile")
)

// mismatch is a *Mismatch error's text with what to do about it.
func mismatch(kind error, was, is string) error {
	return fmt.Errorf("%w (%q, this is %q): use --allow-source-mismatch to continue it, or another URL", kind, was, is)
}

// dirMismatch is the mismatch of two directories. They are compared as they are written
// (duplicity-format.md §2), so that one of them may have two names.
func dirMismatch(was, is string) error {
	if filepath.IsAbs(was) && filepath.IsAbs(is) {
		return mismatch(ErrDirMismatch, was, is)
	}
	return fmt.Errorf("%w (%q, this is %q): if they are the same write %[2]q as before; else "+
		"use --allow-source-mismatch to continue it, or another URL", ErrDirMismatch, was, is)
}

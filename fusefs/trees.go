package fusefs

import (
	"context"
	"iter"

	"hindsight/chain/naming"
	"hindsight/index"
)

// Snapshot is one dated tree.
type Snapshot struct {
	Number  uint32      // names it as long as the index lives
	Time    naming.Time // of the backup
	Set     string      // the set that ends the way to it, such as "full 20261120T030000Z"
	Bytes   int64       // of content, as far as sizes are known
	Entries int64       // paths
}

// Trees is what a mount shows, in small questions. Identifiers are those of the
// index: a path has the same one in all snapshots of a chain. Of a snapshot that is
// no more everything says index.ErrGone, of a path that is not in one
// index.ErrNotExist. Only Stat and Open may have to fetch something, and take long;
// ctx ends them. All methods may be called from many goroutines at once.
type Trees interface {
	// Snapshots lists the dated trees by time.
	Snapshots() []Snapshot
	// At is the snapshot that a restore of a time would bring back.
	At(t naming.Time) (Snapshot, bool)

	Lookup(snapshot uint32, dir index.ID, name string) (index.Entry, error)
	// Entry is what is known of a path; Stat finds the size where it is not.
	Entry(snapshot uint32, id index.ID) (index.Entry, error)
	Stat(ctx context.Context, snapshot uint32, id index.ID) (index.Entry, error)
	// ReadDir yields what follows the entry after, 0 for all, in an order that never
	// changes.
	ReadDir(snapshot uint32, dir, after index.ID) iter.Seq2[index.Entry, error]
	Path(snapshot uint32, id index.ID) (string, error)
	Xattrs(snapshot uint32, id index.ID) ([]index.Xattr, error)
	// Volumes lists where the bytes of a file are: set and number of each volume.
	Volumes(snapshot uint32, id index.ID) ([]Volume, error)
	Open(ctx context.Context, snapshot uint32, id index.ID) (File, error)
	// ReadHeld is as ReadDir, with the contents of files that fit into room and are in
	// memory. It waits for nothing.
	ReadHeld(snapshot uint32, dir, after index.ID, room []byte) iter.Seq2[Held, error]

	// Versions yields every distinct version of a path, over all snapshots.
	Versions(path string) iter.Seq2[Version, error]
	// Names yields in order the names after one that a directory has had in any
	// snapshot.
	Names(path, after string) iter.Seq2[string, error]
}

// File is an open regular file. Its methods may be called concurrently.
type File interface {
	// ReadAt is as io.ReaderAt has it. An error says nothing of the next call.
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
	Close() error
}

// Held is an entry and, if that is at hand, what is in it.
type Held struct {
	index.Entry
	Content []byte // valid until the next one; nil: it is not at hand, or there is none
}

// Version is a path as the snapshots from one on show it.
type Version struct {
	Snapshot uint32 // the first that does
	Entry    index.Entry
}

// Volume is a volume of the set that ends at a time.
type Volume struct {
	Time   naming.Time
	Number uint32 // from 1
}

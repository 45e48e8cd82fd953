// Package store says what hindsight asks of a place that keeps backups: a flat
// collection of named objects that are written once and read by range.
//
// The contract stands in the comments of Store; package storetest has a suite that
// checks it. Errors are *Error and answer errors.Is for the sentinels ErrNotExist,
// ErrExist, ErrPermission, ErrNoSpace, ErrName and ErrArchived.
//
// # Names
//
// Names are flat and CheckName says which are legal. What else lies in the same
// place (folders, links, foreign keys with slashes in them) is not an object: List
// does not show it, and Get says ErrNotExist.
//
// # Memory
//
// A Put takes its content in parts of at most PartSize bytes and gives each back as
// soon as it is stored, so a writer bounds its memory by the parts it hands out. To a
// store that is ShortParts it hands shorter ones.
package store

import (
	"context"
	"io"
	"iter"
	"time"
)

// Object is one stored object as List shows it.
type Object struct {
	Name string
	Size int64     // bytes
	Time time.Time // when it was last put, by the store's clock

	// Cold says that Get may fail with ErrArchived; Thawer.Temperature tells.
	Cold bool
}

// Store keeps objects. All methods but Close may be called from any number of
// goroutines at once. Retries, where they make sense, happen inside: an error is
// final. A call whose context is done fails with an error that wraps ctx.Err().
type Store interface {
	// List yields the objects whose names begin with prefix, in any order. Unfinished
	// puts are not shown. An error is yielded once, as the last pair, with a zero
	// Object. Objects put or deleted meanwhile may be missing or shown; one that is
	// overwritten meanwhile may be shown as it was, as it is, or both. The loop's body may call the
	// store, so deleting what is listed is fine. The prefix need not be a legal name.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// Get opens length bytes of an object from offset off, or all from there on if
	// length is negative. A range that reaches past the end gives the bytes there are,
	// one that lies behind it none, both without an error. A negative off is an error.
	// The error for a missing object comes from Get, whatever the range. A reader sees
	// one version of an object or fails, never a mixture. The context covers the reads
	// too. The reader is for one goroutine and must be closed.
	Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error)

	// Put stores body under name, replacing an object of that name unless opt forbids
	// it. Nil means that the object is durable and whole. An error means that nothing
	// of it is visible, and that an older object of that name is as it was; only if the
	// store's answer was lost after it had taken all of the body may the object be there
	// nevertheless, never a part of it. An error of body comes back wrapped.
	// Put calls body.Next from one goroutine at a time, releases every part it got
	// exactly once, and uses neither body nor parts after it has returned.
	Put(ctx context.Context, name string, body Body, opt PutOptions) error

	// Delete removes an object, for good if it returns nil: deletions take effect in the
	// order in which they were made. That the object is missing is not an error.
	Delete(ctx context.Context, name string) error

	// Close gives back what the store holds. It is called once, after all other calls
	// have returned and all readers are closed.
	Close() error
}

// PutOptions changes what Put does.
type PutOptions struct {
	// IfAbsent makes Put fail with ErrExist if there is an object of that name. Of
	// several such puts at once, from anywhere, one succeeds.
	IfAbsent bool
}

// Remains is implemented by a store in which a killed Put can leave something
// behind that List does not show: temporary files, unfinished uploads.
type Remains interface {
	// ListRemains yields what was begun, or last written to, before olderThan. Names
	// are for DeleteRemains alone. Errors as in List.
	ListRemains(ctx context.Context, olderThan time.Time) iter.Seq2[Object, error]

	// DeleteRemains removes what ListRemains has shown; missing is not an error. It
	// never touches an object, and refuses other names with ErrName.
	DeleteRemains(ctx context.Context, name string) error
}

// Copier is implemented by a store that can copy an object without sending it
// through the caller. The promises are those of a Put without options. An error that
// wraps errors.ErrUnsupported says to copy with Get and Put instead.
type Copier interface {
	Copy(ctx context.Context, src, dst string) error
}

// ShortParts is implemented by a store that writes parts one after the other and keeps
// none, so that long ones would only take memory.
type ShortParts interface {
	// PartSize is the length of every part but the last that serves the store best, in
	// bytes: 1 to PartSize. It takes bodies in parts of PartSize as well.
	PartSize() int
}

// PartSizeOf is the length of every part but the last that a body meant for s should
// have, in bytes.
func PartSizeOf(s Store) int {
	if p, ok := s.(ShortParts); ok {
		return p.PartSize()
	}
	return PartSize
}

// Thawer is implemented by a store that may keep objects in classes from which they
// are read only after they were asked for, hours before.
type Thawer interface {
	// Temperature says whether an object can be read now. A missing one is ErrNotExist.
	Temperature(ctx context.Context, name string) (Temperature, error)

	// Thaw asks for an object to be readable for some days from when it is. It returns
	// at once. That it can be read already, or was asked for, is no error.
	Thaw(ctx context.Context, name string, days int) error
}

// Temperature is how far an object is from being readable.
type Temperature int

const (
	Readable Temperature = iota
	Thawing              // asked for
	Frozen               // until it is asked for
)

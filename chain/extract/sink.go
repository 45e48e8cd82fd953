package extract

import (
	"errors"

	"hindsight/chain/difftar"
)

// Sink is what the engine drives. All methods may be called from many goroutines at
// once, for one Handle from one at a time, but for WriteAt. A file gets its bytes
// through its Handle first and its name, by Commit, when they are proved right. An
// error that is a *PathError concerns that path alone and costs it; any other ends
// the run.
type Sink interface {
	// WriteFile makes a whole file with its metadata. It does not keep data.
	WriteFile(h Handle, path string, m *difftar.Meta, data []byte) error
	// Create begins a file that WriteAt fills.
	Create(h Handle, path string) error
	// WriteAt writes a part of a file that Create began, in this set or a newer one.
	WriteAt(h Handle, path string, p []byte, off int64) error
	// Finish says that all bytes of a file that Create began are written.
	Finish(h Handle, path string, m *difftar.Meta) error
	// Release says that no byte of the file will be written soon.
	Release(h Handle, path string) error
	// Commit gives a whole file its name.
	Commit(h Handle, path string) error
	// Discard drops what there is of a file that has no name yet, if there is
	// anything. Should bytes for it come all the same, as may be when a volume and the
	// signatures of its set contradict each other, then WriteAt and Finish give a
	// *PathError.
	Discard(h Handle, path string)
	// Object makes a symlink, fifo or device.
	Object(path string, m *difftar.Meta) error
	// Dir makes a directory. Its metadata follows at the end of the run.
	Dir(path string, m *difftar.Meta) error
	// DirMeta gives a directory its metadata, when nothing in it will change any more;
	// one that locks its owner out comes after all that are below it. If it does not
	// exist it is made, unless ifExists says to leave that.
	DirMeta(path string, m *difftar.Meta, ifExists bool) error
}

// ErrTarget is the kind of the causes of a PathError, and so of what Options.Lost is
// told, that lie with the target: the backup has the path, but it cannot be made there.
// A Sink marks its own.
var ErrTarget = errors.New("the target does not take it")

// PathError is an error that concerns one path of the target.
type PathError struct {
	Path string
	Err  error
}

func (e *PathError) Error() string { return e.Err.Error() }
func (e *PathError) Unwrap() error { return e.Err }

// Verdict says what a Filter wants.
type Verdict uint8

const (
	Skip     Verdict = iota
	Take             // the path
	TakeOpen         // a directory, if something in it is taken
)

// Filter chooses what to extract. It is asked about the state that a path has in
// the tree extracted. It must be safe for concurrent use.
type Filter interface {
	// Wants judges a path. Of a file that is lost with all its volumes nothing but
	// the type may be known.
	Wants(path string, m *difftar.Meta) Verdict
	// Touches reports whether something between two paths, both included, may be
	// wanted.
	Touches(first, last string) bool
}

// Everything is the Filter that takes all.
type Everything struct{}

func (Everything) Wants(string, *difftar.Meta) Verdict { return Take }
func (Everything) Touches(_, _ string) bool            { return true }

// Below is the Filter that takes a path and what lies below it.
type Below string

func (b Below) Wants(path string, _ *difftar.Meta) Verdict {
	if difftar.Within(path, string(b)) {
		return Take
	}
	return Skip
}

func (b Below) Touches(first, last string) bool {
	return difftar.Compare(last, string(b)) >= 0 &&
		(difftar.Compare(first, string(b)) <= 0 || difftar.Within(first, string(b)))
}

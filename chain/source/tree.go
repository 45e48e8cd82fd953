package source

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
	"hindsight/chain/selection"
)

// MaxPath is the length in bytes of the longest path, relative to the root, that
// is walked. Longer ones get a Warning: a path costs its length for every object
// below it, and nobody but an attacker nests so deep.
const MaxPath = 64 << 10

// DefaultReadAhead is the budget of Options.ReadAhead if that is 0.
const DefaultReadAhead = 16 << 20

var (
	// ErrNotRegular says that an object is not, or no longer, a regular file.
	ErrNotRegular = errors.New("not a regular file")
	// ErrLoop says that a symbolic link that was to be followed leads to a
	// directory above itself.
	ErrLoop = errors.New("link to a directory above itself")
	// ErrReplaced says that something else took the place of a directory.
	ErrReplaced = errors.New("directory was replaced while it was read")
)

// Options say what to walk and how. Only Root is required.
type Options struct {
	// Root is the path of the source: a directory, or any object that can be
	// stored. If it is relative, the working directory must stay as it is.
	Root string
	// Select says what is in; nil takes everything.
	Select *selection.Selection
	// CopyLinks takes what symbolic links lead to in their place. Links that lead
	// nowhere stay links, and so do those that lead to a directory above them.
	CopyLinks bool
	// Jobs is the number of goroutines that read ahead; 0 stands for GOMAXPROCS.
	Jobs int
	// ReadAhead bounds the bytes of metadata read ahead of the consumer; 0 stands
	// for DefaultReadAhead. If it is negative nothing is read ahead: a directory
	// is read when the walk comes to it.
	ReadAhead int64
	// Warn is told of what was passed over, in archive order, by the goroutine
	// that consumes the walk. May be nil.
	Warn func(Warning)
	// Logger gets sockets, which cannot be stored, at debug level. May be nil.
	Logger *slog.Logger
}

// Warning is an object that was passed over, or a directory whose contents were,
// in whole or in part.
type Warning struct {
	Path string // relative to the root, raw bytes
	Op   string // what did not work: OpStat, OpReadDir, OpReadLink
	Err  error
}

// Values of Warning.Op.
const (
	OpStat     = "stat"           // the object is left out
	OpReadDir  = "read directory" // the directory is there, its contents are not or not all
	OpReadLink = "read link"      // the link is left out, or not followed (ErrLoop)
)

// String is one line with the path quoted.
func (w Warning) String() string {
	return fmt.Sprintf("%s %s: %v", w.Op, strconv.Quote(w.Path), w.Err)
}

// Tree is an open source tree. Its methods, and those of its items, are safe for
// concurrent use; Close comes last.
type Tree struct {
	opt     Options
	handles *handles
	owners  owners
	root    *dir // nil if the root is not a directory
	rootDev uint64
}

// Open opens the tree at opt.Root. If there is nothing the error is
// fs.ErrNotExist. The caller must Close the tree when it needs its items no more.
func Open(opt Options) (*Tree, error) {
	if opt.Jobs <= 0 {
		opt.Jobs = runtime.GOMAXPROCS(0)
	}
	if opt.ReadAhead == 0 {
		opt.ReadAhead = DefaultReadAhead
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Warn == nil {
		opt.Warn = func(Warning) {}
	}
	t := &Tree{opt: opt, handles: newHandles(opt.Root, opt.CopyLinks)}
	var st unix.Stat_t
	if err := fstatat(unix.AT_FDCWD, opt.Root, &st, 0); err != nil {
		return nil, &fs.PathError{Op: "open source", Path: opt.Root, Err: err}
	}
	if fileType(st.Mode) == 0 {
		return nil, &fs.PathError{Op: "open source", Path: opt.Root, Err: errors.New("cannot be stored")}
	}
	t.rootDev = uint64(st.Dev)
	if fileType(st.Mode) == difftar.Directory {
		t.root = newDir(nil, "", "", &st)
		// Held open until Close, so that all of a walk is of one tree even
		// if the root is renamed meanwhile.
		if _, err := t.handles.pin(t.root); err != nil {
			return nil, &fs.PathError{Op: "open source", Path: opt.Root, Err: err}
		}
	}
	return t, nil
}

// Close releases the tree. Its items cannot be opened any more; open Files stay
// usable.
func (t *Tree) Close() error {
	err := t.handles.close()
	if err == nil && t.root != nil {
		t.handles.unpin(t.root)
	}
	return err
}

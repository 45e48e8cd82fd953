package fusefs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hindsight/index"
)

const estale = syscall.ESTALE

// errnos are the errors that mean something to who reads; all others are EIO, and
// written to the log.
var errnos = []struct {
	err   error
	errno syscall.Errno
}{
	{index.ErrNotExist, syscall.ENOENT},
	{index.ErrNotDir, syscall.ENOTDIR},
	{index.ErrGone, estale},
	{context.Canceled, syscall.EINTR},
	{errNoAttribute, syscall.ENODATA},
	{index.ErrUnscanned, syscall.ENODATA}, // it is not known yet where a file's bytes are
}

// errNoAttribute says that there is no extended attribute of a name.
var errNoAttribute = errors.New("no such attribute")

// status turns an error into what the kernel understands. The log says what happened
// to which node.
func (f *filesystem) status(op string, id uint64, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	for _, e := range errnos {
		if errors.Is(err, e.err) {
			return fuse.Status(e.errno)
		}
	}
	f.complain(op, id, err)
	return fuse.EIO
}

// complain logs an error, but not over and over: a reader that tries again, and the
// pages of a long file, meet the same one many times.
func (f *filesystem) complain(op string, id uint64, err error) {
	object := f.describe(id)
	n, tell := f.repeat.count(op+object+err.Error(), f.opt.Now())
	if !tell {
		return
	}
	attrs := []any{"path", object, "error", err}
	if n > 0 {
		attrs = append(attrs, "repeated", n)
	}
	f.log.Error("cannot "+op, attrs...)
}

// describe is a node's path in the mount.
func (f *filesystem) describe(id uint64) string {
	n := f.node(id)
	path, err := f.trees.Path(n.snapshot, n.id)
	d := f.roster.Load().byNumber[n.snapshot]
	switch {
	case n.kind != kindTree || err != nil || d == nil:
		return fmt.Sprintf("node %#x", id)
	case path == "":
		return d.name
	}
	return d.name + "/" + path
}

// repeats remembers what was said lately.
type repeats struct {
	mu   sync.Mutex
	last map[string]*repeated
}

type repeated struct {
	at   time.Time
	more int64
}

// How long an error is not said again, and how many are remembered.
const (
	quietTime  = 10 * time.Second
	maxRepeats = 256
)

// count says whether to tell of an error, and how often it went untold.
func (r *repeats) count(key string, now time.Time) (untold int64, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.last[key]; e != nil {
		if now.Sub(e.at) < quietTime {
			e.more++
			return 0, false
		}
		untold = e.more
	}
	if r.last == nil || len(r.last) >= maxRepeats {
		r.last = make(map[string]*repeated)
	}
	r.last[key] = &repeated{at: now}
	return untold, true
}

package fusefs

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// The kernel does not tell when a file is opened and closed, but what was read last will
// mostly be read on: so many files that nobody reads at the moment stay open, for so
// long. An open file may hold much memory that others wait for.
const (
	maxIdleFiles = 64
	maxIdleTime  = 2 * time.Second
)

// files are the open files, one for each node that is being read or was lately.
type files struct {
	trees Trees

	mu    sync.Mutex
	nodes map[node]*openFile
	idle  *list.List  // of *openFile, the latest in front
	sweep *time.Timer // runs while there are idle files
}

// openFile is a file that some readers hold.
type openFile struct {
	File
	node    node
	opened  chan struct{} // closed when File or err is there
	err     error
	readers int
	idle    *list.Element // nil: it is being read
	since   time.Time     // when it became idle
}

func newFiles(trees Trees) *files {
	return &files{trees: trees, nodes: make(map[node]*openFile), idle: list.New()}
}

// open returns the file of a node, which must be given back to release. Readers who
// come while one of them opens it wait for that one; if it gave up, they try
// themselves.
func (fs *files) open(ctx context.Context, n node) (*openFile, error) {
	for {
		file, mine := fs.hold(n)
		if mine {
			file.File, file.err = fs.trees.Open(ctx, n.snapshot, n.id)
			close(file.opened)
		}
		select {
		case <-file.opened:
		default: // Done costs something
			select {
			case <-file.opened:
			case <-ctx.Done():
				fs.release(file)
				return nil, ctx.Err()
			}
		}
		if file.err == nil {
			return file, nil
		}
		fs.release(file)
		if mine || !errors.Is(file.err, context.Canceled) {
			return nil, file.err
		}
	}
}

// hold finds or adds the file of a node; mine says that the caller has to open it.
func (fs *files) hold(n node) (file *openFile, mine bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	file = fs.nodes[n]
	if file == nil {
		file, mine = &openFile{node: n, opened: make(chan struct{})}, true
		fs.nodes[n] = file
	}
	if file.idle != nil {
		fs.idle.Remove(file.idle)
		file.idle = nil
	}
	file.readers++
	return file, mine
}

// release gives a file back. One that could not be opened is forgotten at once.
func (fs *files) release(file *openFile) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	file.readers--
	select {
	case <-file.opened:
		if file.err != nil && fs.nodes[file.node] == file {
			delete(fs.nodes, file.node)
		}
	default:
		return // its opener is yet to release it
	}
	if file.readers > 0 || file.err != nil {
		return
	}
	file.idle, file.since = fs.idle.PushFront(file), time.Now()
	if fs.idle.Len() > maxIdleFiles {
		fs.drop(fs.oldest()) // nothing was written to it
	}
	if fs.sweep == nil {
		fs.sweep = time.AfterFunc(maxIdleTime, fs.clean)
	}
}

// oldest is the file that has been idle for the longest time.
func (fs *files) oldest() *openFile { return fs.idle.Back().Value.(*openFile) }

// clean closes what has been idle for too long.
func (fs *files) clean() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for fs.idle.Len() > 0 && time.Since(fs.oldest().since) >= maxIdleTime {
		fs.drop(fs.oldest())
	}
	switch {
	case fs.sweep == nil: // closed
	case fs.idle.Len() > 0:
		fs.sweep.Reset(maxIdleTime - time.Since(fs.oldest().since))
	default:
		fs.sweep = nil
	}
}

// drop closes an idle file.
func (fs *files) drop(file *openFile) error {
	fs.idle.Remove(file.idle)
	delete(fs.nodes, file.node)
	return file.Close()
}

// close closes all files, when nobody reads any more.
func (fs *files) close() error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.sweep != nil {
		fs.sweep.Stop()
		fs.sweep = nil
	}
	var errs []error
	for fs.idle.Len() > 0 {
		errs = append(errs, fs.drop(fs.oldest()))
	}
	return errors.Join(errs...)
}

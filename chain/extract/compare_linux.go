package extract

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// Compare is the Sink that compares the content of files with those of a live tree,
// range by range, and touches nothing. Where the tree has something else than a
// regular file, or nothing, or what cannot be read, that is left to whoever compares
// the metadata.
type Compare struct {
	Nowhere
	tree      *Disk
	different func(path string)

	mu    sync.Mutex
	files map[Handle]*compared
}

var _ Sink = (*Compare)(nil)

// compared is a file of which bytes were compared.
type compared struct {
	fd        int // -1: there is nothing to compare with, or it is closed
	end       atomic.Int64
	different atomic.Bool
}

// NewCompare returns a Sink for the tree at root. different is called, from many
// goroutines, with each path whose content is not that of the backup, or whose
// file cannot be read.
func NewCompare(root string, different func(path string)) (*Compare, error) {
	d, err := openTree(root, DiskOptions{})
	if err != nil {
		return nil, err
	}
	return &Compare{tree: d, different: different, files: make(map[Handle]*compared)}, nil
}

// Close gives back what the sink holds. No other method may be running.
func (c *Compare) Close() error {
	for _, f := range c.files {
		f.close()
	}
	return c.tree.Close()
}

func (f *compared) close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// open opens a regular file of the tree, -1 if there is none; err says that there
// is something which cannot be read.
func (c *Compare) open(path string) (file int, err error) {
	file = -1
	err = c.tree.at(path, false, func(dir *dirHandle, name string) error {
		fd, err := unix.Openat2(dir.fd, name, &unix.OpenHow{
			Flags:   unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			unix.Close(fd)
			return nil
		}
		file = fd
		return nil
	})
	for _, other := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO} {
		if errors.Is(err, other) {
			return -1, nil
		}
	}
	return file, err
}

// file is what there is of a handle, opened if that is needed.
func (c *Compare) file(h Handle, path string) *compared {
	c.mu.Lock()
	f := c.files[h]
	opened := f != nil && f.fd >= 0
	c.mu.Unlock()
	if opened {
		return f
	}
	fd, err := c.open(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f = c.files[h]; f == nil {
		f = &compared{fd: -1}
		c.files[h] = f
	}
	if f.fd < 0 {
		f.fd = fd
	} else if fd >= 0 {
		unix.Close(fd) // another goroutine was faster
	}
	if err != nil {
		f.different.Store(true)
	}
	return f
}

// WriteFile implements Sink.
func (c *Compare) WriteFile(h Handle, path string, m *difftar.Meta, data []byte) error {
	_ = c.WriteAt(h, path, data, 0)
	return c.Finish(h, path, m)
}

// readers are buffers to compare with.
var readers = sync.Pool{New: func() any { return new([difftar.PartSize]byte) }}

// WriteAt implements Sink.
func (c *Compare) WriteAt(h Handle, path string, p []byte, off int64) error {
	f := c.file(h, path)
	if f.fd < 0 || f.different.Load() {
		return nil
	}
	buf := readers.Get().(*[difftar.PartSize]byte)
	defer readers.Put(buf)
	for len(p) > 0 {
		n, err := unix.Pread(f.fd, buf[:min(len(buf), len(p))], off)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 || !bytes.Equal(buf[:n], p[:n]) {
			f.different.Store(true)
			return nil
		}
		p, off = p[n:], off+int64(n)
	}
	for {
		have := f.end.Load()
		if have >= off || f.end.CompareAndSwap(have, off) {
			return nil
		}
	}
}

// Finish implements Sink.
func (c *Compare) Finish(h Handle, path string, _ *difftar.Meta) error {
	f := c.file(h, path)
	if f.fd < 0 {
		return nil
	}
	var st unix.Stat_t
	if unix.Fstat(f.fd, &st) != nil || st.Size != f.end.Load() {
		f.different.Store(true)
	}
	return c.Release(h, path)
}

// Release implements Sink.
func (c *Compare) Release(h Handle, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.files[h]; f != nil {
		f.close()
	}
	return nil
}

// Commit implements Sink.
func (c *Compare) Commit(h Handle, path string) error {
	if f := c.take(h); f != nil && f.different.Load() {
		c.different(path)
	}
	return nil
}

// Discard implements Sink.
func (c *Compare) Discard(h Handle, _ string) { c.take(h) }

func (c *Compare) take(h Handle) *compared {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[h]
	delete(c.files, h)
	if f != nil {
		f.close()
	}
	return f
}

package dirstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/store"
)

// listBatch is how many directory entries are read at once.
const listBatch = 1024

// Store keeps objects as files of one directory. It is safe for concurrent use by
// any number of goroutines and processes.
type Store struct {
	dir *os.File // the directory, for the *at system calls
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Remains    = (*Store)(nil)
	_ store.Copier     = (*Store)(nil)
	_ store.ShortParts = (*Store)(nil)
)

// Open opens the directory dir as a store. If it is missing it is made, with its
// parents, if create says so; else the error wraps store.ErrNotExist.
func Open(dir string, create bool) (*Store, error) {
	if create {
		if err := makeDir(dir); err != nil {
			return nil, opError("open", dir, err)
		}
	}
	fd, err := openat(unix.AT_FDCWD, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, opError("open", dir, err)
	}
	return &Store{dir: os.NewFile(uintptr(fd), dir)}, nil
}

// Close gives back the directory.
func (s *Store) Close() error { return s.dir.Close() }

func (s *Store) fd() int { return int(s.dir.Fd()) }

// Get opens a range of an object. The reader keeps one file descriptor until it is
// closed; it goes on reading its version of an object that is replaced or deleted.
func (s *Store) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	if err := errors.Join(ctx.Err(), store.CheckName(name)); err != nil {
		return nil, opError("get", name, err)
	}
	if off < 0 {
		return nil, opError("get", name, errors.New("negative offset"))
	}
	f, err := s.openObject(name)
	if err != nil {
		return nil, opError("get", name, err)
	}
	if length < 0 {
		length = 1<<63 - 1 // cut to what is there by SectionReader
	}
	return &reader{ctx: ctx, name: name, f: f, sec: io.NewSectionReader(f, off, length)}, nil
}

// openObject opens the regular file name for reading. Anything else of that name is
// as good as missing.
func (s *Store) openObject(name string) (*os.File, error) {
	// Without O_NONBLOCK the open of a pipe would wait for a writer.
	fd, err := openat(s.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) { // a link; a socket
		return nil, errNotRegular
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// reader is a range of an open object.
type reader struct {
	ctx  context.Context // of the Get, which covers the reads
	name string
	f    *os.File
	sec  *io.SectionReader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, opError("get", r.name, err)
	}
	n, err := r.sec.Read(p)
	if err != nil && err != io.EOF {
		err = opError("get", r.name, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.f.Close() }

// Delete is described at store.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), store.CheckName(name)); err != nil {
		return opError("delete", name, err)
	}
	d, err := s.openDir()
	if err != nil {
		return opError("delete", name, err)
	}
	gone, err := s.remove(name)
	if gone {
		err = syncDir(d)
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return opError("delete", name, err)
	}
	return nil
}

// remove unlinks the regular file name, and says whether there was one.
func (s *Store) remove(name string) (bool, error) {
	o := store.Object{Name: name}
	ok, err := s.stat(&o)
	if !ok || err != nil {
		return false, err
	}
	err = unlinkat(s.fd(), name)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// openDir opens the directory anew: a listing needs a place of its own in it, and a
// sync a descriptor of its own, as the kernel reports an error once per descriptor.
func (s *Store) openDir() (*os.File, error) {
	fd, err := openat(s.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), s.dir.Name()), nil
}

// List yields the objects in the directory's own order.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return s.list(ctx, "list", prefix, func(o store.Object) bool {
		return strings.HasPrefix(o.Name, prefix) && !strings.HasPrefix(o.Name, store.TempPrefix)
	})
}

// ListRemains yields the temporary files of puts that last wrote before olderThan.
func (s *Store) ListRemains(ctx context.Context, olderThan time.Time) iter.Seq2[store.Object, error] {
	all := s.list(ctx, "list remains of", store.TempPrefix, func(o store.Object) bool {
		return strings.HasPrefix(o.Name, store.TempPrefix)
	})
	return func(yield func(store.Object, error) bool) {
		for o, err := range all {
			if err == nil && !o.Time.Before(olderThan) {
				continue
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// DeleteRemains removes a temporary file.
func (s *Store) DeleteRemains(ctx context.Context, name string) error {
	const op = "delete remains"
	if err := ctx.Err(); err != nil {
		return opError(op, name, err)
	}
	if !strings.HasPrefix(name, store.TempPrefix) || strings.ContainsAny(name, "/\x00") {
		return opError(op, name, store.ErrName)
	}
	if _, err := s.remove(name); err != nil {
		return opError(op, name, err)
	}
	return nil
}

// list yields the regular files that want accepts by their name.
func (s *Store) list(ctx context.Context, op, prefix string, want func(store.Object) bool) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		fail := func(err error) { yield(store.Object{}, opError(op, prefix, err)) }
		d, err := s.openDir()
		if err != nil {
			fail(err)
			return
		}
		defer d.Close()
		for {
			if err := ctx.Err(); err != nil {
				fail(err)
				return
			}
			names, err := d.Readdirnames(listBatch)
			for _, name := range names {
				o := store.Object{Name: name}
				if !want(o) {
					continue
				}
				ok, err := s.stat(&o)
				if err != nil {
					fail(err)
					return
				}
				if ok && !yield(o, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				fail(err)
				return
			}
		}
	}
}

// stat fills in o, and says whether it is there and a regular file.
func (s *Store) stat(o *store.Object) (bool, error) {
	var st unix.Stat_t
	err := fstatat(s.fd(), o.Name, &st)
	if errors.Is(err, unix.ENOENT) { // deleted since the directory was read
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o.Size = st.Size
	o.Time = time.Unix(st.Mtim.Unix())
	return st.Mode&unix.S_IFMT == unix.S_IFREG, nil
}

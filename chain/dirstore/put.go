package dirstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"hindsight/chain/store"
)

// Put is described at store.Store. It needs no memory of its own.
func (s *Store) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	if err := errors.Join(ctx.Err(), store.CheckName(name)); err != nil {
		return opError("put", name, err)
	}
	if opt.IfAbsent && s.taken(name) { // spares the writing; what decides is in publish
		return opError("put", name, store.ErrExist)
	}
	err := s.write(name, opt.IfAbsent, func(f *os.File) error {
		return writeBody(ctx, f, body)
	})
	if err != nil {
		return opError("put", name, err)
	}
	return nil
}

// partSize, in bytes, is enough for few system calls and little for the processor's
// caches.
const partSize = 1 << 20

// PartSize is described at store.ShortParts.
func (s *Store) PartSize() int { return partSize }

// bodyError is an error of a put's body. An errno in it tells nothing of the store.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }

func writeBody(ctx context.Context, f *os.File, body store.Body) error {
	var writeErr error
	err := store.EachPart(ctx, body, func(data []byte) error {
		_, writeErr = f.Write(data)
		return writeErr
	})
	if err != nil && writeErr == nil {
		return bodyError{err}
	}
	return err
}

// Copy is described at store.Copier. The kernel copies, on a file system that can by
// sharing the blocks.
func (s *Store) Copy(ctx context.Context, src, dst string) error {
	if err := errors.Join(ctx.Err(), store.CheckName(src), store.CheckName(dst)); err != nil {
		return opError("copy", dst, err)
	}
	from, err := s.openObject(src)
	if err != nil {
		return opError("copy", src, err)
	}
	err = s.write(dst, false, func(f *os.File) error {
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := io.CopyN(f, from, store.PartSize)
			if err == io.EOF && n < store.PartSize {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if err = errors.Join(err, from.Close()); err != nil {
		return opError("copy", dst, err)
	}
	return nil
}

// taken says whether there is anything of that name.
func (s *Store) taken(name string) bool {
	var st unix.Stat_t
	return fstatat(s.fd(), name, &st) == nil
}

// write makes name a file of what fill writes, durably, or leaves nothing.
func (s *Store) write(name string, ifAbsent bool, fill func(*os.File) error) error {
	temp := store.TempPrefix + rand.Text()
	fd, err := openat(s.fd(), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("create temporary file: %w", err)
	}
	f := os.NewFile(uintptr(fd), temp)
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	// Some network file systems tell only now that the disk is full.
	err = errors.Join(err, f.Close())
	if err == nil {
		err = s.publish(temp, name, ifAbsent)
	}
	if err != nil {
		return errors.Join(err, s.dropTemp(temp))
	}
	return nil
}

// publish gives the synced file temp its name, durably. If it fails temp may be
// there still.
func (s *Store) publish(temp, name string, ifAbsent bool) error {
	d, err := s.openDir()
	if err != nil {
		return err
	}
	defer d.Close() // nothing is written by it
	replaces := !ifAbsent && s.taken(name)
	rename := renameat
	if ifAbsent {
		rename = renameAbsent
	}
	if err := rename(s.fd(), temp, name); err != nil {
		return err
	}
	err = syncDir(d)
	if err != nil && !replaces {
		// Without the sync a power cut may take the name away again, so it is not
		// durable and must not be seen. What it replaced cannot be brought back: there
		// the whole new object stays.
		err = errors.Join(err, unlinkat(s.fd(), name))
	}
	return err
}

func (s *Store) dropTemp(temp string) error {
	if err := unlinkat(s.fd(), temp); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove temporary file %s: %w", temp, err)
	}
	return nil
}

package extract

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// DiskOptions says how a tree is written.
type DiskOptions struct {
	NumericOwner bool // go by ids, not by names (duplicity-format.md §5.3)
	NoOwnership  bool // leave owners as they come
	// Replace takes the place of what is in the way, and removes the temporary files
	// that killed restores left in directories that are not as they should be.
	Replace bool
	// VerifyExisting reads files to see whether they need be extracted; else their
	// size and time tell.
	VerifyExisting bool
	// ReadBack has files written out and dropped from the system's cache before they are
	// read for that, so that what is read is what the disk has.
	ReadBack bool
	// Note is told once of what holds for many paths.
	Note func(text string)
}

// Disk is the Sink that writes below a directory. Nothing is ever followed on the
// way to a path: every directory is opened, relative to the one above, by openat2
// without symbolic links.
//
// An owner that cannot be set costs no file its content, but set-user-id and
// set-group-id go with it: they would lend the rights of somebody else.
type Disk struct {
	opt    DiskOptions
	parent *dirHandle // the directory that holds the target
	base   string     // of the target in it
	prefix string     // of temporary names
	umask  uint32
	began  time.Time
	dirs   *dirCache
	owners owners

	mu      sync.Mutex
	objects atomic.Uint64
	files   map[Handle]*tempFile // that get bytes just now
	noted   map[string]bool
	touched map[string]bool // directories, with DiskOptions.Replace
	closed  bool
}

var _ Sink = (*Disk)(nil)

// tagSize is how many bytes tell a Disk's temporary names from those of another.
const tagSize = 6

// TempPrefix begins the names of files that are not whole yet.
const TempPrefix = ".hindsight-restore-"

// NewDisk returns a Sink for target, which need not exist; its parents are made. The
// root of the extracted tree becomes the target itself, be it a directory or a file.
// A target that is a symbolic link stands for what it leads to.
func NewDisk(target string, opt DiskOptions) (*Disk, error) {
	abs, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o777); err != nil {
		return nil, err
	}
	return openTree(abs, opt)
}

// OpenDisk is NewDisk for who only looks: nothing is made, and parents that are
// missing are an error.
func OpenDisk(target string, opt DiskOptions) (*Disk, error) {
	opt.Replace = false
	return openTree(target, opt)
}

// openTree opens the place that a tree has, or will have.
func openTree(target string, opt DiskOptions) (*Disk, error) {
	abs, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	parent, base := filepath.Dir(abs), filepath.Base(abs)
	if abs == "/" {
		base = "."
	}
	fd, err := unix.Open(parent, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: parent, Err: err}
	}
	var tag [tagSize]byte
	rand.Read(tag[:])
	return &Disk{
		opt: opt, parent: &dirHandle{fd: fd}, base: base, umask: umask(),
		prefix: TempPrefix + hex.EncodeToString(tag[:]) + "-",
		dirs:   newDirCache(maxDirs()), files: make(map[Handle]*tempFile), noted: make(map[string]bool),
		touched: make(map[string]bool), began: time.Now(),
	}, nil
}

// Close gives back what the sink holds. No other method may be running.
func (d *Disk) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	for _, f := range d.files {
		f.Close()
	}
	d.dirs.close()
	return unix.Close(d.parent.fd)
}

// wrap makes a *PathError of an error that says something of the path alone.
func (d *Disk) wrap(path string, err error) error {
	var errno unix.Errno
	var pe *PathError
	if err == nil || errors.As(err, &pe) || !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS, unix.EMFILE, unix.ENFILE, unix.ENOMEM:
		return fmt.Errorf("%q: %w", path, err)
	}
	if errno != unix.ENOENT { // that is what contradictions in the backup come to
		err = targetFault{err}
	}
	return &PathError{path, err}
}

// targetFault is an error of the kind ErrTarget.
type targetFault struct{ error }

func (e targetFault) Unwrap() []error { return []error{e.error, ErrTarget} }

// inTheWay says what has the name that a file should get.
type inTheWay struct {
	text  string
	errno unix.Errno
}

func (e *inTheWay) Error() string { return e.text }
func (e *inTheWay) Unwrap() error { return e.errno }

func (d *Disk) temp(h Handle) string { return d.prefix + strconv.FormatUint(uint64(h), 36) }

// openTemp opens the temporary file of a handle in a directory.
func (d *Disk) openTemp(dir *dirHandle, h Handle, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir.fd, d.temp(h), flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// private is the mode of a file until its owner is right.
const private = 0o600

// WriteFile implements Sink.
func (d *Disk) WriteFile(h Handle, path string, m *difftar.Meta, data []byte) error {
	return d.at(path, true, func(dir *dirHandle, _ string) error { return d.writeFile(dir, h, m, data) })
}

// writeFile makes a file in as few system calls as that can be done: where the owner
// comes right by itself, so may the mode.
func (d *Disk) writeFile(dir *dirHandle, h Handle, m *difftar.Meta, data []byte) error {
	d.touch(dir)
	known, mode := dir.inherit.Load(), uint32(private)
	if known != nil && d.comesRight(known, m) {
		mode = m.Mode
	}
	fd, err := d.openTemp(dir, h, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return err
	}
	if known == nil {
		if known, err = inheritance(dir, fd); err == nil {
			dir.inherit.Store(known)
		}
	}
	for len(data) > 0 && err == nil {
		var n int
		if n, err = unix.Write(fd, data); n > 0 {
			data = data[n:]
		}
		if err == unix.EINTR {
			err = nil
		}
	}
	if err == nil {
		err = d.setMeta(fd, m, attributes{known.uid, known.gid, mode, known.acl || mode&d.umask != 0})
	}
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	return err
}

// comesRight reports whether a new file can be made with its final mode: its owner
// is right from the beginning, and nothing takes from the mode.
func (d *Disk) comesRight(in *inherit, m *difftar.Meta) bool {
	if in.acl || m.Mode&^0o777 != 0 || m.Mode&d.umask != 0 {
		return false
	}
	if d.opt.NoOwnership {
		return true
	}
	uid, gid := d.owners.of(m, d.opt.NumericOwner)
	return uid == in.uid && gid == in.gid
}

// Create implements Sink.
func (d *Disk) Create(h Handle, path string) error {
	return d.at(path, true, func(dir *dirHandle, _ string) error {
		d.touch(dir)
		fd, err := d.openTemp(dir, h, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, private)
		if err == nil {
			d.keep(h, fd, path)
		}
		return err
	})
}

// keep holds a file open until Release or Finish, unless the handle has one.
func (d *Disk) keep(h Handle, fd int, path string) *tempFile {
	f := &tempFile{File: os.NewFile(uintptr(fd), path)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if have := d.files[h]; have != nil {
		f.Close()
		return have
	}
	d.files[h] = f
	return f
}

// open returns the open file of a handle.
func (d *Disk) open(h Handle, path string) (*tempFile, error) {
	d.mu.Lock()
	f := d.files[h]
	d.mu.Unlock()
	if f != nil {
		return f, nil
	}
	err := d.at(path, false, func(dir *dirHandle, _ string) error {
		fd, err := d.openTemp(dir, h, unix.O_RDWR, 0)
		if err == nil {
			f = d.keep(h, fd, path)
		}
		return err
	})
	return f, err
}

// WriteAt implements Sink.
func (d *Disk) WriteAt(h Handle, path string, p []byte, off int64) error {
	f, err := d.open(h, path)
	if err != nil {
		return err
	}
	return d.wrap(path, f.writeAt(p, off))
}

// take removes the open file of a handle from those kept.
func (d *Disk) take(h Handle) *tempFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[h]
	delete(d.files, h)
	return f
}

// Release implements Sink.
func (d *Disk) Release(h Handle, path string) error {
	f := d.take(h)
	if f == nil {
		return nil
	}
	return d.wrap(path, errors.Join(f.settle(), f.Close()))
}

// Finish implements Sink.
func (d *Disk) Finish(h Handle, path string, m *difftar.Meta) error {
	f, err := d.open(h, path)
	if err != nil {
		return err
	}
	d.take(h)
	err = errors.Join(f.settle(), d.setMeta(int(f.Fd()), m, attributes{-1, -1, private, true}))
	return d.wrap(path, errors.Join(err, f.Close()))
}

// Commit implements Sink.
func (d *Disk) Commit(h Handle, path string) error {
	return d.at(path, false, func(dir *dirHandle, name string) error { return d.rename(dir, d.temp(h), path, name) })
}

// Discard implements Sink.
func (d *Disk) Discard(h Handle, path string) {
	_ = d.Release(h, path)
	_ = d.at(path, false, func(dir *dirHandle, _ string) error {
		d.touch(dir)
		return unix.Unlinkat(dir.fd, d.temp(h), 0)
	})
}

// rename gives a temporary file its name. An empty directory in the way is removed:
// restoring a file to an empty directory's name is what one does who made that
// directory to restore to.
func (d *Disk) rename(dir *dirHandle, temp, path, name string) error {
	d.touch(dir)
	err := unix.Renameat(dir.fd, temp, dir.fd, name)
	if err == unix.EISDIR || err == unix.ENOTEMPTY || err == unix.EEXIST {
		if path == "" || d.opt.Replace {
			d.dirs.forget(path)
			rerr := unix.Unlinkat(dir.fd, name, unix.AT_REMOVEDIR)
			switch errno, _ := rerr.(unix.Errno); {
			case errno == unix.ENOTEMPTY || errno == unix.EEXIST:
				return &inTheWay{"a directory that is not empty is in the way", errno}
			case rerr != nil:
				return rerr
			}
			return unix.Renameat(dir.fd, temp, dir.fd, name)
		}
		return &inTheWay{"a directory is in the way", err.(unix.Errno)}
	}
	return err
}

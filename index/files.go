package index

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// What is in an index's directory.
const (
	pointerFile = "current"  // which generation is the current one
	lockName    = "lock"     // locked by who writes
	genPrefix   = "gen-"     // + number: a generation, locked shared by each reader
	tempPrefix  = "new-"     // a generation in the making, by who holds the lock
	scansName   = "scans"    // what was learned of volumes since
	metaFile    = "meta"     // in a generation
	dbName      = "db"       // in a generation: badger's own
	checkedFile = "verified" // in a generation: when its files were last found whole
)

// pointer is what the pointer file says.
type pointer struct {
	Generation uint64
	// The numbers that the next set and the next chain get. They are here, and not in
	// the generation, as they must go on when that is lost: a mount that was made with
	// it may still be there.
	NextSet, NextChain uint32
	// Dropped says that the generation was removed, and that there is no other yet.
	Dropped bool
}

const pointerFormat = "hindsight index, generation %d, next set %d, next chain %d, dropped %t\n"

// readPointer reads the pointer file. One that makes no sense is ErrDamaged.
func readPointer(dir string) (pointer, error) {
	b, err := os.ReadFile(filepath.Join(dir, pointerFile))
	if err != nil {
		return pointer{}, err
	}
	var p pointer
	_, err = fmt.Sscanf(string(b), pointerFormat, &p.Generation, &p.NextSet, &p.NextChain, &p.Dropped)
	if err != nil || p.encode() != string(b) || p.NextSet == 0 || p.NextChain == 0 {
		return pointer{}, fmt.Errorf("%w: pointer to the current generation", ErrDamaged)
	}
	return p, nil
}

func (p pointer) encode() string {
	return fmt.Sprintf(pointerFormat, p.Generation, p.NextSet, p.NextChain, p.Dropped)
}

// writePointer makes p the pointer, durably.
func writePointer(dir string, p pointer) error {
	if err := renameio.WriteFile(filepath.Join(dir, pointerFile), []byte(p.encode()), 0o600); err != nil {
		return err
	}
	return syncPath(dir)
}

func genPath(dir string, n uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%s%d", genPrefix, n))
}

// lockPoll is how often a lock that others hold is tried again.
const lockPoll = 20 * time.Millisecond

// lockFile locks a file, which is made if it is missing, against all others. It waits
// until ctx ends.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-tick.C:
		}
	}
}

// pinGeneration locks a generation against removal. fs.ErrNotExist says that it is gone.
func pinGeneration(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is being removed: %w", path, fs.ErrNotExist)
	}
	now, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	held, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !os.SameFile(now, held) {
		f.Close()
		return nil, fmt.Errorf("%s was replaced: %w", path, fs.ErrNotExist)
	}
	return f, nil
}

// sweep removes what a writer left that did not come to its end, and generations other
// than keep that nobody reads. Who calls it holds the writer lock.
func sweep(dir string, keep uint64) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), tempPrefix):
			errs = append(errs, os.RemoveAll(path))
		case strings.HasPrefix(e.Name(), genPrefix) && path != genPath(dir, keep):
			errs = append(errs, removeUnread(path))
		}
	}
	return errors.Join(errs...)
}

// removeUnread removes a generation unless somebody reads it. Its lock is held until it
// is gone, so that nobody begins to.
func removeUnread(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	return os.RemoveAll(path)
}

// copyFiles copies the files of a directory, which has no others below it. Where the
// file system can, copies share their blocks until one is changed. They are no hard
// links: badger cuts a table to nothing before it removes it.
func copyFiles(to, from string) error {
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := copyFile(filepath.Join(to, e.Name()), filepath.Join(from, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil {
		return nil
	}
	_, err = io.Copy(dst, src)
	return err
}

// syncFiles makes a directory and the files in it durable.
func syncFiles(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := syncPath(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return syncPath(dir)
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// fileSum is what a file in a generation's database should be.
type fileSum struct {
	Name string
	Size int64
	CRC  uint32 // Castagnoli
}

// sumsFile holds the fileSums of a generation: a line each.
const sumsFile = "files"

const sumFormat = "%08x %d %s\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumFiles reads the files of a directory, which are listed by name.
func sumFiles(dir string) ([]fileSum, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sums []fileSum
	for _, e := range list {
		s, err := sumOf(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		sums = append(sums, s)
	}
	return sums, nil
}

func sumOf(path string) (fileSum, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileSum{}, err
	}
	defer f.Close()
	h := crc32.New(castagnoli)
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	return fileSum{filepath.Base(path), n, h.Sum32()}, err
}

func encodeSums(sums []fileSum) []byte {
	var b []byte
	for _, s := range sums {
		b = fmt.Appendf(b, sumFormat, s.CRC, s.Size, s.Name)
	}
	return b
}

// verifyFiles compares a generation's files with their sums. That they were read whole
// since the machine was started is remembered, and then only their sizes and times
// are looked at. badger would take a block that it cannot read for the end of a table.
func verifyFiles(gen string) error {
	want, err := os.ReadFile(filepath.Join(gen, sumsFile))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	mark, err := verifiedMark(gen, want)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(filepath.Join(gen, checkedFile)); err == nil && string(old) == mark {
		return nil
	}
	got, err := sumFiles(filepath.Join(gen, dbName))
	if err != nil {
		return err
	}
	if string(encodeSums(got)) != string(want) {
		return fmt.Errorf("%w: the database's files are not those that were written", ErrDamaged)
	}
	// Without the mark, on a full disk say, the next one reads all again.
	_ = renameio.WriteFile(filepath.Join(gen, checkedFile), []byte(mark), 0o600)
	return nil
}

// verifiedMark is what the mark says of the files as they are now.
func verifiedMark(gen string, sums []byte) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = nil // then the mark holds for longer
	}
	list, err := os.ReadDir(filepath.Join(gen, dbName))
	if err != nil {
		return "", err
	}
	h := crc32.New(castagnoli)
	h.Write(sums)
	for _, e := range list {
		fi, err := e.Info()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d %d\n", fi.Name(), fi.Size(), fi.ModTime().UnixNano())
	}
	return fmt.Sprintf("%s%s\n", boot, hex.EncodeToString(h.Sum(nil))), nil
}

package index

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Stats says what an index holds.
type Stats struct {
	Generation uint64
	Chains     int
	Snapshots  int
	Versions   int64 // of paths, in all snapshots; deletions are versions too
	Dead       int64 // of chains and sets that are gone, not yet thrown away
	Bytes      int64 // on disk, of the generation
	Scanned    int   // volumes that were scanned
	ScanBytes  int64 // on disk, of what was found by that
}

// Stat says what the index holds.
func (x *Index) Stat() (Stats, error) {
	g, err := x.acquire()
	if err == ErrGone {
		return Stats{}, nil
	}
	if err != nil {
		return Stats{}, err
	}
	defer g.release()
	s := Stats{Generation: g.number, Chains: len(g.meta.Chains), Snapshots: len(g.snapshots), Versions: g.meta.records(), Dead: g.meta.Dead}
	if s.Bytes, _, err = usage(g.path, ""); err != nil {
		return Stats{}, err
	}
	s.ScanBytes, s.Scanned, err = usage(x.scans.dir, ".scan")
	return s, err
}

// usage adds up the files below a directory whose names end so.
func usage(dir, suffix string) (size int64, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed meanwhile, or never was
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, suffix) {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			size += fi.Size()
			files++
		}
		return err
	})
	return size, files, err
}

// Drop removes the index in a directory, and what scans have found. It waits for who
// builds it until ctx ends. Who reads it goes on with what he has opened. The directory
// stays, and so do the numbers that the next index begins with.
func Drop(ctx context.Context, dir string) error {
	lock, err := lockFile(ctx, filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	p, err := readPointer(dir)
	switch {
	case err == nil:
		p.Dropped = true
		err = writePointer(dir, p)
	case errors.Is(err, ErrDamaged):
		err = os.Remove(filepath.Join(dir, pointerFile))
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range list {
		if e.Name() == scansName || strings.HasPrefix(e.Name(), genPrefix) || strings.HasPrefix(e.Name(), tempPrefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

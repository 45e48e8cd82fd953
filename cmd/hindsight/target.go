package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"hindsight/chain/extract"
)

// checkTarget makes sure, before anything is read, that a restore can write to the
// target and, without force, that nothing is there that it would mix with.
func checkTarget(target string, force bool) error {
	entries, err := os.ReadDir(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if to, err := os.Readlink(target); err == nil {
			return failf(exitFailure, "target %q is a symbolic link to %q, which is missing; make that directory or choose another target", target, to)
		}
		return checkParent(target)
	case errors.Is(err, unix.ENOTDIR) && exists(target):
		if force {
			return checkParent(target)
		}
		return failf(exitNotEmpty, "target %q exists and is not a directory; choose another, or give --force to replace it", target)
	case err != nil:
		return cannotWrite(target, err)
	case len(entries) > 0 && !force:
		return failf(exitNotEmpty, "target %q is not empty; choose another, or give --force to replace what is in the way", target)
	}
	return probe(target, target)
}

// checkParent finds the nearest directory above a target that is to be made.
func checkParent(target string) error {
	abs, err := filepath.Abs(target)
	if err != nil {
		return cannotWrite(target, err)
	}
	for dir := filepath.Dir(abs); ; dir = filepath.Dir(dir) {
		fi, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != "/":
			continue
		case err != nil:
			return cannotWrite(target, err)
		case !fi.IsDir():
			return cannotWrite(target, &fs.PathError{Op: "stat", Path: dir, Err: unix.ENOTDIR})
		}
		return probe(target, dir)
	}
}

// probe makes a name in dir and removes it: permissions alone do not tell of
// read-only, full and pseudo file systems.
func probe(target, dir string) error {
	name, err := os.MkdirTemp(dir, extract.TempPrefix+"probe-")
	if err != nil {
		return cannotWrite(target, err)
	}
	return os.Remove(name)
}

// cannotWrite says why, in one line.
func cannotWrite(target string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return failf(exitFailure, "cannot write to target %q: %w; choose another", target, err)
}

// checkApart refuses a target within what the repository uses on this machine: files
// among its objects, or in the place of its objects, are no restore that anyone wants.
func checkApart(target string, own map[string]string) error {
	for what, dir := range own {
		switch rel, inside := below(dir, target); {
		case inside && rel == ".":
			return failf(exitFailure, "target %q is the %s itself; choose another", target, what)
		case inside:
			return failf(exitFailure, "target %q is within the %s, %q; choose another", target, what, dir)
		}
	}
	return nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// fileTarget is what a single file that is restored to the target meets: an error if
// the target is a directory or is written as one. Not even force puts a file in the
// place of the current directory.
func fileTarget(target, path string, force bool) error {
	fi, err := os.Stat(target)
	isDir := err == nil && fi.IsDir()
	what := "a directory"
	switch {
	case isDir && isCurrent(fi):
		what = "the current directory"
	case force || !isDir && !strings.HasSuffix(target, "/"):
		return nil
	}
	if path == "" {
		return failf(exitNotEmpty, "target %q is %s, but the backup is of one file; give the file's own path", target, what)
	}
	return failf(exitNotEmpty, "target %q is %s, but %q is a file; give its own path, such as %q",
		target, what, path, filepath.Join(target, filepath.Base(path)))
}

func isCurrent(fi os.FileInfo) bool {
	here, err := os.Stat(".")
	return err == nil && os.SameFile(here, fi)
}

package main

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"hindsight/fusefs"
)

// checkMountpoint refuses directories that a mount would do harm to, or would hang
// over.
func (o *mountOptions) checkMountpoint(j *job, url, dir string) error {
	if dir == "" {
		return usagef("MOUNTPOINT is empty")
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, unix.ENOTCONN):
		return failf(exitFailure, "mountpoint %q is that of a mount whose process died; run fusermount3 -u %s first", dir, dir)
	case errors.Is(err, fs.ErrNotExist):
		return failf(exitFailure, "mountpoint %q does not exist; make that directory first", dir)
	case errors.Is(err, unix.ENOTDIR):
		return failf(exitFailure, "mountpoint %q is not a directory", dir)
	case err != nil:
		return failf(exitFailure, "mountpoint %q: %w", dir, err)
	}
	if source, ok := fusefs.Mounted(dir); ok && !o.force {
		return failf(exitNotEmpty, "%q is a mount of %s already; look into it, or run fusermount3 -u %s first", dir, source, dir)
	}
	for what, own := range j.ownDirs(url) {
		_, inside := below(own, dir)
		_, around := below(dir, own)
		if inside || around {
			return failf(exitFailure, "mountpoint %q and the %s, %q, are within each other; choose another mountpoint", dir, what, own)
		}
	}
	if len(entries) > 0 && !o.force {
		return failf(exitNotEmpty, "mountpoint %q is not empty; choose another, or give --force to hide what is in it", dir)
	}
	return nil
}

// ownDirs are the directories that a repository uses on this machine. An error shows
// itself when it is opened.
func (j *job) ownDirs(url string) map[string]string {
	dirs := make(map[string]string)
	p, err := parseURL(url)
	if err != nil {
		return dirs
	}
	if p.dir != "" {
		dirs["repository"] = p.dir
	}
	if cache, err := j.cacheDir(p); err == nil {
		dirs["cache"] = cache
	}
	return dirs
}

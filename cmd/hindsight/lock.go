package main

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock takes the lock of a cache directory, which keeps a second backup to the same
// place from running on this machine, until release is called. The kernel gives it
// back when the process ends, however that happens.
func lock(dir string) (release func() error, err error) {
	name := filepath.Join(dir, "lockfile")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, advise(err, adviceCache)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = failf(exitLocked, "another run holds %s; wait until it has ended", name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

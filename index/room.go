package index

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A database is written through mapped files. Where the disk is full that is no error
// but a signal, which ends the process, so there must be room before anything is written:
// for what is under way, and for closing the database, be it to publish it or to throw
// it away: then what it has in memory is stored, and all its tables are written anew
// before the old ones go.
const (
	roomAhead = 24 << 20 // bytes: the tables in memory, as they are logged and as they are stored, and some
	roomStep  = 1 << 20  // bytes of records that are written between two looks
)

// checkRoom reports an error that is unix.ENOSPC if there is too little room to write to
// a database.
func checkRoom(db string) error {
	need := int64(roomAhead)
	files, err := os.ReadDir(db)
	if err != nil {
		return err
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".sst" {
			continue
		}
		fi, err := f.Info()
		switch {
		case err == nil:
			need += fi.Size()
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(db, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: db, Err: err}
	}
	if free := int64(st.Bavail) * st.Bsize; free < need {
		dir := filepath.Dir(filepath.Dir(db))
		return fmt.Errorf("index in %s: %w: it takes %d MiB, and %d MiB are free", dir, unix.ENOSPC, need>>20, free>>20)
	}
	return nil
}

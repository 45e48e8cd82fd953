package extract

import (
	"encoding/hex"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxTouched bounds the directories that are remembered as touched; in more nothing is
// looked for, and all count as touched.
const maxTouched = 100_000

// touch notes that something in a directory which was there before is about to change,
// so that its time will have to be set again, and sweeps it the first time.
func (d *Disk) touch(dir *dirHandle) {
	if !d.opt.Replace || dir == d.parent || dir.made.Load() || dir.touched.Swap(true) {
		return
	}
	d.mu.Lock()
	skip := d.touched[dir.path] || len(d.touched) >= maxTouched
	if !skip {
		d.touched[dir.path] = true
	}
	d.mu.Unlock()
	if !skip {
		d.sweep(dir.path, dir.fd)
	}
}

// Touched implements Keeper.
func (d *Disk) Touched(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.touched[path] || len(d.touched) >= maxTouched
}

// sweep removes the temporary files that a killed restore left in a directory: those
// that have not changed since this one began. What cannot be removed stays. A directory
// with such files has not the time that it should: it is set last.
func (d *Disk) sweep(path string, dirfd int) {
	fd, err := openDir(dirfd, ".") // a listing needs a place of its own in it
	if err != nil {
		return
	}
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(sweepBatch)
		for _, name := range names {
			if d.stale(fd, name) {
				_ = unix.Unlinkat(fd, name, 0)
			}
		}
		if err != nil || len(names) == 0 {
			if err != nil && err != io.EOF && d.opt.Note != nil {
				d.note("some directories cannot be searched for what an interrupted restore left")
			}
			return
		}
	}
}

// sweepBatch is how many directory entries are read at once.
const sweepBatch = 1024

// stale reports whether a name is that of a killed restore's file. The time of the
// last change counts: that of the content is set to what the backup says.
func (d *Disk) stale(dirfd int, name string) bool {
	if !temporary(name) || strings.HasPrefix(name, d.prefix) {
		return false
	}
	var st unix.Stat_t
	if unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return false
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG && time.Unix(st.Ctim.Unix()).Before(d.began)
}

// temporary reports whether a Disk makes such names: TempPrefix, its tag, and more.
func temporary(name string) bool {
	rest, ok := strings.CutPrefix(name, TempPrefix)
	tag, number, dash := strings.Cut(rest, "-")
	bytes, err := hex.DecodeString(tag)
	return ok && dash && number != "" && err == nil && len(bytes) == tagSize
}

package extract

import (
	"encoding/binary"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// tempFile is a temporary file that is getting bytes. It was empty at first, so that
// zeros need not be written: they are left as holes.
//
// Room is not allocated beforehand. Three files of 256 MiB written at once have 3 to 5
// extents each on ext4 with or without that, as the system allocates when it writes out;
// no time is gained, and room would have to be given back where holes are.
type tempFile struct {
	*os.File
	end atomic.Int64 // of the zeros left out so far: the file reaches there at least
}

const (
	holeBlock = 4 << 10  // what file systems can leave out
	minHole   = 16 << 10 // shorter runs of zeros cost more calls than they are worth
)

// writeAt writes p but for its long runs of zeros.
func (f *tempFile) writeAt(p []byte, off int64) error {
	for len(p) > 0 {
		data, zeros := cut(p, off)
		if data > 0 {
			if _, err := f.WriteAt(p[:data], off); err != nil {
				return err
			}
		}
		if zeros > 0 {
			f.reach(off + int64(data+zeros))
		}
		p, off = p[data+zeros:], off+int64(data+zeros)
	}
	return nil
}

// cut is the length of p up to its first run of zeros that is worth a hole, in whole
// blocks of the file, and the length of that run.
func cut(p []byte, off int64) (data, zeros int) {
	first := int(-off & (holeBlock - 1))
	for at := first; at+minHole <= len(p); at += holeBlock {
		n := 0
		for at+n+holeBlock <= len(p) && allZero(p[at+n:at+n+holeBlock]) {
			n += holeBlock
		}
		if n >= minHole {
			return at, n
		}
		at += n
	}
	return len(p), 0
}

func allZero(p []byte) bool {
	for len(p) >= 8 {
		if binary.LittleEndian.Uint64(p) != 0 {
			return false
		}
		p = p[8:]
	}
	return true
}

// reach notes that the file reaches to end though it may end in zeros.
func (f *tempFile) reach(end int64) {
	for {
		have := f.end.Load()
		if have >= end || f.end.CompareAndSwap(have, end) {
			return
		}
	}
}

// settle makes the file as long as it must be, and says that no bytes come any more.
func (f *tempFile) settle() error {
	end := f.end.Load()
	if end == 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	if st.Size >= end {
		return nil
	}
	return f.Truncate(end)
}

package extract

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// blockStore keeps blocks of bytes: in memory up to a limit, and in one unnamed
// temporary file beyond. It is safe for concurrent use.
type blockStore struct {
	limit int64 // bytes in memory

	mu   sync.Mutex
	held int64 // bytes in memory now
	live int64 // bytes of the file that are in use
	end  int64 // of the file
	file *os.File
}

// block is a block in a blockStore; it never changes.
type block struct {
	data []byte // nil: in the file
	off  int64
	size int
}

// put keeps a copy of p.
func (s *blockStore) put(p []byte) (block, error) {
	b := block{size: len(p)}
	s.mu.Lock()
	if s.held+int64(len(p)) <= s.limit {
		s.held += int64(len(p))
		s.mu.Unlock()
		b.data = slices.Clone(p)
		return b, nil
	}
	err := s.spill()
	f := s.file
	b.off = s.end
	if err == nil {
		s.end += int64(len(p))
		s.live += int64(len(p))
	}
	s.mu.Unlock()
	if err == nil {
		if _, err = f.WriteAt(p, b.off); err != nil {
			s.free(b)
		}
	}
	if err != nil {
		return block{}, fmt.Errorf("temporary file: %w", err)
	}
	return b, nil
}

// hold keeps a copy of p in memory, limit or not.
func (s *blockStore) hold(p []byte) block {
	s.mu.Lock()
	s.held += int64(len(p))
	s.mu.Unlock()
	return block{data: slices.Clone(p), size: len(p)}
}

// spill makes the file if there is none.
func (s *blockStore) spill() error {
	if s.file != nil {
		return nil
	}
	f, err := os.CreateTemp("", "hindsight-extract-")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(err, f.Close())
	}
	s.file = f
	return nil
}

// get returns a block's bytes, which must not be changed: in buf, or in a longer
// buffer in its place, or where they lie in memory.
func (s *blockStore) get(b block, buf []byte) (data, scratch []byte, err error) {
	if b.data != nil {
		return b.data, buf, nil
	}
	buf = slices.Grow(buf[:0], b.size)[:b.size]
	if _, err := s.file.ReadAt(buf, b.off); err != nil {
		return nil, buf, fmt.Errorf("temporary file: %w", err)
	}
	return buf, buf, nil
}

// free gives a block back.
func (s *blockStore) free(b block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.data != nil {
		s.held -= int64(b.size)
		return
	}
	if s.live -= int64(b.size); s.live == 0 {
		s.end = 0
		_ = s.file.Truncate(0) // saves space only
		return
	}
	// Where the file system cannot do this the space comes back at the end.
	_ = unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, b.off, int64(b.size))
}

func (s *blockStore) close() {
	if s.file != nil {
		s.file.Close()
	}
}

package index

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"hindsight/chain/difftar"
	"hindsight/chain/toc"
)

// scans is what lazy scans of volumes have found, by this process or another. Its
// methods are safe for concurrent use.
type scans struct {
	dir string
	log *slog.Logger
	enc *zstd.Encoder
	dec *zstd.Decoder

	mu    sync.Mutex
	sets  map[uint32]scannedFiles
	cache map[scanBlockKey]*list.Element
	lru   list.List // of *scanCached, the last used in front
	held  int       // plain bytes of what is in it
}

// scannedFiles are those of one set, by volume. Those of filled have entries, and are
// in path order thereby: duplicity may end a set with a volume that holds nothing.
type scannedFiles struct{ all, filled []*scanFile }

func newScannedFiles(all []*scanFile) scannedFiles {
	empty := func(f *scanFile) bool { return len(f.blocks) == 0 }
	return scannedFiles{all, slices.DeleteFunc(slices.Clone(all), empty)}
}

type scanBlockKey struct {
	file  *scanFile
	block int
}

type scanCached struct {
	key     scanBlockKey
	entries []toc.Entry
	size    int
}

// scansHeld bounds the plain bytes of blocks that are kept decoded, which takes some
// five times as much.
const scansHeld = 2 << 20

func newScans(dir string, log *slog.Logger) (*scans, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, err
	}
	return &scans{dir: dir, log: log, enc: enc, dec: dec, cache: make(map[scanBlockKey]*list.Element)}, nil
}

func (s *scans) close() error {
	s.dec.Close()
	return s.enc.Close()
}

func scanName(set, volume uint32) string { return fmt.Sprintf("%d.%d.scan", set, volume) }

func (s *scans) path(set, volume uint32) string { return filepath.Join(s.dir, scanName(set, volume)) }

// refresh looks for files that other processes made. A file that makes no sense is
// removed, and its volume will be scanned again.
func (s *scans) refresh() error {
	dir, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	found := make(map[uint32][]*scanFile)
	for _, d := range dir {
		var set, volume uint32
		if _, err := fmt.Sscanf(d.Name(), "%d.%d.scan", &set, &volume); err != nil || d.Name() != scanName(set, volume) {
			continue
		}
		f := s.file(set, volume)
		if f == nil {
			if f, err = s.open(set, volume); err != nil {
				return err
			}
		}
		if f != nil {
			found[set] = append(found[set], f)
		}
	}
	sets := make(map[uint32]scannedFiles)
	for set, files := range found {
		slices.SortFunc(files, func(a, b *scanFile) int { return int(a.volume) - int(b.volume) })
		sets[set] = newScannedFiles(files)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets = sets
	return nil
}

// open opens a file; nil if it is not there, or was of no use.
func (s *scans) open(set, volume uint32) (*scanFile, error) {
	f, err := openScan(s.path(set, volume), volume)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, ErrDamaged):
		s.discard(s.path(set, volume), err)
		return nil, nil
	}
	return f, err
}

// discard removes a file that is damaged.
func (s *scans) discard(path string, reason error) {
	s.log.Warn("what was learned of a volume is damaged, and the volume will be scanned again", "reason", reason)
	_ = os.Remove(path) // else the next scan replaces it
}

// file finds what is known of a volume, nil if it was not scanned.
func (s *scans) file(set, volume uint32) *scanFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := s.sets[set].all
	i := slices.IndexFunc(files, func(f *scanFile) bool { return f.volume == volume })
	if i < 0 {
		return nil
	}
	return files[i]
}

// has reports whether anything is known of a set.
func (s *scans) has(set uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sets[set].all) > 0
}

// add takes in the file of a volume that was just scanned.
func (s *scans) add(set, volume uint32) (*scanFile, error) {
	f, err := s.open(set, volume)
	if f == nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets == nil {
		s.sets = make(map[uint32]scannedFiles)
	}
	files := slices.DeleteFunc(slices.Clone(s.sets[set].all), func(o *scanFile) bool { return o.volume == volume })
	i, _ := slices.BinarySearchFunc(files, volume, func(o *scanFile, v uint32) int { return int(o.volume) - int(v) })
	s.sets[set] = newScannedFiles(slices.Insert(files, i, f))
	return f, nil
}

// forget leaves out a file that turned out to be damaged or gone.
func (s *scans) forget(set uint32, f *scanFile, reason error) {
	if errors.Is(reason, ErrDamaged) {
		s.discard(f.path, reason)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets[set] = newScannedFiles(slices.DeleteFunc(slices.Clone(s.sets[set].all), func(o *scanFile) bool { return o == f }))
}

// pieces is what the scanned volumes of a set have of a path, by volume. They must not
// be changed.
func (s *scans) pieces(set uint32, path string) []*toc.Entry {
	s.mu.Lock()
	files := s.sets[set].filled
	s.mu.Unlock()
	var out []*toc.Entry
	// Volumes are in path order, too.
	from, _ := slices.BinarySearchFunc(files, path, func(f *scanFile, p string) int {
		if difftar.Compare(f.last, p) < 0 {
			return -1
		}
		return 1
	})
	for _, f := range files[from:] {
		n := f.block(path)
		if n < 0 {
			break
		}
		entries, err := s.entries(f, n)
		if err != nil {
			s.forget(set, f, err)
			continue
		}
		if i, ok := slices.BinarySearchFunc(entries, path, func(e toc.Entry, p string) int { return difftar.Compare(e.Path, p) }); ok {
			out = append(out, &entries[i])
		}
	}
	return out
}

// entries is a block of a file, decoded now or before.
func (s *scans) entries(f *scanFile, n int) ([]toc.Entry, error) {
	key := scanBlockKey{f, n}
	s.mu.Lock()
	if at := s.cache[key]; at != nil {
		s.lru.MoveToFront(at)
		entries := at.Value.(*scanCached).entries
		s.mu.Unlock()
		return entries, nil
	}
	s.mu.Unlock()
	entries, size, err := f.entries(n, s.dec)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cache[key] == nil {
		s.cache[key] = s.lru.PushFront(&scanCached{key, entries, size})
		s.held += size
	}
	for s.held > scansHeld && s.lru.Len() > 1 {
		old := s.lru.Remove(s.lru.Back()).(*scanCached)
		delete(s.cache, old.key)
		s.held -= old.size
	}
	return entries, nil
}

// sweepScans removes what was learned of sets that the index does not have any more.
func sweepScans(dir string, m *meta) error {
	known := make(map[uint32]bool)
	for _, c := range m.Chains {
		for _, s := range c.Sets {
			known[s.Number] = true
		}
	}
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range list {
		var set uint32
		if _, serr := fmt.Sscanf(d.Name(), "%d.", &set); serr == nil && !known[set] {
			err = errors.Join(err, os.Remove(filepath.Join(dir, d.Name())))
		}
	}
	return err
}

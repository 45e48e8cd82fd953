package fusefs_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/fusefs"
	"hindsight/index"
)

// model is Trees in memory: each snapshot is what a real directory held.
type model struct {
	mu     sync.Mutex
	snaps  []*modelSnapshot
	ids    map[string]index.ID
	paths  map[index.ID]string
	hidden map[string]bool     // paths whose size is unknown until Stat
	links  map[uint64]index.ID // inodes of the source: their smallest
	broken map[string]error    // paths that cannot be read, or sized if hidden

	gate chan struct{} // if not nil, Stat and reads wait until it is closed
	open atomic.Int64  // files
	read atomic.Int64  // reads of files from their beginning
	push atomic.Bool   // whether files are held in memory
	held atomic.Int64  // requests that wait at the gate
	look atomic.Int64  // calls of Entry
}

type modelSnapshot struct {
	fusefs.Snapshot
	entries  map[string]*modelEntry
	children map[string][]string // names, sorted
}

type modelEntry struct {
	index.Entry
	content []byte
	xattrs  []index.Xattr
}

var _ fusefs.Trees = (*model)(nil)

func newModel() *model {
	return &model{
		ids: map[string]index.ID{"": index.Root}, paths: map[index.ID]string{index.Root: ""},
		hidden: map[string]bool{}, broken: map[string]error{}, links: map[uint64]index.ID{},
	}
}

// add takes the tree below dir as the snapshot of a time.
func (m *model) add(t testing.TB, dir string, at naming.Time) *modelSnapshot {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	number := uint32(1)
	var before *modelSnapshot
	if n := len(m.snaps); n > 0 {
		before = m.snaps[n-1]
		number = before.Number + 1
	}
	s := &modelSnapshot{
		Snapshot: fusefs.Snapshot{Number: number, Time: at, Set: "full " + at.String()},
		entries:  map[string]*modelEntry{}, children: map[string][]string{},
	}
	for _, rec := range treetest.Record(t, dir) {
		e := m.entry(t, dir, rec, number)
		if before != nil {
			if old := before.entries[rec.Path]; old != nil && old.same(e) {
				e.Changed = old.Changed
			}
		}
		s.entries[rec.Path] = e
		if rec.Path != "" {
			s.children[parentOf(rec.Path)] = append(s.children[parentOf(rec.Path)], e.Name)
		}
		s.Entries++
		s.Bytes += int64(len(e.content))
	}
	for _, names := range s.children {
		slices.Sort(names)
	}
	m.snaps = append(m.snaps, s)
	return s
}

func parentOf(p string) string {
	if d := path.Dir(p); d != "." {
		return d
	}
	return ""
}

func (e *modelEntry) same(o *modelEntry) bool {
	a, b := e.Entry, o.Entry
	a.Changed, b.Changed = 0, 0
	return a == b && bytes.Equal(e.content, o.content)
}

// entry reads one path of a real tree.
func (m *model) entry(t testing.TB, dir string, rec treetest.Entry, number uint32) *modelEntry {
	full := filepath.Join(dir, rec.Path)
	id, ok := m.ids[rec.Path]
	if !ok {
		id = index.ID(16 + len(m.ids))
		m.ids[rec.Path], m.paths[id] = id, rec.Path
	}
	e := &modelEntry{Entry: index.Entry{
		ID: id, Parent: m.ids[parentOf(rec.Path)], Name: path.Base(rec.Path),
		Inode: index.Inode{
			Meta: difftar.Meta{
				Type: modelTypes[rec.Type], Mode: rec.Mode, UID: rec.UID, GID: rec.GID, MTime: rec.MTime,
				Linkname: rec.Target, Major: rec.Major, Minor: rec.Minor,
			},
			Sec: rec.MTime, Nsec: int32(rec.MTimeNanos), Size: rec.Size,
		},
		Links: 1, Changed: number,
	}}
	if rec.Type == treetest.TypeSymlink {
		e.Size = int64(len(rec.Target))
	}
	if rec.Type == treetest.TypeFile {
		var err error
		if e.content, err = os.ReadFile(full); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(full, &st); err != nil {
			t.Fatal(err)
		}
		if st.Nlink > 1 {
			first, ok := m.links[st.Ino]
			if !ok {
				first, m.links[st.Ino] = id, id
			}
			e.Link, e.Links = first, uint32(st.Nlink)
		}
		e.xattrs = readXattrs(t, full)
		e.HasXattrs = len(e.xattrs) > 0
	}
	return e
}

var modelTypes = map[treetest.Type]difftar.Type{
	treetest.TypeFile: difftar.Regular, treetest.TypeDir: difftar.Directory, treetest.TypeSymlink: difftar.Symlink,
	treetest.TypeFifo: difftar.Fifo, treetest.TypeChar: difftar.CharDevice, treetest.TypeBlock: difftar.BlockDevice,
}

func readXattrs(t testing.TB, name string) (list []index.Xattr) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(name, buf)
	if err != nil {
		t.Fatal(err)
	}
	for x := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		if x == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(name, x, value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, index.Xattr{Name: x, Value: value[:n]})
	}
	return list
}

// drop forgets a snapshot.
func (m *model) drop(number uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snaps = slices.DeleteFunc(m.snaps, func(s *modelSnapshot) bool { return s.Number == number })
}

func (m *model) Snapshots() (list []fusefs.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.snaps {
		list = append(list, s.Snapshot)
	}
	return list
}

func (m *model) At(t naming.Time) (s fusefs.Snapshot, ok bool) {
	for _, have := range m.Snapshots() {
		if have.Time <= t || !ok {
			s, ok = have, true
		}
	}
	return s, ok
}

// find is an entry as it is; nothing of it may be changed.
func (m *model) find(number uint32, p string) (*modelSnapshot, *modelEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.snaps {
		if s.Number != number {
			continue
		}
		if e := s.entries[p]; e != nil {
			return s, e, nil
		}
		return s, nil, index.ErrNotExist
	}
	return nil, nil, index.ErrGone
}

// shown is an entry as the index would tell it.
func (m *model) shown(e *modelEntry, p string) index.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := e.Entry
	if m.hidden[p] && e.Type == difftar.Regular {
		out.Size = -1
	}
	return out
}

func (m *model) Path(number uint32, id index.ID) (string, error) {
	m.mu.Lock()
	p, ok := m.paths[id]
	m.mu.Unlock()
	if !ok {
		return "", index.ErrNotExist
	}
	_, _, err := m.find(number, p)
	return p, err
}

func (m *model) Lookup(number uint32, dir index.ID, name string) (index.Entry, error) {
	p, err := m.Path(number, dir)
	if err != nil {
		return index.Entry{}, err
	}
	_, e, err := m.find(number, path.Join(p, name))
	if err != nil {
		return index.Entry{}, err
	}
	return m.shown(e, path.Join(p, name)), nil
}

func (m *model) Entry(number uint32, id index.ID) (index.Entry, error) {
	m.look.Add(1)
	p, err := m.Path(number, id)
	if err != nil {
		return index.Entry{}, err
	}
	_, e, err := m.find(number, p)
	if err != nil {
		return index.Entry{}, err
	}
	return m.shown(e, p), nil
}

// pass waits at the gate and then says what is wrong with a path.
func (m *model) pass(ctx context.Context, p string) error {
	m.mu.Lock()
	gate, err := m.gate, m.broken[p]
	m.mu.Unlock()
	if gate != nil {
		m.held.Add(1)
		defer m.held.Add(-1)
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (m *model) Stat(ctx context.Context, number uint32, id index.ID) (index.Entry, error) {
	p, err := m.Path(number, id)
	if err != nil {
		return index.Entry{}, err
	}
	if err := m.pass(ctx, p); err != nil {
		return index.Entry{}, err
	}
	m.mu.Lock()
	delete(m.hidden, p)
	m.mu.Unlock()
	return m.Entry(number, id)
}

func (m *model) ReadDir(number uint32, dir, after index.ID) iter.Seq2[index.Entry, error] {
	return func(yield func(index.Entry, error) bool) {
		p, err := m.Path(number, dir)
		if err != nil {
			yield(index.Entry{}, err)
			return
		}
		s, _, err := m.find(number, p)
		if err != nil {
			yield(index.Entry{}, err)
			return
		}
		names := s.children[p]
		if after != 0 {
			last, err := m.Path(number, after)
			if err != nil {
				yield(index.Entry{}, err)
				return
			}
			i, ok := slices.BinarySearch(names, path.Base(last))
			if ok {
				i++
			}
			names = names[i:]
		}
		for _, name := range names {
			if !yield(m.shown(s.entries[path.Join(p, name)], path.Join(p, name)), nil) {
				return
			}
		}
	}
}

func (m *model) Xattrs(number uint32, id index.ID) ([]index.Xattr, error) {
	p, err := m.Path(number, id)
	if err != nil {
		return nil, err
	}
	_, e, err := m.find(number, p)
	return e.xattrs, err
}

func (m *model) Volumes(number uint32, id index.ID) ([]fusefs.Volume, error) {
	return []fusefs.Volume{{Time: 1_700_000_000, Number: 1}, {Time: 1_700_000_000, Number: 2}}, nil
}

func (m *model) Versions(p string) iter.Seq2[fusefs.Version, error] {
	return func(yield func(fusefs.Version, error) bool) {
		m.mu.Lock()
		snaps := slices.Clone(m.snaps)
		m.mu.Unlock()
		for i, s := range slices.Backward(snaps) {
			e := s.entries[p]
			if e == nil || i > 0 && snaps[i-1].entries[p] != nil && snaps[i-1].entries[p].Changed == e.Changed {
				continue
			}
			if !yield(fusefs.Version{Snapshot: s.Number, Entry: m.shown(e, p)}, nil) {
				return
			}
		}
	}
}

func (m *model) Names(p, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.Lock()
		var names []string
		for _, s := range m.snaps {
			names = append(names, s.children[p]...)
		}
		m.mu.Unlock()
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if name > after && !yield(name, nil) {
				return
			}
		}
	}
}

func (m *model) Open(ctx context.Context, number uint32, id index.ID) (fusefs.File, error) {
	p, err := m.Path(number, id)
	if err != nil {
		return nil, err
	}
	_, e, err := m.find(number, p)
	if err != nil {
		return nil, err
	}
	m.open.Add(1)
	return &modelFile{m, p, e.content}, nil
}

func (m *model) ReadHeld(number uint32, dir, after index.ID, room []byte) iter.Seq2[fusefs.Held, error] {
	return func(yield func(fusefs.Held, error) bool) {
		for e, err := range m.ReadDir(number, dir, after) {
			h := fusefs.Held{Entry: e}
			if err == nil {
				h.Content = m.content(number, e.ID, room)
			}
			if !yield(h, err) {
				return
			}
		}
	}
}

// content is what is in a file that is held in memory.
func (m *model) content(number uint32, id index.ID, room []byte) []byte {
	p, err := m.Path(number, id)
	if err != nil || !m.push.Load() {
		return nil
	}
	_, e, err := m.find(number, p)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil || len(e.content) > len(room) || m.broken[p] != nil {
		return nil
	}
	return room[:copy(room, e.content)]
}

type modelFile struct {
	m       *model
	path    string
	content []byte
}

func (f *modelFile) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := f.m.pass(ctx, f.path); err != nil {
		return 0, err
	}
	if off == 0 {
		f.m.read.Add(1)
	}
	if off >= int64(len(f.content)) {
		return 0, io.EOF
	}
	n := copy(p, f.content[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *modelFile) Close() error {
	f.m.open.Add(-1)
	return nil
}

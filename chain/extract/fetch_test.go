package extract_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// slowStart is a store whose volumes give nothing before a number of them has been
// asked for.
type slowStart struct {
	store.Store
	want int

	mu     sync.Mutex
	asked  int
	open   int
	most   int // open at once
	enough chan struct{}
}

var errTooFew = errors.New("too little is asked for at once")

func (s *slowStart) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	rc, err := s.Store.Get(ctx, name, off, length)
	if err != nil || !strings.Contains(name, ".vol") {
		return rc, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked++; s.asked == s.want {
		close(s.enough)
	}
	s.open++
	s.most = max(s.most, s.open)
	return &slowBody{ReadCloser: rc, store: s}, nil
}

type slowBody struct {
	io.ReadCloser
	store *slowStart
	once  sync.Once
}

func (b *slowBody) Read(p []byte) (int, error) {
	select {
	case <-b.store.enough:
		return b.ReadCloser.Read(p)
	case <-time.After(20 * time.Second):
		return 0, errTooFew
	}
}

func (b *slowBody) Close() error {
	b.once.Do(func() {
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		b.store.open--
	})
	return b.ReadCloser.Close()
}

// TestAhead opens volumes of older sets while none of the newest has given a byte,
// and no more of them than the budget says.
func TestAhead(t *testing.T) {
	treetest.NeedRoot(t)
	h := newHistory(treetest.Rand(t, 61), historyOptions{Sets: 6, MaxSize: 100 << 10, Volume: 50 << 10})
	a := h.write(t)
	sets := a.sets(t, 5)
	for _, tt := range []struct {
		ahead int64
		want  int // volumes open at once
	}{{-1, 1}, {1, 1}, {12 << 20, 5}, {1 << 40, 10}} {
		t.Run(fmt.Sprint(tt.ahead), func(t *testing.T) {
			s := &slowStart{Store: a.mem, want: tt.want, enough: make(chan struct{})}
			b := a.clone()
			b.repo.Store = s
			b.extract(t, 5, extract.Options{Sets: sets, Jobs: 1, Ahead: tt.ahead}).equal(t, h.tree(5, everyPath))
			if s.open != 0 || s.most > max(tt.want, 1) && tt.want < 10 {
				t.Errorf("%d bodies stay open, %d were at once, want %d", s.open, s.most, tt.want)
			}
		})
	}
}

// asleep is a store whose volumes give nothing until it is woken.
type asleep struct {
	store.Store
	wake chan struct{}

	mu          sync.Mutex
	asked, read int // volumes
}

func (s *asleep) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	rc, err := s.Store.Get(ctx, name, off, length)
	if err != nil || !strings.Contains(name, ".vol") {
		return rc, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return &asleepBody{ReadCloser: rc, store: s}, nil
}

type asleepBody struct {
	io.ReadCloser
	store *asleep
	once  sync.Once
}

func (b *asleepBody) Read(p []byte) (int, error) {
	b.once.Do(func() {
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		b.store.read++
	})
	<-b.store.wake
	return b.ReadCloser.Read(p)
}

// TestDecodedAhead opens many volumes, but decodes only the next few of them.
func TestDecodedAhead(t *testing.T) {
	h := newHistory(treetest.Rand(t, 63), historyOptions{Sets: 8, MaxSize: 200 << 10, Volume: 50 << 10})
	a := h.write(t)
	for _, jobs := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := &asleep{Store: a.mem, wake: make(chan struct{})}
			b := a.clone()
			b.repo.Store = s
			var work sync.WaitGroup
			work.Go(func() {
				opt := extract.Options{Repository: b.repo, Sets: a.sets(t, 7), Sink: extract.Nowhere{}, Jobs: jobs, Ahead: 1 << 40}
				if res, err := extract.Run(t.Context(), opt); err != nil || res.Files == 0 || res.Lost > 0 {
					t.Errorf("%+v, %v", res, err)
				}
			})
			synctest.Wait()
			s.mu.Lock()
			if s.asked < 12 || s.read < jobs+1 || s.read > jobs+4 {
				t.Errorf("%d jobs: %d volumes are open, %d of them are read", jobs, s.asked, s.read)
			}
			s.mu.Unlock()
			close(s.wake)
			work.Wait()
		})
	}
}

// lingering is a Sink that gives the files of the newest set no name before a file of an
// older one was made.
type lingering struct {
	extract.Sink
	newest func(path string) bool
	older  chan struct{}
	once   sync.Once
}

func (s *lingering) WriteFile(h extract.Handle, path string, m *difftar.Meta, data []byte) error {
	if !s.newest(path) {
		s.once.Do(func() { close(s.older) })
	}
	return s.Sink.WriteFile(h, path, m, data)
}

func (s *lingering) Commit(h extract.Handle, path string) error {
	if s.newest(path) {
		select {
		case <-s.older:
		case <-time.After(20 * time.Second):
			return errTooFew
		}
	}
	return s.Sink.Commit(h, path)
}

// TestReadOn reads an older set while files of a newer one get their names.
func TestReadOn(t *testing.T) {
	a := newArchive()
	a.rawSet(t, 0, rawVolume{end: "old", tar: tarOf(t, rawDir(""), rawFile("new", "1"), rawFile("old", "1"))})
	a.rawSet(t, 1, rawVolume{end: "new", tar: tarOf(t, rawDir(""), rawFile("new", "2"))})
	disk, err := extract.NewDisk(filepath.Join(t.TempDir(), "target"), extract.DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	sink := &lingering{Sink: disk, newest: func(path string) bool { return path == "new" }, older: make(chan struct{})}
	res, err := extract.Run(t.Context(), extract.Options{Repository: a.repo, Sets: a.sets(t, 1), Sink: sink, Jobs: 2})
	if err != nil || res.Files != 2 || res.Lost > 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestManifestsTogether reads the newest manifest alone, where a wrong key shows, and the
// others at once.
func TestManifestsTogether(t *testing.T) {
	h := newHistory(treetest.Rand(t, 62), historyOptions{Sets: 5, MaxSize: 10 << 10, Volume: 50 << 10})
	a := h.write(t)
	s := &together{Store: a.mem, want: 4, enough: make(chan struct{})}
	b := a.clone()
	b.repo.Store = s
	if _, err := extract.Run(t.Context(), extract.Options{Repository: b.repo, Sets: a.sets(t, 4), Sink: extract.Nowhere{}}); err != nil {
		t.Error(err)
	}
	if s.first != a.sets(t, 4)[4].Manifest.Key {
		t.Errorf("%s is read first", s.first)
	}
}

// together is a store that gives no manifest but the first before a number of others
// has been asked for.
type together struct {
	store.Store
	want   int
	enough chan struct{}

	mu    sync.Mutex
	first string
	asked int
}

func (s *together) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	if strings.HasSuffix(name, ".manifest") && !s.alone(name) {
		select {
		case <-s.enough:
		case <-time.After(20 * time.Second):
			return nil, errTooFew
		}
	}
	return s.Store.Get(ctx, name, off, length)
}

// alone counts a manifest, and reports whether it is the first.
func (s *together) alone(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == "" {
		s.first = name
		return true
	}
	if s.asked++; s.asked == s.want {
		close(s.enough)
	}
	return false
}

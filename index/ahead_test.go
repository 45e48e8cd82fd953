package index_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// farStore has each request wait for others to come, and may fail each object's first.
type farStore struct {
	store.Store
	fail bool

	mu    sync.Mutex
	asked map[string]int
	most  int // requests at once
	now   int
	more  chan struct{} // closed when there is one more
}

func (f *farStore) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	f.mu.Lock()
	f.asked[name]++
	first := f.asked[name] == 1
	f.now++
	f.most = max(f.most, f.now)
	close(f.more)
	f.more = make(chan struct{})
	f.mu.Unlock()
	f.company()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.now--
	}()
	if f.fail && first && strings.Contains(name, ".to.") {
		return nil, errors.New("the network is away")
	}
	return f.Store.Get(ctx, name, off, length)
}

// company waits until there are some requests at once, or nobody comes.
func (f *farStore) company() {
	nobody := time.After(100 * time.Millisecond)
	for {
		f.mu.Lock()
		now, more := f.now, f.more
		f.mu.Unlock()
		if now >= 4 {
			return
		}
		select {
		case <-more:
		case <-nobody:
			return
		}
	}
}

// TestBuildAhead: the small objects of a long chain come several at once, each once, and
// one that could not be had ahead is asked for again.
func TestBuildAhead(t *testing.T) {
	const sets = 12
	r := chaintest.New(t)
	for day := range int64(sets) {
		treetest.Write(t, r.Source, treetest.File(fmt.Sprint("file", day), "content"))
		kind := backup.Incremental
		if day == 0 {
			kind = backup.Full
		}
		r.Backup(treetest.BaseTime+day*86400, kind)
	}
	for _, fail := range []bool{false, true} {
		far := &farStore{Store: r.Store, fail: fail, asked: map[string]int{}, more: make(chan struct{})}
		repo := r.Repository
		repo.Store, repo.Archive = far, nil
		x := openIndex(t, t.TempDir())
		build(t, x, &repo, r.Load())
		if n := len(x.Snapshots()); n != sets {
			t.Errorf("%d snapshots", n)
		}
		if far.most < 4 || far.most > 16 {
			t.Errorf("%d requests at once", far.most)
		}
		for _, s := range r.Load().Latest().Sets {
			want := 1
			if fail && s.Inc {
				want = 2
			}
			for _, name := range []string{s.Manifest.Key, s.TOC.Key} {
				if n := far.asked[name]; n != want {
					t.Errorf("%s was asked for %d times, want %d", name, n, want)
				}
			}
		}
	}
}

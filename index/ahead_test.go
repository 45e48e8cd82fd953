package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
	"hindsight/index"
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

// TestAheadPassed: a reader that finds objects elsewhere, such as manifests in an archive,
// and goes on behind them leaves nothing of what was fetched of them in memory, and may
// still come back for one.
func TestAheadPassed(t *testing.T) {
	const (
		ahead = 8 // objects of a kind
		size  = 1000
	)
	mem := storetest.NewMem()
	var sets []*chain.Set
	for i := range 40 {
		o := chain.Object{Key: fmt.Sprintf("manifest%02d", i), Size: size}
		if err := mem.Put(t.Context(), o.Key, store.Bytes(bytes.Repeat([]byte{byte(i)}, size)), store.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		sets = append(sets, &chain.Set{Manifest: &o})
	}
	a := index.NewAhead(t.Context(), mem, sets)
	defer a.End()
	read := func(i int) {
		t.Helper()
		rc, err := a.Get(t.Context(), sets[i].Manifest.Key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err = errors.Join(err, rc.Close()); err != nil || !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Fatalf("manifest %d is of %d bytes, %v", i, len(b), err)
		}
	}
	read(0)
	for _, step := range []struct{ at, first, last int }{
		{1, 2, 9}, {5, 6, 13}, {6, 7, 14}, {30, 31, 38}, {38, 39, 39}, {39, 40, 39},
		{2, 40, 39}, // back: nothing is fetched again for it
	} {
		read(step.at)
		var want []string
		for i := step.first; i <= step.last; i++ {
			want = append(want, sets[i].Manifest.Key)
		}
		if held := a.Held(); !slices.Equal(held, want) || len(held) > ahead {
			t.Errorf("behind the read of %d it holds %q, want %q", step.at, held, want)
		}
	}
}

package content_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
	"hindsight/index/content"
)

// gated is a store whose Gets wait at a gate.
type gated struct {
	store.Store
	mu   sync.Mutex
	gate chan struct{} // nil: it is open
}

func (s *gated) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return s.Store.Get(ctx, name, off, n)
}

// TestFullOfAhead reads while all of the memory is taken by blocks that are on their way
// and that nobody wants.
func TestFullOfAhead(t *testing.T) {
	r := chaintest.New(t)
	r.Set.VolumeSize = 64 << 20
	data := treetest.Content(treetest.Rand(t, 4), 24<<20)
	treetest.Write(t, r.Source, treetest.File("big", string(data)))
	r.Backup(treetest.BaseTime, backup.Full)
	st := &gated{Store: r.Store}
	repo := r.Repository
	repo.Store = st
	x, c := open(t, &repo, r.Load(), content.Options{Memory: content.MinMemory})
	s := x.Snapshots()[0]
	e, err := s.LookupPath("big")
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Open(t.Context(), s, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st.mu.Lock()
	st.gate = make(chan struct{})
	st.mu.Unlock()
	n, all, err := c.FetchAhead(t.Context(), f)
	if err != nil || n == 0 || n == all {
		t.Fatalf("there is room for %d of %d blocks, %v", n, all, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	read := make(chan error, 1)
	go func() {
		_, err := f.ReadAt(ctx, make([]byte, 4096), int64(len(data)-4096))
		read <- err
	}()
	for before := c.Stats().Waits; c.Stats().Waits == before && len(read) == 0; {
		time.Sleep(time.Millisecond)
	}
	close(st.gate)
	if err := <-read; err != nil {
		t.Error(err)
	}
}

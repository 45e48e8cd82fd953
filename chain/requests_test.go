package chain_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hindsight/chain"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// slowStore answers a Get after a second, and counts those that wait.
type slowStore struct {
	store.Store
	fail int64 // the offset from which a Get fails; -1: none
	err  error

	mu        sync.Mutex
	now, most int
}

func (s *slowStore) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	s.count(1)
	defer s.count(-1)
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if off == s.fail {
		return nil, s.err
	}
	return s.Store.Get(ctx, key, off, length)
}

// count notes a Get that begins or ends.
func (s *slowStore) count(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += by
	s.most = max(s.most, s.now)
}

// Small requests are made several at a time, their blocks come in order, and an error, of
// the store or of who takes the blocks, ends them all.
func TestRequestsAtOnce(t *testing.T) {
	treetest.Sequential(t)
	r, st := newRepository()
	items := parts("a", string(noise(12<<20, 1)))
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz, Pool: newPool(t)}, items)
	s := gathered(t, "ours", r, load(t, st))[0]
	want := every(2, len(s.table.Blocks))
	broken, enough := errors.New("connection reset"), errors.New("enough")
	for _, tt := range []struct {
		name string
		fail int // the number of the request
		take int // blocks, before fn gives up
		err  error
		got  int // blocks
	}{
		{"all", -1, len(want), nil, len(want)},
		{"the store fails", 2, len(want), broken, 2},
		{"it fails at once", 0, len(want), broken, 0},
		{"enough", -1, 5, enough, 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			slow := &slowStore{Store: r.Store, fail: -1, err: broken}
			if tt.fail >= 0 {
				slow.fail, _ = s.table.Range(want[tt.fail], want[tt.fail])
			}
			repo := *r
			repo.Store = slow
			rr, err := repo.Ranges(s.o, s.table)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			begun := time.Now()
			err = rr.Each(t.Context(), want, func(b int, _ []byte) error {
				if len(got) == tt.take {
					return enough
				}
				got = append(got, b)
				return nil
			})
			if !errors.Is(err, tt.err) || len(got) != tt.got {
				t.Errorf("%s: %d blocks, %v, want %d, %v", tt.name, len(got), err, tt.got, tt.err)
			}
			for i, b := range got {
				if b != want[i] {
					t.Errorf("%s: block %d comes as number %d, want %d", tt.name, b, i, want[i])
				}
			}
			if n := slow.now; n != 0 {
				t.Errorf("%s: %d requests are left behind", tt.name, n)
			}
			if most := slow.most; most != 4 {
				t.Errorf("%s: %d requests at once, want 4", tt.name, most)
			}
			if took := time.Since(begun); took > time.Duration(len(want)/4+2)*time.Second {
				t.Errorf("%s: it took %v", tt.name, took)
			}
		})
	}
}

package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"hindsight/chain/store"
)

// checkConcurrent runs every operation beside every other; most is found by -race.
func checkConcurrent(t *testing.T, s store.Store) {
	const workers, rounds = 8, 20
	put(t, s, "shared", pattern(99, 5000))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				if err := oneRound(t, s, fmt.Sprintf("own.%d.%d", w, i), w*rounds+i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantNames(t, s, "own.")
	wantObject(t, s, "shared", pattern(99, 5000))
}

func oneRound(t *testing.T, s store.Store, name string, seed int) error {
	ctx := t.Context()
	data := pattern(seed, 100+seed)
	if err := s.Put(ctx, name, store.Bytes(data), store.PutOptions{IfAbsent: seed%2 == 0}); err != nil {
		return err
	}
	got, err := get(ctx, s, name, 50, -1)
	if err != nil || !bytes.Equal(got, data[50:]) {
		return fmt.Errorf("get %s: %d bytes, want %d; error %w", name, len(got), len(data)-50, err)
	}
	found := false
	for o, err := range s.List(ctx, "own.") {
		if err != nil {
			return err
		}
		found = found || o.Name == name && o.Size == int64(len(data))
	}
	if !found {
		return fmt.Errorf("list does not show %s, which is stored", name)
	}
	if got, err = get(ctx, s, "shared", int64(seed), 100); err != nil || len(got) != 100 {
		return fmt.Errorf("get shared: %d bytes, error %w", len(got), err)
	}
	return s.Delete(ctx, name)
}

// checkOverwriteRace reads an object while it is overwritten: every reader must see
// one version, whole.
func checkOverwriteRace(t *testing.T, s store.Store) {
	const size, versions = 300_000, 20
	version := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, size+i) }
	put(t, s, "object", version(0))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				got, err := get(t.Context(), s, "object", 0, -1)
				if err != nil {
					t.Errorf("get while overwriting: %v", err)
					return
				}
				if len(got) < size || !bytes.Equal(got, version(int(got[0]))) {
					t.Errorf("get while overwriting: %d bytes that are no version of the object", len(got))
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range versions {
		if err := s.Put(t.Context(), "object", store.Bytes(version(i+1)), store.PutOptions{}); err != nil {
			t.Errorf("put while reading: %v", err)
			break
		}
	}
	close(done)
	wg.Wait()
	wantNames(t, s, "", "object")
}

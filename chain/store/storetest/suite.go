// Package storetest checks stores and stands in for them: Run is the conformance
// suite of the contract in package store, Mem is a store in memory, Fault one that
// breaks by rule, and OpLog one that records what is asked of it. All of them are
// safe for concurrent use.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"hindsight/chain/store"
)

// Run checks that a store keeps the contract of store.Store, and those of
// store.Copier and store.Remains if it is one. Every subtest calls open for a new,
// empty store, and closes it. The suite puts a few objects of up to 33 MiB.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name  string
		check func(*testing.T, store.Store)
	}{
		{"PutGet", checkPutGet},
		{"MultiPart", checkMultiPart},
		{"FromReader", checkFromReader},
		{"Overwrite", checkOverwrite},
		{"IfAbsent", checkIfAbsent},
		{"IfAbsentRace", checkIfAbsentRace},
		{"FailingBody", checkFailingBody},
		{"CancelledPut", checkCancelledPut},
		{"Range", checkRange},
		{"Missing", checkMissing},
		{"CancelledGet", checkCancelledGet},
		{"ReadAll", checkReadAll},
		{"Delete", checkDelete},
		{"List", checkList},
		{"ListMany", checkListMany},
		{"ListStops", checkListStops},
		{"DoneContext", checkDoneContext},
		{"OddNames", checkOddNames},
		{"BadNames", checkBadNames},
		{"Concurrent", checkConcurrent},
		{"OverwriteRace", checkOverwriteRace},
		{"Copy", checkCopy},
		{"Remains", checkRemains},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			c.check(t, s)
		})
	}
}

// pattern is n bytes that look different at every place, and for every seed.
func pattern(seed, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b) // never fails
	return b
}

func put(t *testing.T, s store.Store, name string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, store.Bytes(data), store.PutOptions{}); err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
}

// get reads a range and checks that the reader behaves.
func get(ctx context.Context, s store.Store, name string, off, length int64) ([]byte, error) {
	rc, err := s.Get(ctx, name, off, length)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(rc)
	return data, errors.Join(err, rc.Close())
}

// wantObject fails the test unless the object has exactly that content.
func wantObject(t *testing.T, s store.Store, name string, want []byte) {
	t.Helper()
	got, err := get(t.Context(), s, name, 0, -1)
	if err != nil {
		t.Fatalf("get %q: %v", name, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("get %q: %d bytes, want %d that differ from them", name, len(got), len(want))
	}
}

// wantNames fails the test unless List shows just these objects.
func wantNames(t *testing.T, s store.Store, prefix string, want ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(list(t, s, prefix)))
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Fatalf("list %q: got %q, want %q", prefix, got, want)
	}
}

// list collects a List and checks that it shows nothing twice.
func list(t *testing.T, s store.Store, prefix string) map[string]store.Object {
	t.Helper()
	objects := make(map[string]store.Object)
	for o, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		if _, ok := objects[o.Name]; ok {
			t.Fatalf("list %q: %q is listed twice", prefix, o.Name)
		}
		objects[o.Name] = o
	}
	return objects
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want one that is %q", what, err, want)
	}
}

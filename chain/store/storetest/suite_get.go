package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"testing"

	"hindsight/chain/store"
)

func checkRange(t *testing.T, s store.Store) {
	const n = 1000
	data := pattern(1, n)
	put(t, s, "object", data)
	put(t, s, "empty", nil)
	for _, off := range []int64{0, 1, 500, n - 1, n, n + 1, math.MaxInt64} {
		for _, length := range []int64{-1, math.MinInt64, 0, 1, 499, n, n + 1, math.MaxInt64} {
			want := data[min(off, n):]
			if length >= 0 {
				want = want[:min(length, int64(len(want)))]
			}
			got, err := get(t.Context(), s, "object", off, length)
			if err != nil {
				t.Errorf("get off=%d length=%d: %v", off, length, err)
			} else if !bytes.Equal(got, want) {
				t.Errorf("get off=%d length=%d: %d bytes, want %d that differ from them", off, length, len(got), len(want))
			}
			got, err = get(t.Context(), s, "empty", off, length)
			if err != nil || len(got) > 0 {
				t.Errorf("get off=%d length=%d of an empty object: %d bytes, error %v", off, length, len(got), err)
			}
		}
	}
	if _, err := get(t.Context(), s, "object", -1, 10); err == nil {
		t.Error("get with a negative offset gave no error")
	}
}

func checkMissing(t *testing.T, s store.Store) {
	put(t, s, "object.1", []byte("x"))
	for _, name := range []string{"object", "object.10", "object.2"} {
		for _, r := range [][2]int64{{0, -1}, {0, 0}, {5, 5}, {5, 0}} {
			rc, err := s.Get(t.Context(), name, r[0], r[1])
			wantErr(t, fmt.Sprintf("get %s off=%d length=%d", name, r[0], r[1]), err, store.ErrNotExist)
			if rc != nil {
				t.Errorf("get %s gave an error and a reader", name)
			}
		}
	}
}

func checkCancelledGet(t *testing.T, s store.Store) {
	put(t, s, "object", pattern(1, 2*store.PartSize))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rc, err := s.Get(ctx, "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(rc, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = io.Copy(io.Discard, rc)
	wantErr(t, "read after the context was cancelled", err, context.Canceled)
	// What Close says of a reader that has failed is its own affair.
	_ = rc.Close()
	// One that is closed before its end leaves the store in order.
	rc, err = s.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Close(); err != nil {
		t.Errorf("close of an unread reader: %v", err)
	}
	if _, err := get(t.Context(), s, "object", 0, 10); err != nil {
		t.Errorf("get after a closed reader: %v", err)
	}
}

func checkReadAll(t *testing.T, s store.Store) {
	data := pattern(1, 1000)
	put(t, s, "object", data)
	for _, limit := range []int64{1000, 1001, math.MaxInt64} {
		got, err := store.ReadAll(t.Context(), s, "object", limit)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("read all with limit %d: %d bytes, error %v", limit, len(got), err)
		}
	}
	for _, limit := range []int64{-1, 0, 999} {
		_, err := store.ReadAll(t.Context(), s, "object", limit)
		wantErr(t, fmt.Sprintf("read all with limit %d", limit), err, store.ErrTooLarge)
	}
	_, err := store.ReadAll(t.Context(), s, "missing", 10)
	wantErr(t, "read all of a missing object", err, store.ErrNotExist)
}

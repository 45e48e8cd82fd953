package storetest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

func checkCopy(t *testing.T, s store.Store) {
	c, ok := s.(store.Copier)
	if !ok {
		t.Skip("the store is no Copier")
	}
	ctx := t.Context()
	sizes := []int{0, 1, 1000, store.PartSize, store.PartSize + 1}
	if treetest.Short() {
		sizes = sizes[:3]
	}
	for i, n := range sizes {
		data := pattern(i, n)
		put(t, s, "src", data)
		err := c.Copy(ctx, "src", "dst") // dst is there from the second on
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("the store is no Copier within")
		}
		if err != nil {
			t.Fatalf("copy of %d bytes: %v", n, err)
		}
		put(t, s, "src", []byte("changed since")) // the copy stands for itself
		wantObject(t, s, "dst", data)
	}
	wantErr(t, "copy of a missing object", c.Copy(ctx, "missing", "dst"), store.ErrNotExist)
	wantErr(t, "copy to a bad name", c.Copy(ctx, "src", "a/b"), store.ErrName)
	wantErr(t, "copy from a bad name", c.Copy(ctx, "..", "x"), store.ErrName)
	done, cancel := context.WithCancel(ctx)
	cancel()
	wantErr(t, "copy with a done context", c.Copy(done, "src", "new"), context.Canceled)
	wantNames(t, s, "", "src", "dst")
}

// checkRemains looks on while a put is under way: it must not be listed, and must not
// pass for remains of an older one.
func checkRemains(t *testing.T, s store.Store) {
	rs, ok := s.(store.Remains)
	if !ok {
		t.Skip("the store is no Remains")
	}
	ctx := t.Context()
	remains := func(olderThan time.Time) (names []string, err error) {
		for o, err := range rs.ListRemains(ctx, olderThan) {
			if err != nil {
				return nil, err
			}
			names = append(names, o.Name)
		}
		return names, nil
	}
	if _, err := remains(time.Now()); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the store is no Remains within")
	}
	put(t, s, "object", []byte("x"))
	part := pattern(1, store.PartSize)
	body := newCountedBody(io.ErrClosedPipe, part, part)
	body.then = func() { // may run in a goroutine of the store's, so no Fatal
		for o, err := range s.List(ctx, "") {
			if err != nil || o.Name != "object" {
				t.Errorf("list during a put shows %q, error %v", o.Name, err)
			}
		}
		if names, err := remains(time.Now().Add(-time.Hour)); len(names) > 0 || err != nil {
			t.Errorf("remains older than an hour in a new store: %q, error %v", names, err)
		}
	}
	err := s.Put(ctx, "new", body, store.PutOptions{})
	wantErr(t, "put with a failing body", err, io.ErrClosedPipe)
	if names, err := remains(time.Now().Add(48 * time.Hour)); len(names) > 0 || err != nil {
		t.Errorf("remains after a put that failed in order: %q, error %v", names, err)
	}
	wantErr(t, "delete an object as remains", rs.DeleteRemains(ctx, "object"), store.ErrName)
	wantErr(t, "delete remains with a slash", rs.DeleteRemains(ctx, store.TempPrefix+"/../object"), store.ErrName)
	wantObject(t, s, "object", []byte("x"))
}

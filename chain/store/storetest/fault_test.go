package storetest_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
)

func put(t *testing.T, s store.Store, name, data string) {
	t.Helper()
	if err := tryPut(t, s, name, data); err != nil {
		t.Fatal(err)
	}
}

func tryPut(t *testing.T, s store.Store, name, data string) error {
	return s.Put(t.Context(), name, store.Bytes([]byte(data)), store.PutOptions{})
}

// read returns what a Get gives before it ends or fails.
func read(t *testing.T, s store.Store, name string) (string, error) {
	t.Helper()
	rc, err := s.Get(t.Context(), name, 0, -1)
	if err != nil {
		return "", err
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	return string(b), err
}

func TestFaultNth(t *testing.T) {
	errDisk := errors.New("disk on fire")
	m := storetest.NewMem()
	f := storetest.NewFault(m,
		storetest.Rule{Op: storetest.Put, Match: "*.sigtar*", Nth: 2, Times: 2, Err: errDisk},
		storetest.Rule{Op: storetest.Delete, Nth: 2, Times: -1})
	for i, c := range []struct {
		name string
		want error
	}{
		{"a.sigtar.gz", nil}, {"a.vol1", nil}, {"b.sigtar", errDisk}, {"b.vol1", nil}, {"c.sigtar", errDisk}, {"d.sigtar", nil},
	} {
		if err := tryPut(t, f, c.name, "x"); !errors.Is(err, c.want) {
			t.Errorf("put %d, of %s: error %v, want %v", i, c.name, err, c.want)
		}
	}
	want := []string{"a.sigtar.gz", "a.vol1", "b.vol1", "d.sigtar"}
	if got := m.Names(); !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
	for i, want := range []error{nil, storetest.ErrFault, storetest.ErrFault, storetest.ErrFault} {
		if err := f.Delete(t.Context(), "a.vol1"); !errors.Is(err, want) {
			t.Errorf("delete %d: error %v, want %v", i, err, want)
		}
	}
	if f.Fired(0) != 2 || f.Fired(1) != 3 {
		t.Errorf("rules fired %d and %d times, want 2 and 3", f.Fired(0), f.Fired(1))
	}
}

func TestFaultGet(t *testing.T) {
	for _, c := range []struct {
		name   string
		effect storetest.Effect
		at     int64
		want   string
		err    error
	}{
		{"fail", storetest.Fail, 3, "", storetest.ErrFault},
		{"lost", storetest.Lost, 3, "", storetest.ErrFault},
		{"cut", storetest.Cut, 3, "abc", storetest.ErrFault},
		{"cut at end", storetest.Cut, 6, "abcdef", storetest.ErrFault},
		{"truncate", storetest.Truncate, 3, "abc", nil},
		{"truncate past end", storetest.Truncate, 9, "abcdef", nil},
		{"flip first", storetest.Flip, 0, "`bcdef", nil},
		{"flip last", storetest.Flip, 5, "abcdeg", nil},
		{"flip past end", storetest.Flip, 6, "abcdef", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := storetest.NewMem()
			put(t, m, "object", "abcdef")
			f := storetest.NewFault(m, storetest.Rule{Op: storetest.Get, Effect: c.effect, At: c.at})
			got, err := read(t, f, "object")
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("first read %q, error %v; want %q, %v", got, err, c.want, c.err)
			}
			if got, err := read(t, f, "object"); got != "abcdef" || err != nil {
				t.Errorf("second read %q, error %v; want all", got, err)
			}
		})
	}
}

func TestFaultPut(t *testing.T) {
	big := make([]byte, store.PartSize+1)
	for _, c := range []struct {
		effect storetest.Effect
		at     int64
		stored bool
	}{
		{storetest.Fail, 0, false}, {storetest.Lost, 0, true}, {storetest.Cut, 0, false},
		{storetest.Cut, store.PartSize, false}, {storetest.Cut, 1 << 40, false},
	} {
		m := storetest.NewMem()
		f := storetest.NewFault(m, storetest.Rule{Effect: c.effect, At: c.at})
		err := f.Put(t.Context(), "object", store.Bytes(big), store.PutOptions{})
		if !errors.Is(err, storetest.ErrFault) {
			t.Errorf("effect %d at %d: error %v, want the fault", c.effect, c.at, err)
		}
		if got := len(m.Names()) == 1; got != c.stored {
			t.Errorf("effect %d at %d: object stored: %v, want %v", c.effect, c.at, got, c.stored)
		}
	}
}

func TestFaultList(t *testing.T) {
	m := storetest.NewMem()
	for _, name := range []string{"a", "b", "c"} {
		put(t, m, name, name)
	}
	for _, c := range []struct {
		effect storetest.Effect
		at     int64
		want   int
	}{{storetest.Fail, 2, 0}, {storetest.Cut, 2, 2}, {storetest.Cut, 0, 0}, {storetest.Lost, 0, 3}} {
		f := storetest.NewFault(m, storetest.Rule{Op: storetest.List, Effect: c.effect, At: c.at})
		n, failed := 0, error(nil)
		for _, err := range f.List(t.Context(), "") {
			if failed = err; err == nil {
				n++
			}
		}
		if n != c.want || !errors.Is(failed, storetest.ErrFault) {
			t.Errorf("effect %d at %d: %d objects, then error %v; want %d and the fault", c.effect, c.at, n, failed, c.want)
		}
	}
}

func TestFaultKill(t *testing.T) {
	m := storetest.NewMem()
	f := storetest.NewFault(m, storetest.Rule{Op: storetest.Put, Nth: 3, Effect: storetest.Kill})
	put(t, f, "a", "a")
	put(t, f, "b", "b")
	for what, err := range map[string]error{
		"put":    tryPut(t, f, "c", "c"),
		"delete": f.Delete(t.Context(), "a"),
		"copy":   f.Copy(t.Context(), "a", "d"),
	} {
		if !errors.Is(err, storetest.ErrFault) {
			t.Errorf("%s on a dead store: error %v", what, err)
		}
	}
	if _, err := read(t, f, "a"); !errors.Is(err, storetest.ErrFault) {
		t.Errorf("get on a dead store: error %v", err)
	}
	if got, want := m.Names(), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}

func TestFaultStall(t *testing.T) {
	f := storetest.NewFault(storetest.NewMem(), storetest.Rule{Effect: storetest.Stall, Times: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, getErr := f.Get(ctx, "a", 0, -1)
	var listErr error
	for _, listErr = range f.List(ctx, "") {
	}
	for what, err := range map[string]error{
		"get": getErr, "list": listErr, "delete": f.Delete(ctx, "a"),
		"put": f.Put(ctx, "a", store.Bytes(nil), store.PutOptions{}),
	} {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stalled %s: error %v, want that of the deadline", what, err)
		}
	}
}

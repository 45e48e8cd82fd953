package storetest_test

import (
	"slices"
	"testing"
	"time"

	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
)

func TestMem(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewMem() })
}

func TestFaultWithoutRules(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewFault(storetest.NewMem()) })
}

func TestOpLogIsTransparent(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewOpLog(storetest.NewMem()) })
}

func TestMemClone(t *testing.T) {
	at := time.Unix(1700000000, 0)
	m := &storetest.Mem{Now: func() time.Time { return at }}
	put(t, m, "a", "aa")
	c := m.Clone()
	put(t, c, "b", "bbb")
	if err := c.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if got, want := m.Names(), []string{"a"}; !slices.Equal(got, want) {
		t.Errorf("original holds %q, want %q", got, want)
	}
	if got, want := c.Names(), []string{"b"}; !slices.Equal(got, want) {
		t.Errorf("clone holds %q, want %q", got, want)
	}
	if m.Size() != 2 || c.Size() != 3 {
		t.Errorf("sizes %d and %d, want 2 and 3", m.Size(), c.Size())
	}
	for o := range c.List(t.Context(), "") {
		if !o.Time.Equal(at) {
			t.Errorf("time %v, want that of the clock, %v", o.Time, at)
		}
	}
}

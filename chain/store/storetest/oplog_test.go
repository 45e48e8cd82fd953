package storetest_test

import (
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
)

func TestOpLog(t *testing.T) {
	ctx := t.Context()
	l := storetest.NewOpLog(storetest.NewMem())
	put(t, l, "vol 1", "0123456789")
	_ = l.Put(ctx, "vol 1", store.Bytes([]byte("x")), store.PutOptions{IfAbsent: true})
	rc, err := l.Get(ctx, "vol 1", 2, 6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(rc, make([]byte, 4)); err != nil { // 4 of the 6 asked for
		t.Fatal(err)
	}
	if err := rc.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = l.Get(ctx, "none", 0, -1)
	for range l.List(ctx, "") {
	}
	_ = l.Copy(ctx, "vol 1", "vol2")
	_ = l.Delete(ctx, "vol2")
	_ = l.Delete(ctx, "a/b")
	for range l.ListRemains(ctx, time.Now()) {
	}
	want := `put "vol 1" size=10
put "vol 1" size=1 if-absent err=exist
get "vol 1" off=2 len=6 read=4
get none off=0 len=-1 read=0 err=not-exist
list "" objects=1
copy vol2 from="vol 1"
delete vol2
delete a/b err=name
list-remains "" objects=0 err=unsupported
`
	if diff := cmp.Diff(want, l.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	wantTotals := []storetest.Total{
		{Name: "", Requests: 2},
		{Name: "a/b", Requests: 1},
		{Name: "none", Requests: 1},
		{Name: "vol 1", Requests: 3, Read: 4, Written: 11},
		{Name: "vol2", Requests: 2},
	}
	if diff := cmp.Diff(wantTotals, l.Totals()); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	if got, want := l.Sum(storetest.Get), (storetest.Total{Requests: 2, Read: 4}); got != want {
		t.Errorf("sum of gets %+v, want %+v", got, want)
	}
	if got, want := l.Sum(), (storetest.Total{Requests: 9, Read: 4, Written: 11}); got != want {
		t.Errorf("sum %+v, want %+v", got, want)
	}
	if l.Reset(); l.String() != "" {
		t.Errorf("log after reset: %q", l.String())
	}
}

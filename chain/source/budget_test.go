package source

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestReadAheadIsBounded lets the consumer stand still until nothing more is read
// ahead, at several places.
func TestReadAheadIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 4000 {
		if err := os.MkdirAll(fmt.Sprintf("%s/%d/%d", dir, i%40, i), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const budget, jobs = 100_000, 3
	tree, err := Open(Options{Root: dir, Jobs: jobs, ReadAhead: budget})
	if err != nil {
		t.Fatal(err)
	}
	// Each worker may be at a node when the budget is used up.
	limit := budget + jobs*chunk*(slotBytes+nodeBytes+100)
	w := &walk{tree: tree, list: newList(budget)}
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	for range jobs {
		go func() { w.work(); done <- struct{}{} }()
	}
	seen := 0
	err = w.consume(t.Context(), func(*Item, error) bool {
		if seen++; seen%1000 == 1 {
			if got := settled(w.list); got > limit || got < budget && seen < 2000 {
				t.Errorf("after %d items %d bytes are read ahead, want %d to %d", seen, got, budget, limit)
			}
		}
		return true
	})
	w.stop()
	for range jobs {
		<-done
	}
	if err != nil || seen != 4041 {
		t.Errorf("%d items, want 4041; %v", seen, err)
	}
	if w.list.ahead != 0 {
		t.Errorf("%d bytes ahead at the end", w.list.ahead)
	}
	if err := tree.Close(); err != nil {
		t.Fatal(err)
	}
}

// settled waits until what is read ahead stays the same, and returns it.
func settled(l *list) int64 {
	for last, same := int64(-1), 0; ; time.Sleep(2 * time.Millisecond) {
		l.mu.Lock()
		now := l.ahead
		l.mu.Unlock()
		if same++; now != last {
			last, same = now, 0
		}
		if same == 10 {
			return now
		}
	}
}

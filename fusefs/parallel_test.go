package fusefs_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/fusefs"
)

// TestParallel reads in many ways at once while snapshots come.
func TestParallel(t *testing.T) {
	m, copies := history(t, 21, 2)
	m.push.Store(true)
	var mu sync.Mutex
	clock := now.Time()
	dir, mnt := mounted(t, m, fusefs.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return clock
	}})
	want := make([]string, len(copies))
	const sums = "find . -type f -exec sha256sum {} + | sort | sha256sum"
	for i, c := range copies {
		want[i] = sh(t, c, sums)
	}
	deadline := time.Now().Add(treetest.SoakTime(t, 2*time.Second))
	var readers sync.WaitGroup
	for i := range 6 {
		readers.Go(func() {
			for time.Now().Before(deadline) {
				day := i % len(copies)
				script := []string{sums, "tar cf - . | tar df - && " + sums, "ls -lR >/dev/null; " + sums}[i%3]
				got, err := trySh(filepath.Join(dir, dateName(day)), script)
				if err != nil || got != want[day] {
					t.Errorf("reader %d: %q, %v, want %q", i, got, err, want[day])
					return
				}
			}
		})
	}
	for n := 2; time.Now().Before(deadline); n++ {
		m.add(t, copies[n%2], first+naming.Time(n)*3600)
		mu.Lock()
		clock = clock.Add(time.Second)
		mu.Unlock()
		mnt.Reload()
		if got := sh(t, dir, "ls | wc -l"); got != fmt.Sprint(n+2) {
			t.Errorf("%s names, want %d", got, n+2)
		}
	}
	readers.Wait()
}

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

// watched is a mount that is read while backups come, and what each must look like.
type watched struct {
	*mount
	mu     sync.Mutex
	copies []string // of the source at each backup
	times  []int64
}

// pick is a backup and a copy of what it holds: one of the last few, or the first.
func (w *watched) pick(rng *rand.Rand) (dir, want string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := 0
	if rng.IntN(4) > 0 {
		i = max(0, len(w.copies)-1-rng.IntN(5))
	}
	return w.at(w.times[i]), w.copies[i]
}

func (w *watched) add(at int64, copied string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times, w.copies = append(w.times, at), append(w.copies, copied)
}

// readers are scripts that compare the directory $1 of a mount with $2 in ways of their
// own; $3 is a random number.
var readers = []string{
	`diff -r --no-dereference "$1" "$2"`,
	`test "$(cd "$1" && tar c . | sha256sum)" = "$(cd "$1" && tar c . | sha256sum)" && cd "$1" && find . -type f -exec cmp {} "$2/{}" \;`,
	`look() { cd "$1" && find . -type d -printf '%P %m\n' -o -printf '%P %y %m %s\n' | sort; } # a directory has a size of its file system's own
		test "$(look "$1")" = "$(look "$2")"`,
	`cd "$2" && find . -type f -size +4k | shuf -n 20 | while read -r f; do
		s=$(stat -c %s "$f"); cmp -i $(($3 * 7919 % s)) -n 5000 "$1/$f" "$2/$f" || exit 1; done`,
	`cp -a "$1" "$0" && diff -r --no-dereference "$0" "$2" && chmod -R u+w "$0" && rm -r "$0"`,
	`cd "$2" && find . -type f | shuf -n 30 | while read -r f; do cmp "$1/$f" "$f" || exit 1; done`,
	`rsync -anc --delete --itemize-changes "$2/" "$1/" | grep -v '/$' | grep '^[<>ch*]' && exit 1; true`,
	`ls -lR "$1" >/dev/null && cd "$1" && grep -r nothing-has-this . ; cmp /dev/null /dev/null`,
}

// TestSoakMount has eight readers compare a mount with what was backed up, each in its
// way, while backups come and the index goes from generation to generation: for a
// moment, or for as long as a soak run. In the end the mount holds nothing more than at
// its beginning.
func TestSoakMount(t *testing.T) {
	treetest.NeedRoot(t)
	p := newProgram(t)
	rng := treetest.Rand(t, 11)
	dir := t.TempDir()
	src, repo := filepath.Join(dir, "src"), filepath.Join(dir, "repo")
	opts := treetest.RandomOptions{Nodes: 150}
	treetest.Random(t, src, rng, opts)
	w := new(watched)
	backup := func(i int) {
		at := treetest.BaseTime + int64(i)*3600
		p.run(t, "backup", "-q", "--no-encryption", "--volsize", "1", "--current-time", fmt.Sprint(at), src, repo)
		copied := filepath.Join(dir, fmt.Sprint("copy", i))
		treetest.Run(t, nil, "", "cp", "-a", src, copied).OK(t)
		if w.mount == nil {
			w.mount = p.mount(t, "--memory", "64M", "--refresh", "1s", repo)
		}
		w.appears(t, at)
		w.add(at, copied)
	}
	backup(0)
	before := w.descriptors(t)

	end := time.Now().Add(treetest.SoakTime(t, 3*time.Second))
	var all sync.WaitGroup
	for i, script := range readers {
		seed := rng.Uint64()
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := 0; n == 0 || time.Now().Before(end); n++ {
				got, want := w.pick(rng)
				out, err := exec.Command("sh", "-c", script, filepath.Join(dir, fmt.Sprint("taken", i)), got, want, fmt.Sprint(rng.IntN(1<<20))).CombinedOutput()
				if err != nil {
					t.Errorf("reader %d at %s: %v\n%s", i, filepath.Base(got), err, out)
					return
				}
			}
		})
	}
	for i := 1; i < 3 || time.Now().Before(end); i++ {
		treetest.Mutate(t, src, rng, treetest.BaseTime+int64(i)*3600-1000, 10, opts)
		backup(i)
		if i > 40 {
			if err := os.RemoveAll(w.copies[i-40]); err != nil {
				t.Fatal(err)
			}
		}
	}
	all.Wait()
	t.Logf("%d backups", len(w.times))
	deadline := time.Now().Add(10 * time.Second) // files stay open for a moment
	for w.descriptors(t) > before+2 {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, were %d", w.descriptors(t), before)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// appears waits until a backup is there. Until then its name stands for the backup
// before it, by a symlink.
func (w *watched) appears(t *testing.T, at int64) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		if info, err := os.Lstat(w.at(at)); err == nil && info.IsDir() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("backup %d does not appear", at)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// descriptors counts the open files of the mount's process.
func (m *mount) descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, fd := range list { // those of an index's files come and go with its generations
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", m.cmd.Process.Pid, fd.Name())); err == nil && !strings.Contains(to, "/index/") {
			n++
		}
	}
	return n
}

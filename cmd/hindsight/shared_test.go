package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

// shared is a repository with one cache that a backup, two mounts, a restore and a
// listing use at once.
type shared struct {
	*program
	src, repo string
	clock     int64 // of the newest backup
	tree      treetest.Tree
	mounts    [2]*mount
	took      time.Duration // by a backup
	kills     map[string]int
}

var sharedOptions = treetest.RandomOptions{Nodes: 120, MaxSize: 100 << 10}

func newShared(t *testing.T, rng *rand.Rand) *shared {
	t.Helper()
	dir := t.TempDir()
	s := &shared{
		program: newProgram(t), src: filepath.Join(dir, "src"), repo: filepath.Join(dir, "repo"),
		clock: treetest.BaseTime, kills: make(map[string]int),
	}
	treetest.Random(t, s.src, rng, sharedOptions)
	begun := time.Now()
	s.run(t, s.backup(s.clock)...)
	s.took = time.Since(begun)
	s.tree = treetest.Record(t, s.src)
	for i := range s.mounts {
		s.mounts[i] = s.mount(t, "--refresh", "1s", s.repo)
	}
	return s
}

func (s *shared) backup(at int64) []string {
	return []string{"backup", "-q", "--no-encryption", "--volsize", "1", "--current-time", fmt.Sprint(at), s.src, s.repo}
}

// child is a process and how it ended.
type child struct {
	name string
	cmd  *exec.Cmd
	said []byte
	err  error
	done chan struct{}
}

func start(t *testing.T, name string, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	out, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		defer out.Close()
		c.err = cmd.Wait()
		c.said, _ = os.ReadFile(out.Name())
	}()
	return c
}

// wait waits for the end, which must come in time.
func (c *child) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(2 * time.Minute):
		_ = c.cmd.Process.Kill()
		t.Fatalf("%s does not end", c.name)
	}
	return c.err
}

// trial has all at work at once, kills one of them at a random moment, and looks
// whether the others came to a good end and the index is as it should be.
func (s *shared) trial(t *testing.T, rng *rand.Rand) {
	t.Helper()
	next := s.clock + 86400
	treetest.Mutate(t, s.src, rng, next-1000, 8, sharedOptions)
	out := filepath.Join(t.TempDir(), "out")
	before := s.tree
	backup := start(t, "backup", s.command(s.backup(next)...))
	restore := start(t, "restore", s.command("restore", "-q", "--no-encryption", "--time", fmt.Sprint(s.clock), s.repo, out))
	list := start(t, "list", s.command("list", "-q", "--no-encryption", s.repo))
	readers := [2]*child{}
	for i, m := range s.mounts {
		readers[i] = start(t, "reader", exec.Command("tar", "-C", m.at(s.clock), "-cf", "/dev/null", "--to-stdout", "."))
		readers[i].cmd.Env = append(os.Environ(), "LC_ALL=C")
	}
	victim := []string{"backup", "restore", "list", "mount 0", "mount 1", "nobody"}[rng.IntN(6)]
	s.kills[victim]++
	time.Sleep(time.Duration(rng.Int64N(int64(s.took) + 1))) // the moment of the kill
	for _, c := range []*child{backup, restore, list} {
		if c.name == victim {
			_ = c.cmd.Process.Kill() // it may have ended
		}
	}
	for i, m := range s.mounts {
		if victim == fmt.Sprintf("mount %d", i) {
			m.kill(t)
		}
	}
	for _, c := range []*child{backup, restore, list} {
		if err := c.wait(t); err != nil && c.name != victim {
			t.Fatalf("%s, when %s was killed: %v\n%s", c.name, victim, err, c.said)
		}
	}
	for i, c := range readers {
		if err := c.wait(t); err != nil && victim != fmt.Sprintf("mount %d", i) {
			t.Fatalf("reader of mount %d, when %s was killed: %v\n%s", i, victim, err, c.said)
		}
	}
	if restore.err == nil {
		treetest.Equal(t, treetest.Record(t, out), before, treetest.AsDuplicity())
	}
	if backup.err != nil {
		next += 86400
		s.run(t, s.backup(next)...) // as cron would
	}
	s.clock, s.tree = next, treetest.Record(t, s.src)
	s.check(t)
}

// kill ends a mount at once, and takes away what the kernel keeps of it.
func (m *mount) kill(t *testing.T) {
	t.Helper()
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range m.lines {
	}
	_ = m.cmd.Wait()
	if out, err := exec.Command("fusermount3", "-u", "-z", m.dir).CombinedOutput(); err != nil {
		t.Fatalf("unmount what was killed: %v\n%s", err, out)
	}
}

// check makes sure that both mounts, one that was killed being made anew, come to show
// the newest backup, and what is in it.
func (s *shared) check(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for i, m := range s.mounts {
		if m.cmd.ProcessState != nil {
			s.mounts[i] = s.mount(t, "--refresh", "1s", s.repo)
			m = s.mounts[i]
		}
		for {
			// Any other time is a link to the backup that covers it.
			if fi, err := os.Lstat(m.at(s.clock)); err == nil && fi.IsDir() {
				break
			} else if time.Now().After(deadline) {
				list, lerr := os.ReadDir(m.dir)
				for len(m.lines) > 0 {
					t.Log(<-m.lines)
				}
				t.Fatalf("mount %d does not show the newest backup, but %v (%v): %v", i, list, lerr, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		treetest.Equal(t, treetest.Record(t, m.at(s.clock)), s.tree, treetest.Options{Nanoseconds: true, WithoutSockets: true})
	}
}

// TestSoakShared has a backup, two mounts, a restore and a listing share one index, and
// kills one of them with SIGKILL at random moments: a few times, or for as long as a
// soak run says. The others must not notice.
func TestSoakShared(t *testing.T) {
	treetest.NeedRoot(t)
	needFUSE(t)
	rng := treetest.Rand(t, uint64(time.Now().UnixNano()))
	s := newShared(t, rng)
	end := time.Now().Add(treetest.SoakTime(t, 0))
	trials, least := 0, 6
	if treetest.Short() {
		least = 2
	}
	for ; trials < least || time.Now().Before(end); trials++ {
		s.trial(t, rng)
	}
	t.Logf("%d trials, killed %v", trials, s.kills)
}

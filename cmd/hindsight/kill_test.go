package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

// program is a real process of hindsight with a home of its own.
type program struct {
	path string
	home string
	env  []string
}

// newProgram gives the test binary the name under which it is the program.
func newProgram(t *testing.T) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{home: t.TempDir()}
	p.path = filepath.Join(p.home, "hindsight")
	if err := os.Symlink(self, p.path); err != nil {
		t.Fatal(err)
	}
	p.env = treetest.Environ("HOME="+p.home, "XDG_CACHE_HOME="+filepath.Join(p.home, "cache"), "TZ=UTC", "GORACE=atexit_sleep_ms=0")
	return p
}

func (p *program) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.path, args...)
	cmd.Env = p.env
	return cmd
}

// run runs the program to its end, which must be a good one.
func (p *program) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("hindsight %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// kill starts the program and kills it after a while, unless it has ended by then.
func (p *program) kill(t *testing.T, after time.Duration, args ...string) {
	t.Helper()
	cmd := p.command(args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil && !(ok && status.Signal() == syscall.SIGKILL) {
		t.Fatalf("hindsight %s: %v", strings.Join(args, " "), err)
	}
}

// killed is a repository whose backups get killed.
type killed struct {
	*program
	dup       *treetest.Dup
	src, repo string
	clock     int64
	states    map[int64]treetest.Tree  // of sets that are complete
	took      map[string]time.Duration // by command
}

func newKilled(t *testing.T, rng *rand.Rand) *killed {
	t.Helper()
	k := &killed{program: newProgram(t), dup: treetest.Duplicity(t), clock: treetest.BaseTime}
	dir := t.TempDir()
	k.src, k.repo = filepath.Join(dir, "src"), filepath.Join(dir, "repo")
	treetest.Random(t, k.src, rng, treetest.RandomOptions{Nodes: 150, MaxSize: 300 << 10, OddNames: true, Special: true})
	treetest.Write(t, k.src, treetest.File("large", string(treetest.Content(rng, 6<<20))))
	k.states, k.took = make(map[int64]treetest.Tree), make(map[string]time.Duration)
	for _, command := range []string{"full", "incremental"} {
		begin := time.Now()
		k.backup(t, command)
		k.took[command] = time.Since(begin)
		k.edit(t, rng)
	}
	return k
}

// edit changes the source, a large file among the rest.
func (k *killed) edit(t *testing.T, rng *rand.Rand) {
	t.Helper()
	treetest.Mutate(t, k.src, rng, k.clock+1000, 30, treetest.RandomOptions{MaxSize: 300 << 10})
	treetest.Write(t, k.src, treetest.File("large", string(treetest.Content(rng, 6<<20))).At(k.clock+1000))
}

// args is the next backup's command line, a day later.
func (k *killed) args(command string) []string {
	k.clock += 86400
	return []string{command, "--current-time", fmt.Sprint(k.clock), "--no-encryption", "--volsize", "1", "-q", k.src, k.repo}
}

func (k *killed) backup(t *testing.T, command string) {
	t.Helper()
	k.run(t, k.args(command)...)
	k.states[k.clock] = treetest.Record(t, k.src)
}

// committed reports whether the set of a time has its manifest.
func (k *killed) committed(t *testing.T, at int64) bool {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(k.repo, "*"+time.Unix(at, 0).UTC().Format("20060102T150405Z")+".manifest"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found) > 0
}

// check restores the newest complete state, with duplicity too, and at most so many
// others.
func (k *killed) check(t *testing.T, most int) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "out")
	newest := slices.Max(slices.Collect(maps.Keys(k.states)))
	for at, want := range k.states { // in random order
		if most--; most < 0 && at != newest {
			continue
		}
		k.run(t, "restore", "-q", "--time", fmt.Sprint(at), k.repo, target)
		treetest.Equal(t, treetest.Record(t, target), want, treetest.AsDuplicity())
		if err := os.RemoveAll(target); err != nil {
			t.Fatal(err)
		}
	}
	k.dup.Restore(t, k.repo, target, newest).OK(t)
	treetest.Equal(t, treetest.Record(t, target), k.states[newest], treetest.AsDuplicity())
	if err := os.RemoveAll(target); err != nil {
		t.Fatal(err)
	}
}

// trial kills one backup at a random moment. What was complete before must be so after
// it, for duplicity too, and the next backup must succeed.
func (k *killed) trial(t *testing.T, rng *rand.Rand) {
	t.Helper()
	command := "incremental"
	if rng.IntN(2) == 0 {
		command = "full"
	}
	k.edit(t, rng)
	tree := treetest.Record(t, k.src)
	after := time.Duration(rng.Int64N(int64(k.took[command])))
	k.kill(t, after, k.args(command)...)
	if k.committed(t, k.clock) {
		k.states[k.clock] = tree
	}
	t.Logf("%s killed after %v: committed %v", command, after.Round(time.Millisecond), k.committed(t, k.clock))
	most := 1
	if treetest.SoakTime(t, 0) > 0 {
		most = len(k.states)
	}
	k.check(t, most)
	if slices.Contains([]int{0, 1}, rng.IntN(3)) { // else the next one is killed too
		k.backup(t, "backup")
	}
}

// TestSoakKill kills backups with SIGKILL at random moments, 50 times in a soak run.
func TestSoakKill(t *testing.T) {
	t.Parallel() // it mostly waits for other processes
	treetest.Sequential(t)
	treetest.NeedRoot(t)
	trials := 5
	switch {
	case treetest.SoakTime(t, 0) > 0:
		trials = 50
	case testing.Short():
		trials = 4
	}
	seed := rand.Uint64()
	rng := treetest.Rand(t, seed)
	for i := 0; i < trials && !t.Failed(); {
		k := newKilled(t, rng)
		for range min(5, trials-i) { // then anew, as every trial restores all states
			k.trial(t, rng)
			i++
		}
		k.backup(t, "backup")
		k.check(t, len(k.states))
	}
}

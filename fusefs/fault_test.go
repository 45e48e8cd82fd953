package fusefs_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hindsight/chain/treetest"
	"hindsight/fusefs"
)

// journal keeps what is logged.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (m *model) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// TestFaults reads from a store that fails, and works again later.
func TestFaults(t *testing.T) {
	m, _ := days(t, 1)
	m.hidden["same"] = true
	m.broken["file"], m.broken["same"] = errors.New("the network is down"), errors.New("volume 3 is damaged")
	var logged journal
	dir, _ := mounted(t, m, fusefs.Options{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	day := filepath.Join(dir, dateName(0))
	for _, script := range []string{"cat file", "cat file", "stat -c %s same", "cat same"} {
		if _, err := trySh(day, script); err == nil || !strings.Contains(err.Error(), "Input/output error") {
			t.Errorf("%s: %v", script, err)
		}
	}
	if got := sh(t, day, "ls; find . -name same -type f"); got != "file\nsame\n./same" {
		t.Errorf("names: %q", got)
	}
	for _, cause := range []string{"the network is down", "volume 3 is damaged"} {
		if n := strings.Count(logged.String(), cause); n != 1 {
			t.Errorf("%q was logged %d times:\n%s", cause, n, logged.String())
		}
	}
	if !strings.Contains(logged.String(), dateName(0)+"/same") {
		t.Errorf("the path was not logged:\n%s", logged.String())
	}
	m.set(func() { clear(m.broken) })
	if got := sh(t, day, "stat -c %s same; cat same file"); got != "4\nsame"+dateName(0) {
		t.Errorf("after the fault: %q", got)
	}
}

// TestUnknownSizes lists and reads files whose sizes nobody knows yet.
func TestUnknownSizes(t *testing.T) {
	src := t.TempDir()
	treetest.Write(t, src, treetest.File("a", strings.Repeat("a", 200_000)), treetest.File("b", "bb"), treetest.File("c", ""))
	for script, left := range map[string]int{ // sizes still unknown afterwards
		"ls": 3, "find . -type f": 3, "ls -l": 0, "wc -c b": 2, "tail -c 3 a": 2, "cat a >/dev/null": 2, "du b": 2,
	} {
		m := newModel()
		m.add(t, src, first)
		for _, p := range []string{"a", "b", "c"} {
			m.hidden[p] = true
		}
		dir, _ := mounted(t, m, fusefs.Options{})
		day := filepath.Join(dir, dateName(0))
		if got, want := sh(t, day, script+" | sed 's/^total.*//;s/[0-9][0-9]:[0-9][0-9]//'"),
			sh(t, src, script+" | sed 's/^total.*//;s/[0-9][0-9]:[0-9][0-9]//'"); script != "du b" && script != "find . -type f" && got != want {
			t.Errorf("%s: got %q, want %q", script, got, want)
		}
		m.set(func() {
			if len(m.hidden) != left {
				t.Errorf("%s: %d sizes are unknown after it, want %d", script, len(m.hidden), left)
			}
		})
		if got := sh(t, day, "stat -c %s a b c; cat a | wc -c"); got != "200000\n2\n0\n200000" {
			t.Errorf("%s: then sizes %q", script, got)
		}
	}
}

// TestInterrupt ends readers that wait for a network that says nothing.
func TestInterrupt(t *testing.T) {
	for _, args := range [][]string{{"cat", "file"}, {"stat", "same"}} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
			t.Run(fmt.Sprint(args[0], sig), func(t *testing.T) { testInterrupt(t, args[0], args[1], sig) })
		}
	}
}

func testInterrupt(t *testing.T, program, file string, sig syscall.Signal) {
	m, _ := days(t, 1)
	m.hidden["same"] = true
	gate := make(chan struct{})
	m.gate = gate
	dir, _ := mounted(t, m, fusefs.Options{})
	cmd := exec.Command(program, filepath.Join(dir, dateName(0), file))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "wait at the gate", m.heldUp)
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() {
		t.Errorf("%v does not end %s", sig, program)
		close(gate)
	})
	err := cmd.Wait()
	if !late.Stop() {
		return
	}
	if err == nil {
		t.Errorf("%s succeeds", program)
	}
	if program == "cat" { // nobody waits any more for what the kernel reads ahead
		close(gate)
	}
	eventually(t, "leave the gate", func() error {
		if n := m.held.Load(); n > 0 {
			return fmt.Errorf("%d requests wait", n)
		}
		return nil
	})
	m.set(func() { m.gate = nil })
	if got := sh(t, dir, "cat latest/file latest/same"); got != dateName(0)+"same" {
		t.Errorf("afterwards: %q", got)
	}
}

// heldUp says that nobody waits at the gate.
func (m *model) heldUp() error {
	if m.held.Load() == 0 {
		return errors.New("nobody waits")
	}
	return nil
}

// TestHarmlessSignals interrupts a reader by a signal that means nothing: it gets
// what it reads.
func TestHarmlessSignals(t *testing.T) {
	treetest.NeedTool(t, "python3")
	m, _ := days(t, 1)
	gate := make(chan struct{})
	m.gate = gate
	dir, _ := mounted(t, m, fusefs.Options{})
	script := `import os, signal, sys
signal.signal(signal.SIGCHLD, lambda *_: None)
fd = os.open(sys.argv[1], os.O_RDONLY)
os.read(fd, 100)`
	cmd := exec.Command("python3", "-c", script, filepath.Join(dir, dateName(0), "file"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "wait at the gate", m.heldUp)
	if err := cmd.Process.Signal(syscall.SIGCHLD); err != nil {
		t.Fatal(err)
	}
	m.set(func() { m.gate = nil })
	close(gate)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestBusy unmounts while somebody is there.
func TestBusy(t *testing.T) {
	m, _ := days(t, 1)
	dir, mnt := mounted(t, m, fusefs.Options{})
	for what, script := range map[string]string{
		"working directory": "cd latest; read x", "open file": "exec 3<latest/file; read x",
	} {
		cmd := exec.Command("sh", "-c", `cd "$0"; `+script+"; cd /", dir)
		if what == "open file" {
			cmd = exec.Command("sh", "-c", `exec 3<"$0/latest/file"; read x`, dir)
		}
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var busy *fusefs.BusyError
		eventually(t, what, func() error {
			links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/cwd", cmd.Process.Pid))
			fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
			for _, link := range append(links, fds...) {
				if to, _ := os.Readlink(link); strings.HasPrefix(to, dir) {
					return nil
				}
			}
			return errors.New("not there yet")
		})
		err = mnt.Unmount()
		if !errors.As(err, &busy) || len(busy.Holders) != 1 || busy.Holders[0].PID != cmd.Process.Pid || busy.Holders[0].What != what {
			t.Errorf("%s: %v", what, err)
		}
		if !strings.Contains(fmt.Sprint(err), fmt.Sprintf("sh (pid %d, %s %s/", cmd.Process.Pid, what, dir)) {
			t.Errorf("%s: %v", what, err)
		}
		stdin.Close()
		_ = cmd.Wait() // read finds the end
		if got := sh(t, dir, "cat latest/file"); got != dateName(0) {
			t.Errorf("after a vain unmount: %q", got)
		}
	}
}

// TestUnmountedByOthers ends a mount as users do.
func TestUnmountedByOthers(t *testing.T) {
	for _, command := range []string{"umount", "fusermount3 -u"} {
		name, _, _ := strings.Cut(command, " ")
		treetest.NeedTool(t, name)
		m, _ := days(t, 1)
		dir, mnt := mounted(t, m, fusefs.Options{})
		sh(t, dir, "cat latest/file")
		sh(t, "/", command+` "$1"`, dir)
		select {
		case <-mnt.Done():
			if err := mnt.Wait(); err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s does not end the mount", command)
		}
		if err := mnt.Unmount(); err != nil {
			t.Errorf("a second time: %v", err)
		}
	}
}

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

// maxRSS is the most resident memory, in bytes, that a run may take by default: what
// --memory says.
const maxRSS = 256 << 20

// TestSoakMemory backs up and restores a tree with a very large file, a directory of
// very many tiny ones and a very deep path, and looks at the memory that took. Soak
// runs take the full sizes: 4 GiB and 200,000 files.
func TestSoakMemory(t *testing.T) {
	t.Parallel() // it mostly waits for other processes
	if testing.Short() {
		t.Skip("moves hundreds of megabytes")
	}
	size, files := int64(512<<20), 20000
	if os.Getenv(treetest.SoakEnv) != "" {
		size, files = 4<<30, 200000
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	writeExtremes(t, src, size, files)
	p := newProgram(t)
	rss := func(args ...string) {
		t.Helper()
		peak := runToPeak(t, p.command(args...))
		t.Logf("%s: peak resident memory %d MiB", args[0], peak>>20)
		if peak > maxRSS {
			t.Errorf("%s took %d MiB of memory, more than %d", args[0], peak>>20, maxRSS>>20)
		}
	}
	repo, out := filepath.Join(dir, "repo"), filepath.Join(dir, "out")
	rss("full", "--no-encryption", "-q", src, repo)
	appendTo(t, filepath.Join(src, "huge"))
	rss("incremental", "--no-encryption", "-q", src, repo)
	rss("restore", "-q", repo, out)
	treetest.Equal(t, treetest.Record(t, out), treetest.Record(t, src), treetest.AsDuplicity())
}

// runToPeak runs a program and returns the most resident memory that it had, in bytes, as
// it was a few milliseconds before its end. The kernel's own count at the end will not do:
// it begins with the memory of the process that starts the program.
func runToPeak(t *testing.T, cmd *exec.Cmd) (peak int64) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%q: %v\n%s", cmd.Args, err, &out)
			}
			if peak == 0 {
				t.Fatalf("%q ended before its memory could be looked at", cmd.Args)
			}
			return peak
		case <-tick.C:
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is the most resident memory that a process has had, in bytes; 0 if it is gone,
// or has not begun.
func highWater(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// writeExtremes writes the tree: its file huge is random, so that nothing is saved by
// compression, but for every other mebibyte, which repeats.
func writeExtremes(t *testing.T, src string, size int64, files int) {
	t.Helper()
	deep := src + strings.Repeat("/component", 100)
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "file"), []byte("deep"), 0o644); err != nil {
		t.Fatal(err)
	}
	many := filepath.Join(src, "many")
	if err := os.Mkdir(many, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(many, fmt.Sprintf("tiny-%06d", i)), []byte(fmt.Sprint(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join(src, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	block := make([]byte, 1<<20)
	for n := int64(0); n < size; n += int64(len(block)) {
		if n>>20%2 == 0 {
			random.Read(block)
		}
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("one line more\n"); err != nil {
		t.Fatal(err)
	}
}

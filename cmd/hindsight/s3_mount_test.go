package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// TestS3MountNetworkAway takes the network away from a mount and gives it back: reads
// fail in the end and not before, can be interrupted meanwhile, and work again
// afterwards, in the same mount.
func TestS3MountNetworkAway(t *testing.T) {
	treetest.Sequential(t) // package s3store's and fusefs's tests are for the race detector
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{s3Bucket}})
	n := newS3Node(t, fake.URL, s3test.Root, "node")
	rng := treetest.Rand(t, 8)
	want := make(map[string][]byte)
	for _, name := range []string{"before", "broken", "stalled", "later"} {
		want[name] = treetest.Content(rng, 3<<20) // further apart than is read ahead
		treetest.Write(t, n.src, treetest.File(name, string(want[name])))
	}
	n.backup(t, "full", 0)
	m := n.mount(t, "--s3-endpoint-url", fake.URL, "--num-retries", "2", "--timeout", "5", "--memory", "32M", n.url)
	file := func(name string) string { return filepath.Join(m.dir, "latest", name) }
	reads := func(name string) {
		t.Helper()
		if got, err := readOutside(file(name)); err != nil || !bytes.Equal(got, want[name]) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	reads("before")

	fake.Break(1, s3test.Rule{Times: -1, Effect: s3test.ResetResponse})
	if _, err := readOutside(file("broken")); err == nil || !strings.Contains(err.Error(), "Input/output error") {
		t.Errorf("without a network: %v", err)
	}
	if _, err := os.Stat(file("later")); err != nil {
		t.Errorf("the tree is not there without a network: %v", err)
	}
	reads("before") // what was read stays

	fake.Break(1, s3test.Rule{Times: -1, Effect: s3test.Wait, For: time.Minute})
	cmd := exec.Command("cat", file("stalled"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inMount(t, cmd.Process.Pid)
	begun := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("an interrupted reader ended with %v", err)
	}
	if took := time.Since(begun); took > 4*time.Second { // the timeout would have been five
		t.Errorf("an interrupt took %v", took)
	}

	fake.Break(1)
	for _, name := range []string{"broken", "stalled", "later"} {
		reads(name)
	}
}

// readOutside reads a file in a process of its own.
func readOutside(name string) ([]byte, error) {
	var out, said bytes.Buffer
	cmd := exec.Command("cat", name)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, errors.New(strings.TrimSpace(said.String()) + ": " + err.Error())
	}
	return out.Bytes(), nil
}

// inMount waits until a process waits for a file system in user space.
func inMount(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/syscall")
		// read, pread64 and the calls by which cat copies; openat needs no bytes.
		call, _, _ := strings.Cut(string(state), " ")
		if err == nil && (call == "0" || call == "17" || call == "326" || call == "40") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the reader does not read: %q, %v", state, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

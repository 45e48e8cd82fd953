package fusefs_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/fusefs"
)

// scanEnv names the directory that this program is to record on standard output, in
// place of the tests: a process must not walk through what it serves itself.
const scanEnv = "HINDSIGHT_TEST_SCAN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(scanEnv); dir != "" {
		tree, err := treetest.Scan(dir)
		if err == nil {
			err = gob.NewEncoder(os.Stdout).Encode(tree)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// scan records a tree by a child process.
func scan(t testing.TB, dir string) treetest.Tree {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), scanEnv+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scan %s: %v\n%s", dir, err, stderr.String())
	}
	var tree treetest.Tree
	if err := gob.NewDecoder(bytes.NewReader(out)).Decode(&tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// now is the clock of the tests: three days after the first snapshot.
const now = first + 3*86400

const first naming.Time = 1_795_143_600 // 2026-11-20 03:00:00 UTC

// needFUSE skips the test where nothing can be mounted.
func needFUSE(t testing.TB) {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err == nil {
		f.Close()
	} else {
		treetest.Missing(t, err.Error())
	}
	if os.Geteuid() != 0 {
		treetest.NeedTool(t, "fusermount3")
	}
}

// mounted mounts a model and unmounts it at the end of the test, which must leave
// no file open.
func mounted(t testing.TB, m *model, opt fusefs.Options) (string, *fusefs.Mount) {
	t.Helper()
	needFUSE(t)
	opt.Dir, opt.Source = t.TempDir(), "model"
	if opt.Now == nil {
		opt.Now = now.Time
	}
	mnt, err := fusefs.New(m, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "unmount", func() error { return mnt.Unmount() })
		if n := m.open.Load(); n != 0 {
			t.Errorf("%d files are still open", n)
		}
		if table, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(table), opt.Dir) {
			t.Errorf("still mounted (%v)", err)
		}
	})
	return opt.Dir, mnt
}

// eventually tries until there is no error, for ten seconds.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// sh runs a shell script in dir and returns its output without the last line end.
func sh(t testing.TB, dir, script string, args ...string) string {
	t.Helper()
	out, err := trySh(dir, script, args...)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out
}

// trySh does so, too. The shell itself goes to dir: were that in a mount of this
// process, the child would wait for an answer of it before it is a program of its own,
// and until then nothing but that child may go on here.
func trySh(dir, script string, args ...string) (string, error) {
	cmd := exec.Command("sh", append([]string{"-euc", `cd "$0"; ` + script, dir}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = errors.Join(err, errors.New(strings.TrimSpace(stderr.String())))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), err
}

package selection_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hindsight/chain/selection"
	"hindsight/chain/treetest"
)

// crashed is duplicity's exit code for an uncaught exception, which is how 0.8
// takes a malformed glob.
const crashed = 30

// TestSoakDuplicity backs up random trees by random rules with the real duplicity,
// and compares what it stored, or its exit code, with what a Selection says: of some
// trees, of many in a soak run.
func TestSoakDuplicity(t *testing.T) {
	program := treetest.NeedTool(t, "duplicity")
	cases, soak := 16, treetest.SoakTime(t, 0)
	switch {
	case soak > 0:
		cases = 1000
	case testing.Short():
		cases = 8
	}
	if out, err := exec.Command(program, "--version").Output(); err == nil {
		t.Logf("%s", out)
	}
	seeds := make(chan uint64, cases)
	for seed := range cases {
		seeds <- uint64(seed)
	}
	close(seeds)
	deadline := time.Now().Add(max(soak, 45*time.Second))
	for worker := range 2 {
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			for seed := range seeds {
				if seed >= 8 && time.Now().After(deadline) {
					t.Logf("seed %d left out: the time is up", seed)
					continue
				}
				compareWithDuplicity(t, program, seed)
			}
		})
	}
}

func compareWithDuplicity(t *testing.T, program string, seed uint64) {
	g := newGenerator(seed)
	tr, rules := g.tree(), g.rules()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "src"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeTree(t, filepath.Join(dir, "src"), tr)
	want, code, output := runDuplicity(t, program, dir, rules)

	s, err := selection.Compile(rules, selection.Options{Root: "src"})
	var bad *selection.Error
	if errors.As(err, &bad) {
		if code != bad.Code && (code != crashed || bad.Code != selection.CodeGlob) {
			t.Errorf("seed %d, rules %+v: got error %v (exit %d), duplicity exits with %d\n%s", seed, rules, err, bad.Code, code, output)
		}
		return
	}
	if code != 0 {
		t.Errorf("seed %d, rules %+v: no error, duplicity exits with %d\n%s", seed, rules, code, output)
		return
	}
	if got := tr.selected(s); !slices.Equal(got, want) {
		t.Errorf("seed %d, rules %+v, tree %v:\n got %q\nwant %q", seed, rules, tr, got, want)
	}
}

// runDuplicity makes a full backup of dir/src, and returns the paths it stored,
// sorted, or its exit code and messages.
func runDuplicity(t *testing.T, program, dir string, rules []selection.Rule) (stored []string, code int, output []byte) {
	t.Helper()
	args := []string{"full", "--no-encryption", "--archive-dir", filepath.Join(dir, "archive"), "--name", "n", "--no-print-statistics", "-v1"}
	for i, r := range rules {
		value := r.Value
		switch r.Option {
		case selection.IncludeFilelist, selection.ExcludeFilelist:
			value = filepath.Join(dir, fmt.Sprintf("list%d", i))
			if err := os.WriteFile(value, r.List, 0o644); err != nil {
				t.Fatal(err)
			}
		case selection.ExcludeOlderThan:
			value = strconv.FormatInt(r.Before, 10)
		}
		if r.Option == selection.ExcludeDevices {
			args = append(args, "--"+string(r.Option))
		} else {
			args = append(args, "--"+string(r.Option)+"="+value)
		}
	}
	cmd := exec.Command(program, append(args, "src", "file://"+filepath.Join(dir, "repo"))...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC", "HOME="+dir, "TMPDIR="+dir)
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, exit.ExitCode(), output
	} else if err != nil {
		t.Fatal(err)
	}
	volumes, err := filepath.Glob(filepath.Join(dir, "repo", "*.difftar.gz"))
	if err != nil || len(volumes) != 1 {
		t.Fatalf("volumes %q, %v", volumes, err)
	}
	return storedPaths(t, volumes[0]), 0, output
}

// storedPaths lists the entries of a difftar, the source aside.
func storedPaths(t *testing.T, volume string) []string {
	t.Helper()
	f, err := os.Open(volume)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			slices.Sort(paths)
			return paths
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "snapshot/"), "/")
		if name != "." {
			paths = append(paths, name)
		}
	}
}

// writeTree makes the directories and regular files of tr below dir.
func writeTree(t *testing.T, dir string, tr tree) {
	t.Helper()
	var paths []string
	for p := range tr {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		n, name := tr[p], filepath.Join(dir, p)
		if n.kind == selection.Directory {
			if err := os.Mkdir(name, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		mtime := time.Unix(n.mtime, 0)
		if err := os.Chtimes(name, mtime, mtime); err != nil {
			t.Fatal(err)
		}
	}
}

package source_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/selection"
	"hindsight/chain/source"
	"hindsight/chain/treetest"
)

// TestVanishing changes the tree between the looks that the walk takes at it:
// nothing is read ahead, so a directory is read once its item was yielded.
func TestVanishing(t *testing.T) {
	tests := map[string]struct {
		at       string // when this is yielded
		do       func(dir string) error
		want     []string
		warnings []string
	}{
		"directory": {
			"a", func(dir string) error { return os.RemoveAll(dir + "/a") },
			[]string{"", "a", "z", "z/f"}, []string{`read directory "a": no such file or directory`},
		},
		"directory became a file": {
			"a", func(dir string) error {
				must(t, os.RemoveAll(dir+"/a"))
				return os.WriteFile(dir+"/a", nil, 0o600)
			},
			[]string{"", "a", "z", "z/f"}, []string{`read directory "a": not a directory`},
		},
		"directory became a link": {
			"a", func(dir string) error {
				must(t, os.RemoveAll(dir+"/a"))
				return os.Symlink("z", dir+"/a")
			},
			[]string{"", "a", "z", "z/f"}, []string{`read directory "a": not a directory`},
		},
		"directory became another": {
			"a", func(dir string) error {
				must(t, os.Rename(dir+"/a", dir+"/z/a"))
				must(t, os.Mkdir(dir+"/a", 0o755))
				return os.WriteFile(dir+"/a/new", nil, 0o600)
			},
			[]string{"", "a", "a/new", "z", "z/a", "z/a/f", "z/f"}, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lay(t, dir, "a/", "a/f", "z/", "z/f")
			got, warnings := walkDoing(t, dir, func(path string) {
				if path == test.at {
					must(t, test.do(dir))
				}
			})
			if !slices.Equal(got, test.want) || !slices.Equal(warnings, test.warnings) {
				t.Errorf("got %q, warnings %q\nwant %q, %q", got, warnings, test.want, test.warnings)
			}
		})
	}
}

// TestVanishedRoot must not look like an empty source.
func TestVanishedRoot(t *testing.T) {
	for _, opt := range strategies {
		opt.Root = t.TempDir() + "/root"
		lay(t, opt.Root[:len(opt.Root)-len("root")], "root/", "root/f")
		tree := open(t, opt)
		must(t, os.RemoveAll(opt.Root))
		var got []string
		var last error
		for it, err := range tree.Walk(t.Context()) {
			if last = err; err == nil {
				got = append(got, it.Path)
			}
		}
		if !errors.Is(last, os.ErrNotExist) || !strings.Contains(last.Error(), opt.Root) || len(got) > 1 {
			t.Errorf("%+v: items %q, then %v", opt, got, last)
		}
	}
}

// walkDoing walks dir without reading ahead and calls do after each item.
func walkDoing(t *testing.T, dir string, do func(path string)) (got, warnings []string) {
	t.Helper()
	tree := open(t, source.Options{Root: dir, ReadAhead: -1, Warn: func(w source.Warning) { warnings = append(warnings, w.String()) }})
	for it, err := range tree.Walk(t.Context()) {
		must(t, err)
		got = append(got, it.Path)
		do(it.Path)
	}
	return got, warnings
}

// TestVanishingFiles removes files whose names were read and which come with a
// later chunk.
func TestVanishingFiles(t *testing.T) {
	dir := t.TempDir()
	total := source.Chunk + 20
	for i := range total {
		must(t, os.WriteFile(fmt.Sprintf("%s/%04d", dir, i), nil, 0o600))
	}
	got, warnings := walkDoing(t, dir, func(path string) {
		if path == "0000" {
			for i := range total - 5 {
				must(t, os.Remove(fmt.Sprintf("%s/%04d", dir, i)))
			}
		}
	})
	if len(got) != 1+source.Chunk+5 {
		t.Errorf("%d items, want %d", len(got), 1+source.Chunk+5)
	}
	if len(warnings) != 15 || warnings[0] != fmt.Sprintf(`stat "%04d": no such file or directory`, source.Chunk) {
		t.Errorf("warnings %q, want 15", warnings)
	}
}

// TestRestlessTree walks while another goroutine makes, renames and removes: what
// it leaves alone must all be there, in order.
func TestRestlessTree(t *testing.T) {
	dir := t.TempDir()
	for i := range 60 {
		lay(t, dir, fmt.Sprintf("d%02d/", i), fmt.Sprintf("d%02d/fixed", i), fmt.Sprintf("d%02d/sub/", i), fmt.Sprintf("d%02d/sub/fixed", i))
	}
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; !stop.Load(); i++ {
			d := fmt.Sprintf("%s/d%02d/", dir, i%60)
			_ = os.MkdirAll(d+"x/y", 0o755)
			_ = os.WriteFile(d+"x/y/f", nil, 0o600)
			_ = os.Rename(d+"x", d+"w")
			_ = os.RemoveAll(d + "w")
		}
	}()
	for range 10 {
		items, _ := collect(t, source.Options{Root: dir})
		fixed := 0
		for _, it := range items {
			if strings.HasSuffix(it.Path, "/fixed") {
				fixed++
			}
		}
		if fixed != 120 {
			t.Errorf("%d of the files that stay, want 120", fixed)
		}
	}
	stop.Store(true)
	<-done
}

// childEnv makes the test binary walk the tree it names, as an unprivileged user.
const childEnv = "HINDSIGHT_TEST_WALK"

// TestChildWalk is not a test of its own: TestUnprivileged runs it in a child.
func TestChildWalk(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		t.Skip("runs only as a child of TestUnprivileged")
	}
	var rules []selection.Rule
	if strings.HasSuffix(dir, "/.") {
		rules = append(rules, selection.Rule{Option: selection.ExcludeGlob, Value: "**/listable/**"})
	}
	sel, err := selection.Compile(rules, selection.Options{Root: dir})
	must(t, err)
	tree, err := source.Open(source.Options{Root: dir, Select: sel, Warn: func(w source.Warning) { fmt.Println("warn", w) }})
	if err != nil {
		fmt.Println("fatal", err)
		return
	}
	for it, err := range tree.Walk(t.Context()) {
		if err != nil {
			fmt.Println("fatal", err)
			return
		}
		fmt.Println("item", it.Path)
		if f, err := it.Open(t.Context()); err == nil {
			b, err := io.ReadAll(f)
			fmt.Println("read", string(b), err)
			must(t, f.Close())
		} else if it.Mode&unix.S_IFMT == 0 && strings.HasSuffix(it.Path, "file") {
			fmt.Println("error", err)
		}
	}
	must(t, tree.Close())
}

// asNobody runs TestChildWalk on dir as user 65534 and returns its lines.
func asNobody(t *testing.T, program, dir string) []string {
	t.Helper()
	cmd := exec.Command(program, "-test.run=^TestChildWalk$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), childEnv+"="+dir, "TMPDIR=/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if kind, _, _ := strings.Cut(line, " "); slices.Contains([]string{"item", "warn", "read", "error", "fatal"}, kind) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestUnprivileged(t *testing.T) {
	treetest.NeedRoot(t)
	// t.TempDir is closed to other users.
	dir, err := os.MkdirTemp("", "hindsight-walk-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	program := dir + "/program"
	must(t, os.WriteFile(program, self, 0o755))
	src := dir + "/src"
	lay(t, src[:len(dir)], "src/", "src/closed/", "src/closed/f", "src/listable/", "src/listable/f", "src/open/", "src/open/file", "src/secret-file")
	must(t, os.Chmod(src+"/closed", 0o711))
	must(t, os.Chmod(src+"/listable", 0o744))
	must(t, os.Chmod(src+"/secret-file", 0o600))

	want := []string{
		"item", "item closed", `warn read directory "closed": permission denied`,
		"item listable", `warn stat "listable/f": permission denied`,
		"item open", "item open/file", "read src/open/file <nil>", // of another user: O_NOATIME is refused
		"item secret-file", "error open secret-file: permission denied",
	}
	if got := asNobody(t, program, src); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	want = slices.Delete(want, 4, 5) // no warning for what is excluded
	if got := asNobody(t, program, src+"/."); !slices.Equal(got, want) {
		t.Errorf("with an excluded object: got  %q\nwant %q", got, want)
	}
	must(t, os.Chmod(src, 0o711))
	if got := asNobody(t, program, src); len(got) != 1 || !strings.HasPrefix(got[0], "fatal open source "+src) {
		t.Errorf("closed root: %q", got)
	}
}

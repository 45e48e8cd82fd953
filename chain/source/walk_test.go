package source_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
	"hindsight/chain/selection"
	"hindsight/chain/source"
	"hindsight/chain/treetest"
)

// strategies are ways to spread the work that must give the same walk.
var strategies = []source.Options{
	{},
	{ReadAhead: -1},
	{Jobs: 1, ReadAhead: 1},
	{Jobs: 7},
	{Jobs: 4, ReadAhead: 20_000},
}

func TestWalkAgainstOracle(t *testing.T) {
	trees := uint64(12)
	if testing.Short() {
		trees = 4
	}
	for seed := range trees {
		dir := t.TempDir()
		randomTree(t, rand.New(rand.NewPCG(seed, 1)), dir, 300)
		want := oracle(t, dir)
		for _, opt := range strategies {
			opt.Root = dir
			items, warnings := collect(t, opt)
			var got []plain
			for _, it := range items {
				got = append(got, plainOf(it))
			}
			if diff := cmp.Diff(want, got); diff != "" || warnings != nil {
				t.Fatalf("seed %d, %+v: warnings %q, -want +got:\n%s", seed, opt, warnings, diff)
			}
		}
	}
}

// TestWalkLargeDirectory has directories of many chunks, with directories of
// their own all over.
func TestWalkLargeDirectory(t *testing.T) {
	dir := t.TempDir()
	for i := range 5*source.Chunk + 7 {
		name := fmt.Sprintf("%s/n%d", dir, i)
		if i%97 == 0 {
			must(t, os.Mkdir(name, 0o755))
			for j := range i % 300 {
				must(t, os.WriteFile(fmt.Sprintf("%s/%d", name, j), nil, 0o600))
			}
			continue
		}
		must(t, os.WriteFile(name, nil, 0o600))
	}
	var want []string
	for _, p := range oracle(t, dir) {
		want = append(want, p.Path)
	}
	for _, opt := range strategies {
		opt.Root = dir
		items, _ := collect(t, opt)
		if diff := cmp.Diff(want, paths(items)); diff != "" {
			t.Fatalf("%+v: -want +got:\n%s", opt, diff)
		}
	}
}

// deep makes a directory of n components of the given length below dir, and puts
// a file into the last.
func deep(t *testing.T, dir string, n, length int) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_DIRECTORY, 0)
	must(t, err)
	name := strings.Repeat("d", length)
	for range n {
		must(t, unix.Mkdirat(fd, name, 0o755))
		next, err := unix.Openat(fd, name, unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(fd))
		fd = next
	}
	f, err := unix.Openat(fd, "file", unix.O_CREAT|unix.O_WRONLY, 0o600)
	must(t, err)
	_, err = unix.Write(f, []byte("at the bottom"))
	must(t, err)
	must(t, unix.Fsetxattr(f, "user.depth", []byte("100"), 0))
	must(t, unix.Close(f))
	must(t, unix.Close(fd))
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
}

func TestLongPath(t *testing.T) {
	dir := t.TempDir() + "/x"
	must(t, os.Mkdir(dir, 0o755))
	depth := source.MaxIdle + 50 // more than are kept open
	deep(t, dir, depth, 200)
	items, warnings := collect(t, source.Options{Root: dir})
	if len(items) != depth+2 || warnings != nil {
		t.Fatalf("%d items, want %d; warnings %q", len(items), depth+2, warnings)
	}
	last := items[len(items)-1]
	if want := depth*201 + len("file"); len(last.Path) != want {
		t.Errorf("path of %d bytes, want %d", len(last.Path), want)
	}
	if got := content(t, last); got != "at the bottom" {
		t.Errorf("content %q", got)
	}
	attrs, err := last.Xattrs()
	if err != nil || len(attrs) != 1 || attrs[0].Name != "user.depth" || string(attrs[0].Value) != "100" {
		t.Errorf("xattrs %q, %v", attrs, err)
	}
}

func TestTooLongPath(t *testing.T) {
	dir := t.TempDir() + "/x"
	must(t, os.Mkdir(dir, 0o755))
	deep(t, dir, source.MaxPath/256+5, 255)
	items, warnings := collect(t, source.Options{Root: dir})
	if want := (source.MaxPath+1)/256 + 1; len(items) != want {
		t.Errorf("%d items, want %d", len(items), want)
	}
	if len(warnings) != 1 || !strings.HasSuffix(warnings[0], unix.ENAMETOOLONG.Error()) {
		t.Errorf("%d warnings, want one of the name's length", len(warnings))
	}
}

// lay makes files; names that end in "/" are directories, "a->b" is a link.
func lay(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := dir + "/" + name
		if link, target, ok := strings.Cut(path, "->"); ok {
			must(t, os.Symlink(target, link))
		} else if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o755))
		} else {
			must(t, os.WriteFile(path, []byte(name), 0o644))
		}
	}
}

func TestCopyLinks(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, "out/", "out/o", "in/", "in/sub/", "in/f",
		"in/dangling->nowhere", "in/file->f", "in/outside->../out", "in/self->self", "in/sub/up->..", "in/top->.")
	items, warnings := collect(t, source.Options{Root: dir + "/in", CopyLinks: true})
	got := map[string]string{}
	for _, it := range items {
		got[it.Path] = it.Type.String()
		if it.Type == difftar.Symlink {
			got[it.Path] += " " + it.Linkname
		}
		if it.Type == difftar.Regular && content(t, it) == "" {
			t.Errorf("%s: no content", it.Path)
		}
	}
	want := map[string]string{
		"": "directory", "f": "file", "file": "file", "outside": "directory", "outside/o": "file", "sub": "directory",
		"dangling": "symlink nowhere", "self": "symlink self", "sub/up": "symlink ..", "top": "symlink .",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if want := []string{`read link "sub/up": ` + source.ErrLoop.Error(), `read link "top": ` + source.ErrLoop.Error()}; !slices.Equal(warnings, want) {
		t.Errorf("warnings %q, want %q", warnings, want)
	}
}

func TestSelection(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, "a/", "a/b/", "a/b/c/", "a/b/c/yes", "a/b/no", "a-x", "cache/", "cache/.nobackup", "cache/data", "d/", "d/e/", "d/e/no", "z")
	rule := func(o selection.Option, v string) selection.Rule { return selection.Rule{Option: o, Value: v} }
	in, out := selection.IncludeGlob, selection.ExcludeGlob
	tests := map[string]struct {
		rules []selection.Rule
		want  []string
	}{
		"parents of what is included": {
			[]selection.Rule{rule(in, dir+"/**/yes"), rule(out, "**")},
			[]string{"", "a", "a/b", "a/b/c", "a/b/c/yes"},
		},
		"excluded directory": {
			[]selection.Rule{rule(out, dir+"/a"), rule(out, dir+"/cache"), rule(out, "**/no")},
			[]string{"", "a-x", "d", "d/e", "z"},
		},
		"exclude-if-present": {
			[]selection.Rule{rule(selection.ExcludeIfPresent, ".nobackup"), rule(out, dir+"/a"), rule(out, dir+"/d")},
			[]string{"", "a-x", "z"},
		},
		"files-from": {
			[]selection.Rule{{Option: selection.FilesFrom, Value: "list", List: []byte("a/b/no\nz\n")}},
			[]string{"", "a", "a/b", "a/b/no", "z"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sel, err := selection.Compile(test.rules, selection.Options{Root: dir})
			must(t, err)
			for _, opt := range strategies {
				opt.Root, opt.Select = dir, sel
				items, warnings := collect(t, opt)
				if got := paths(items); !slices.Equal(got, test.want) || warnings != nil {
					t.Errorf("%+v: got %q, want %q; warnings %q", opt, got, test.want, warnings)
				}
			}
		})
	}
}

func TestOtherFilesystems(t *testing.T) {
	treetest.NeedRoot(t)
	dir := t.TempDir()
	lay(t, dir, "a", "m/", "z")
	if err := unix.Mount("none", dir+"/m", "tmpfs", 0, "size=64k"); err != nil {
		treetest.Missing(t, "mounting is not allowed here: "+err.Error())
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir+"/m", 0)) })
	lay(t, dir, "m/inside")
	sel, err := selection.Compile([]selection.Rule{{Option: selection.ExcludeOtherFS}}, selection.Options{Root: dir})
	must(t, err)
	for _, test := range []struct {
		sel  *selection.Selection
		want []string
	}{{sel, []string{"", "a", "z"}}, {nil, []string{"", "a", "m", "m/inside", "z"}}} {
		// Closed here, since open descriptors keep the file system busy.
		tree, err := source.Open(source.Options{Root: dir, Select: test.sel})
		must(t, err)
		var got []string
		for it, err := range tree.Walk(t.Context()) {
			must(t, err)
			got = append(got, it.Path)
		}
		must(t, tree.Close())
		if !slices.Equal(got, test.want) {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// TestConcurrentWalks reads one tree several times at once.
func TestConcurrentWalks(t *testing.T) {
	dir := t.TempDir()
	randomTree(t, rand.New(rand.NewPCG(99, 1)), dir, 500)
	want := len(oracle(t, dir))
	tree := open(t, source.Options{Root: dir})
	counts := make(chan int)
	for range 4 {
		go func() {
			n := 0
			for it, err := range tree.Walk(t.Context()) {
				if err == nil && it != nil {
					n++
				}
			}
			counts <- n
		}()
	}
	for range 4 {
		if n := <-counts; n != want {
			t.Errorf("%d items, want %d", n, want)
		}
	}
}

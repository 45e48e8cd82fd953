package treetest_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/treetest"
)

func TestScan(t *testing.T) {
	dir := t.TempDir()
	treetest.Write(t, dir,
		treetest.Dir("").Perm(0o750).At(5),
		treetest.File("a-b", "").Perm(0o600).At(-1),
		treetest.File("a/b", "hello").Perm(0o4755).At(7).AtNano(8),
		treetest.Symlink("link", "a/\xff"),
		treetest.Fifo("pipe").Perm(0o622),
		treetest.Socket("sock"),
		treetest.HardLink("same", "a/b"))
	got := treetest.Record(t, dir)

	var paths []string
	for _, e := range got {
		paths = append(paths, e.Path)
	}
	if want := []string{"", "a", "a/b", "a-b", "link", "pipe", "same", "sock"}; !slices.Equal(paths, want) {
		t.Fatalf("paths %q, want %q", paths, want)
	}
	uid, gid := int64(os.Getuid()), int64(os.Getgid())
	hash := sha256.Sum256([]byte("hello"))
	for _, want := range []treetest.Entry{
		{Path: "", Type: treetest.TypeDir, Mode: 0o750, MTime: 5},
		{Path: "a", Type: treetest.TypeDir, Mode: 0o755, MTime: treetest.BaseTime},
		{Path: "a/b", Type: treetest.TypeFile, Mode: 0o4755, MTime: 7, MTimeNanos: 8, Size: 5, SHA256: hash},
		{Path: "a-b", Type: treetest.TypeFile, Mode: 0o600, MTime: -1, SHA256: sha256.Sum256(nil)},
		{Path: "link", Type: treetest.TypeSymlink, Mode: 0o777, MTime: treetest.BaseTime, Target: "a/\xff"},
		{Path: "pipe", Type: treetest.TypeFifo, Mode: 0o622, MTime: treetest.BaseTime},
		{Path: "same", Type: treetest.TypeFile, Mode: 0o4755, MTime: 7, MTimeNanos: 8, Size: 5, SHA256: hash},
		{Path: "sock", Type: treetest.TypeSocket, Mode: 0o755, MTime: treetest.BaseTime},
	} {
		want.UID, want.GID = uid, gid
		if e, ok := got.Lookup(want.Path); !ok || e != want {
			t.Errorf("got %+v, want %+v", e, want)
		}
	}
	if _, ok := got.Lookup("none"); ok {
		t.Error("a path that is not there was found")
	}
	if got.Bytes() != 10 || got.Count(treetest.TypeFile) != 3 {
		t.Errorf("%d bytes in %d files, want 10 in 3", got.Bytes(), got.Count(treetest.TypeFile))
	}
}

func TestScanDevices(t *testing.T) {
	treetest.NeedRoot(t)
	dir := t.TempDir()
	treetest.Write(t, dir,
		treetest.Char("null", 1, 3).Owner(12, 3456789), treetest.Block("loop", 7, 70000).Perm(0o600),
		treetest.File("suid", "x").Owner(5, 6).Perm(0o6755), treetest.Symlink("link", "x").Owner(7, 8))
	got := treetest.Record(t, dir)
	for _, want := range []treetest.Entry{
		{Path: "null", Type: treetest.TypeChar, Mode: 0o660, UID: 12, GID: 3456789, Major: 1, Minor: 3},
		{Path: "loop", Type: treetest.TypeBlock, Mode: 0o600, Major: 7, Minor: 70000},
		{Path: "suid", Type: treetest.TypeFile, Mode: 0o6755, UID: 5, GID: 6, Size: 1, SHA256: sha256.Sum256([]byte("x"))},
		{Path: "link", Type: treetest.TypeSymlink, Mode: 0o777, UID: 7, GID: 8, Target: "x"},
	} {
		want.MTime = treetest.BaseTime
		if e, ok := got.Lookup(want.Path); !ok || e != want {
			t.Errorf("got %+v, want %+v", e, want)
		}
	}
}

func TestScanMissing(t *testing.T) {
	if _, err := treetest.Scan(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("got %v, want that nothing is there", err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

func TestSub(t *testing.T) {
	tree := treetest.Tree{{Path: ""}, {Path: "a"}, {Path: "a/b"}, {Path: "a/b/c"}, {Path: "a-b"}, {Path: "ab"}}
	for _, test := range []struct {
		path string
		want []string
	}{
		{"", []string{"", "a", "a/b", "a/b/c", "a-b", "ab"}},
		{"a", []string{"", "b", "b/c"}},
		{"a/b/c", []string{""}},
		{"c", nil},
	} {
		var got []string
		for _, e := range tree.Sub(test.path) {
			got = append(got, e.Path)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("Sub(%q): %q, want %q", test.path, got, test.want)
		}
	}
}

func TestDiff(t *testing.T) {
	file := treetest.Entry{Path: "f", Type: treetest.TypeFile, Mode: 0o644, MTime: 10, MTimeNanos: 1, Size: 3, SHA256: [32]byte{1}}
	link := treetest.Entry{Path: "l", Type: treetest.TypeSymlink, Mode: 0o777, MTime: 10, Target: "x"}
	change := func(e treetest.Entry, f func(*treetest.Entry)) treetest.Tree { f(&e); return treetest.Tree{e} }
	var none treetest.Options
	for _, test := range []struct {
		name      string
		got, want treetest.Tree
		opts      treetest.Options
		lines     []string
	}{
		{"same", treetest.Tree{file, link}, treetest.Tree{file, link}, treetest.Options{Nanoseconds: true}, nil},
		{"missing", nil, treetest.Tree{file}, none, []string{`"f": missing file`}},
		{"extra", treetest.Tree{file, link}, treetest.Tree{file}, none, []string{`"l": unexpected symlink`}},
		{"mode", change(file, func(e *treetest.Entry) { e.Mode = 0o600 }), treetest.Tree{file}, none, []string{`"f": mode 0600, want 0644`}},
		{"owner", change(file, func(e *treetest.Entry) { e.UID, e.GID = 1, 2 }), treetest.Tree{file}, none, []string{`"f": uid 1, want 0`, `"f": gid 2, want 0`}},
		{"owner left out", change(file, func(e *treetest.Entry) { e.UID, e.GID = 1, 2 }), treetest.Tree{file}, treetest.Options{WithoutOwners: true}, nil},
		{"link owner", change(link, func(e *treetest.Entry) { e.UID = 1 }), treetest.Tree{link}, none, []string{`"l": uid 1, want 0`}},
		{"link owner left out", change(link, func(e *treetest.Entry) { e.UID = 1 }), treetest.Tree{link}, treetest.Options{WithoutLinkOwners: true}, nil},
		{"file owner not left out", change(file, func(e *treetest.Entry) { e.UID = 1 }), treetest.Tree{file}, treetest.Options{WithoutLinkOwners: true}, []string{`"f": uid 1, want 0`}},
		{"size", change(file, func(e *treetest.Entry) { e.Size = 4 }), treetest.Tree{file}, none, []string{`"f": size 4, want 3`}},
		{"content", change(file, func(e *treetest.Entry) { e.SHA256[0] = 2 }), treetest.Tree{file}, none, []string{`"f": content 02000000, want 01000000`}},
		{"time", change(file, func(e *treetest.Entry) { e.MTime = 9 }), treetest.Tree{file}, none, []string{`"f": mtime 9, want 10`}},
		{"time left out", change(file, func(e *treetest.Entry) { e.MTime = 9 }), treetest.Tree{file}, treetest.Options{WithoutTimes: true}, nil},
		{"part of a second", change(file, func(e *treetest.Entry) { e.MTimeNanos = 0 }), treetest.Tree{file}, none, nil},
		{"nanoseconds", change(file, func(e *treetest.Entry) { e.MTimeNanos = 0 }), treetest.Tree{file}, treetest.Options{Nanoseconds: true},
			[]string{`"f": mtime 10.000000000, want 10.000000001`}},
		{"before 1970", change(file, func(e *treetest.Entry) { e.MTime = 0 }), change(file, func(e *treetest.Entry) { e.MTime = -5 }),
			treetest.AsDuplicity(), nil},
		{"before 1970, strict", change(file, func(e *treetest.Entry) { e.MTime = 0 }), change(file, func(e *treetest.Entry) { e.MTime = -5 }),
			none, []string{`"f": mtime 0, want -5`}},
		{"link mode and time", change(link, func(e *treetest.Entry) { e.Mode, e.MTime = 0, 0 }), treetest.Tree{link}, none, nil},
		{"target", change(link, func(e *treetest.Entry) { e.Target = "y" }), treetest.Tree{link}, none, []string{`"l": target "y", want "x"`}},
		{"type", change(link, func(e *treetest.Entry) { e.Path = "f" }), treetest.Tree{file}, none, []string{`"f": type symlink, want file`}},
		{"device", treetest.Tree{{Type: treetest.TypeChar, Major: 1}}, treetest.Tree{{Type: treetest.TypeChar, Minor: 2}}, none,
			[]string{`"": device [1 0], want [0 2]`}},
		{"socket", nil, treetest.Tree{{Path: "s", Type: treetest.TypeSocket}}, none, []string{`"s": missing socket`}},
		{"socket left out", nil, treetest.Tree{{Path: "s", Type: treetest.TypeSocket}}, treetest.AsDuplicity(), nil},
	} {
		if got := treetest.Diff(test.got, test.want, test.opts); !slices.Equal(got, test.lines) {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.lines)
		}
	}
}

// failed is a test that only remembers what it was told.
type failed struct {
	testing.TB
	text string
}

func (f *failed) Helper()                        {}
func (f *failed) Errorf(format string, a ...any) { f.text += format }

func TestEqual(t *testing.T) {
	tree := treetest.Tree{{Path: "x", Type: treetest.TypeFile}}
	f := &failed{TB: t}
	if !treetest.Equal(f, tree, tree, treetest.Options{}) || f.text != "" {
		t.Error("a tree does not equal itself")
	}
	if treetest.Equal(f, tree, nil, treetest.Options{}) || f.text == "" {
		t.Error("a tree equals an empty one")
	}
}

func TestWriteOverAndOddNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	treetest.Write(t, dir, treetest.OddTree()...)
	tree := treetest.Record(t, dir)
	for _, name := range treetest.OddNames() {
		e, ok := tree.Lookup("files/" + name)
		if !ok || e.Size != int64(len("content of "+name)) {
			t.Errorf("no file %q", name)
		}
	}
	if !slices.IsSortedFunc(tree, func(a, b treetest.Entry) int { return difftar.Compare(a.Path, b.Path) }) {
		t.Error("not in the order of difftar.Compare")
	}
	treetest.Write(t, dir, treetest.File("files", "now a file"), treetest.Dir("order").Perm(0o700), treetest.Dir("diff/empty/more"))
	tree = treetest.Record(t, dir)
	if e, _ := tree.Lookup("files"); e.Type != treetest.TypeFile {
		t.Errorf("files is a %s, want a file", e.Type)
	}
	if e, ok := tree.Lookup("order/a/inner"); !ok || e.Size != 1 {
		t.Error("writing a directory emptied it")
	}
	if e, _ := tree.Lookup("diff/empty/more"); e.MTime != treetest.BaseTime {
		t.Errorf("mtime of a new directory %d, want %d", e.MTime, treetest.BaseTime)
	}
}

func TestRandomIsTheSameForASeed(t *testing.T) {
	opts := treetest.RandomOptions{OddNames: true, Special: true, Owners: true}
	var trees [2]treetest.Tree
	var logs [2]string
	for i := range trees {
		dir := filepath.Join(t.TempDir(), "tree")
		rng := treetest.Rand(t, 7)
		treetest.Random(t, dir, rng, opts)
		trees[i] = treetest.Record(t, dir)
		logs[i] = strings.Join(treetest.Mutate(t, dir, rng, treetest.BaseTime+10, 20, opts), "\n")
	}
	treetest.Equal(t, trees[0], trees[1], treetest.Options{Nanoseconds: true})
	if logs[0] != logs[1] {
		t.Errorf("mutations differ:\n%s\n\n%s", logs[0], logs[1])
	}
	if len(trees[0]) < 41 || trees[0].Bytes() == 0 {
		t.Errorf("%d paths with %d bytes", len(trees[0]), trees[0].Bytes())
	}
	for _, e := range trees[0] {
		if e.MTime > treetest.BaseTime {
			t.Errorf("%q: mtime %d after BaseTime", e.Path, e.MTime)
		}
	}
}

// TestMutateIsNoticed holds Mutate to its promise: what duplicity compares
// (duplicity-format.md §4.2) differs wherever anything differs.
func TestMutateIsNoticed(t *testing.T) {
	opts := treetest.RandomOptions{Special: true, Owners: true}
	kinds := map[string]bool{}
	for seed := range uint64(20) {
		dir := filepath.Join(t.TempDir(), "tree")
		rng := treetest.Rand(t, seed)
		treetest.Random(t, dir, rng, opts)
		for step := range int64(4) {
			before := treetest.Record(t, dir)
			for _, line := range treetest.Mutate(t, dir, rng, treetest.BaseTime+100*(step+1), 8, opts) {
				kinds[strings.Fields(line)[0]] = true
			}
			for _, e := range treetest.Record(t, dir) {
				old, ok := before.Lookup(e.Path)
				if ok && noticed(e) == noticed(old) && len(treetest.Diff(treetest.Tree{e}, treetest.Tree{old}, treetest.Options{})) > 0 {
					t.Errorf("seed %d: duplicity would not notice the change of %q:\n%+v\n%+v", seed, e.Path, old, e)
				}
			}
		}
	}
	for _, kind := range []string{"add", "delete", "rename", "replace", "chmod", "append", "insert", "scatter", "truncate", "cut", "rewrite"} {
		if !kinds[kind] {
			t.Errorf("no edit was %q", kind)
		}
	}
}

// noticed is what duplicity compares of an entry.
func noticed(e treetest.Entry) treetest.Entry {
	n := treetest.Entry{Path: e.Path, Type: e.Type, Target: e.Target, Major: e.Major, Minor: e.Minor}
	if e.Type != treetest.TypeSymlink {
		n.Mode, n.UID, n.GID = e.Mode, e.UID, e.GID
	}
	switch e.Type {
	case treetest.TypeFile, treetest.TypeDir, treetest.TypeFifo:
		n.MTime = e.MTime
	}
	return n
}

func TestContent(t *testing.T) {
	for _, n := range []int64{0, 1, 63, 64, 65, 100_000} {
		if got := len(treetest.Content(treetest.Rand(t, 1), n)); int64(got) != n {
			t.Errorf("%d bytes, want %d", got, n)
		}
	}
}

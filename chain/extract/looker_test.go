package extract_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

// TestKept looks at random trees, deep ones with many paths among them, some of whose
// directories have become links to what is the same elsewhere, files, or are gone: the
// answers are those of who goes to each path component by component.
func TestKept(t *testing.T) {
	treetest.Sequential(t)
	rng := treetest.Rand(t, 20261125)
	before := descriptors(t)
	for range 6 {
		base := t.TempDir()
		root := filepath.Join(base, "root")
		list := randomTree(t, rng, root)
		if err := os.CopyFS(filepath.Join(base, "copy"), os.DirFS(root)); err != nil {
			t.Fatal(err)
		}
		spoil(t, rng, root, list)
		disk, err := extract.OpenDisk(root, extract.DiskOptions{NoOwnership: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := disk.Kept(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		var kept int
		for i := range list {
			want := extract.Differs
			if isThere(root, &list[i]) {
				want = extract.Same
				kept++
			}
			if list[i].Kept != want {
				t.Errorf("%q: %v, want %v", list[i].Path, list[i].Kept, want)
			}
		}
		if len(list) > 500 && (kept < len(list)/20 || kept == len(list)) {
			t.Errorf("%d of %d paths are as they should be", kept, len(list))
		}
		if err := disk.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if now := descriptors(t); now > before {
		t.Errorf("%d descriptors are open, %d were", now, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// randomTree makes a tree and lists what is in it, in the order of paths.
func randomTree(t *testing.T, rng *rand.Rand, root string) []extract.Existing {
	t.Helper()
	paths := []string{""}
	dirs := []string{""}
	for range 1 + rng.IntN(1500) {
		dir := dirs[len(dirs)-1-rng.IntN(min(len(dirs), 6))] // the newest ones: trees get deep
		path := strings.TrimPrefix(fmt.Sprintf("%s/%c%d", dir, 'a'+rune(rng.IntN(3)), len(paths)), "/")
		if paths = append(paths, path); rng.IntN(5) == 0 {
			dirs = append(dirs, path)
		}
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(paths, difftar.Compare[string, string])
	list := make([]extract.Existing, len(paths))
	for i, path := range slices.Backward(paths) {
		full := filepath.Join(root, path)
		m := &difftar.Meta{Type: difftar.Directory, Mode: 0o755, MTime: 1e9 + rng.Int64N(1e6)}
		if _, dir := slices.BinarySearch(dirs, path); !dir {
			m.Type, m.Mode = difftar.Regular, 0o644
			if err := os.WriteFile(full, []byte(path), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		list[i] = extract.Existing{Path: path, Meta: m, Known: &extract.Known{Size: int64(len(path))}}
		stamp(t, full, m.MTime)
	}
	return list
}

func stamp(t *testing.T, path string, sec int64) {
	t.Helper()
	times := []unix.Timespec{{Sec: sec}, {Sec: sec}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		t.Fatal(err)
	}
}

// spoil changes some of a tree, which has a copy beside it.
func spoil(t *testing.T, rng *rand.Rand, root string, list []extract.Existing) {
	t.Helper()
	copied := filepath.Join(filepath.Dir(root), "copy")
	for range 1 + len(list)/60 {
		x := &list[rng.IntN(len(list))]
		full := filepath.Join(root, x.Path)
		st, err := os.Lstat(full)
		if x.Path == "" || err != nil || st.IsDir() && rng.IntN(3) > 0 {
			continue
		}
		if err := os.RemoveAll(full); err != nil {
			t.Fatal(err)
		}
		switch rng.IntN(3) {
		case 0:
			err = os.Symlink(filepath.Join(copied, x.Path), full)
		case 1:
			err = os.WriteFile(full, []byte("something else"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range slices.Backward(list) { // what was spoilt must not show in the times of directories alone
		x := &list[i]
		if st, err := os.Lstat(filepath.Join(root, x.Path)); err == nil && st.IsDir() && rng.IntN(4) > 0 && reachable(root, x.Path) {
			stamp(t, filepath.Join(root, x.Path), x.Meta.MTime)
		}
	}
}

// reachable reports whether no link is on the way to a path.
func reachable(root, path string) bool {
	for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
		if st, err := os.Lstat(filepath.Join(root, dir)); err != nil || !st.IsDir() {
			return false
		}
	}
	return true
}

// isThere reports whether a path is as it should be.
func isThere(root string, x *extract.Existing) bool {
	st, err := os.Lstat(filepath.Join(root, x.Path))
	if err != nil || !reachable(root, x.Path) || st.ModTime().Unix() != x.Meta.MTime || st.Mode().Perm() != fs.FileMode(x.Meta.Mode) {
		return false
	}
	if x.Meta.Type == difftar.Directory {
		return st.IsDir()
	}
	return st.Mode().IsRegular() && st.Size() == x.Known.Size
}

// TestKeptOfOddPaths: paths that no tree can have differ, and are not cut short.
func TestKeptOfOddPaths(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	stamp(t, filepath.Join(root, "file"), 1e9)
	disk, err := extract.OpenDisk(root, extract.DiskOptions{NoOwnership: true})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	meta := &difftar.Meta{Type: difftar.Regular, Mode: 0o644, MTime: 1e9}
	for path, want := range map[string]extract.Kept{
		"file": extract.Same, "file\x00": extract.Differs, "file\x00/x": extract.Differs, "file/x": extract.Differs,
		strings.Repeat("d/", unix.PathMax) + "file": extract.Differs,
	} {
		list := []extract.Existing{{Path: path, Meta: meta, Known: &extract.Known{}}}
		if err := disk.Kept(t.Context(), list); err != nil || list[0].Kept != want {
			t.Errorf("%.20q: %v, %v, want %v", path, list[0].Kept, err, want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if err := disk.Kept(ctx, []extract.Existing{{Path: "file", Meta: meta, Known: &extract.Known{}}}); err != stop {
		t.Errorf("after the end of the context: %v, want %v", err, stop)
	}
}

package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
	"hindsight/chain/source"
)

// oddNames are names that have broken programs.
var oddNames = []string{
	"a", "a-b", "a.b", "a b", "A", "multivol_diff", "1", "snapshot", "deleted", "-rf", "..a", "...", " ", "\t", "new\nline", "quo\"te'", "back\\slash",
	"\xff\xfe", "caf\u00e9", "\x01", "~", "*", "[x", strings.Repeat("n", 255), "a\x80",
}

// randomTree fills dir with objects of all types.
func randomTree(t testing.TB, rng *rand.Rand, dir string, objects int) {
	t.Helper()
	dirs := []string{dir}
	for i := range objects {
		parent := dirs[rng.IntN(len(dirs))]
		name := oddNames[rng.IntN(len(oddNames))]
		if rng.IntN(2) == 0 {
			name = fmt.Sprintf("f%d", rng.IntN(objects))
		}
		path := parent + "/" + name
		if len(path) > 2000 {
			continue
		}
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		switch k := rng.IntN(12); {
		case k < 3:
			must(t, os.Mkdir(path, 0o755))
			dirs = append(dirs, path)
		case k == 3:
			must(t, os.Symlink(strings.Repeat("x", 1+rng.IntN(300)), path))
			continue
		case k == 4:
			must(t, unix.Mkfifo(path, 0o640))
		case k == 5 && i > 0 && os.Geteuid() == 0:
			must(t, unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1+uint32(rng.IntN(300)), uint32(rng.IntN(70000))))))
		default:
			must(t, os.WriteFile(path, bytes.Repeat([]byte{1}, rng.IntN(500)), 0o600))
		}
		if os.Geteuid() == 0 {
			must(t, os.Chown(path, rng.IntN(3)*40000, rng.IntN(12)))
		}
		must(t, unix.Chmod(path, uint32(0o700|rng.IntN(0o10000))))
	}
	for _, d := range dirs {
		sec := rng.Int64N(3_000_000_000) - 500_000_000
		must(t, os.Chtimes(d, time.Time{}, time.Unix(sec, rng.Int64N(1e9))))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plain is an Item without what belongs to the walker.
type plain struct {
	Path string
	difftar.Meta
	Size            int64
	ModTime         int64
	ChangeTime      int64
	Dev, Ino, Nlink uint64
}

func plainOf(it *source.Item) plain {
	return plain{it.Path, it.Meta, it.Size, it.ModTime.UnixNano(), it.ChangeTime.UnixNano(), it.Dev, it.Ino, it.Nlink}
}

// oracle walks with the standard library, and sorts.
func oracle(t testing.TB, root string) []plain {
	t.Helper()
	var all []plain
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.Type()&fs.ModeSocket == 0 {
			all = append(all, lstat(t, path, strings.TrimPrefix(strings.TrimPrefix(path, root), "/")))
		}
		return nil
	}))
	slices.SortFunc(all, func(a, b plain) int { return difftar.Compare(a.Path, b.Path) })
	return all
}

func lstat(t testing.TB, path, rel string) plain {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	st := info.Sys().(*syscall.Stat_t)
	p := plain{Path: rel, ModTime: info.ModTime().UnixNano(), ChangeTime: st.Ctim.Nano(), Dev: st.Dev, Ino: st.Ino, Nlink: uint64(st.Nlink)}
	p.Mode, p.UID, p.GID = st.Mode&0o7777, int64(st.Uid), int64(st.Gid)
	p.MTime = max(0, st.Mtim.Sec)
	if u, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil {
		p.Uname = u.Username
	}
	if g, err := user.LookupGroupId(strconv.Itoa(int(st.Gid))); err == nil {
		p.Gname = g.Name
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		p.Type, p.Size = difftar.Regular, info.Size()
	case mode.IsDir():
		p.Type = difftar.Directory
	case mode&fs.ModeSymlink != 0:
		p.Type = difftar.Symlink
		p.Linkname, err = os.Readlink(path)
		must(t, err)
	case mode&fs.ModeNamedPipe != 0:
		p.Type = difftar.Fifo
	case mode&fs.ModeDevice != 0:
		p.Type = difftar.BlockDevice
		if mode&fs.ModeCharDevice != 0 {
			p.Type = difftar.CharDevice
		}
		p.Major, p.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
	}
	return p
}

// open opens a tree that is closed when the test ends.
func open(t testing.TB, opt source.Options) *source.Tree {
	t.Helper()
	tree, err := source.Open(opt)
	must(t, err)
	t.Cleanup(func() { must(t, tree.Close()) })
	return tree
}

// collect walks a tree that gives no error; warnings are returned as text.
func collect(t testing.TB, opt source.Options) (items []*source.Item, warnings []string) {
	t.Helper()
	opt.Warn = func(w source.Warning) { warnings = append(warnings, w.String()) }
	for it, err := range open(t, opt).Walk(t.Context()) {
		must(t, err)
		items = append(items, it)
	}
	return items, warnings
}

func paths(items []*source.Item) []string {
	out := []string{}
	for _, it := range items {
		out = append(out, it.Path)
	}
	return out
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := source.Open(source.Options{Root: dir + "/none"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing source: %v, want ErrNotExist", err)
	}
	if _, err := source.Open(source.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty path: %v, want ErrNotExist", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer func() { _ = unix.Close(fd) }()
	sock := dir + "/s"
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: sock}))
	if _, err := source.Open(source.Options{Root: sock}); err == nil {
		t.Error("a socket as source was accepted")
	}
	// In a directory it is passed over, without a warning.
	items, warnings := collect(t, source.Options{Root: dir})
	if got := paths(items); !slices.Equal(got, []string{""}) || warnings != nil {
		t.Errorf("got %q, warnings %q", got, warnings)
	}
}

func TestSingleFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(path, []byte("text"), 0o640))
	items, warnings := collect(t, source.Options{Root: path})
	if len(items) != 1 || warnings != nil {
		t.Fatalf("got %q, warnings %q", paths(items), warnings)
	}
	if got, want := plainOf(items[0]), lstat(t, path, ""); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := content(t, items[0]); got != "text" {
		t.Errorf("content %q", got)
	}
}

func TestRootIsLink(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/d/e", 0o755))
	must(t, os.WriteFile(dir+"/d/f", []byte("text"), 0o644))
	must(t, os.Symlink("d", dir+"/l"))
	must(t, os.Symlink("d/f", dir+"/m"))
	items, _ := collect(t, source.Options{Root: dir + "/l"})
	if got, want := paths(items), []string{"", "e", "f"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if items[0].Type != difftar.Directory {
		t.Errorf("the root is a %v", items[0].Type)
	}
	items, _ = collect(t, source.Options{Root: dir + "/m"})
	if len(items) != 1 || content(t, items[0]) != "text" {
		t.Errorf("link to a file: %q", paths(items))
	}
}

func TestClosed(t *testing.T) {
	for _, name := range []string{"", "/f"} {
		dir := t.TempDir()
		must(t, os.WriteFile(dir+"/f", nil, 0o600))
		before := descriptors(t)
		tree, err := source.Open(source.Options{Root: dir + name})
		must(t, err)
		var last *source.Item
		for it, err := range tree.Walk(t.Context()) {
			must(t, err)
			last = it
		}
		f, err := last.Open(t.Context())
		must(t, err)
		must(t, tree.Close())
		if _, err := f.Changed(); err != nil {
			t.Errorf("a file outlives its tree: %v", err)
		}
		must(t, f.Close())
		if _, err := last.Open(t.Context()); !errors.Is(err, os.ErrClosed) {
			t.Errorf("open: %v, want ErrClosed", err)
		}
		if _, err := last.Xattrs(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("xattrs: %v, want ErrClosed", err)
		}
		for _, err := range tree.Walk(t.Context()) {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("walk: %v, want ErrClosed", err)
			}
		}
		if err := tree.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("second Close: %v, want ErrClosed", err)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	}
}

// descriptors counts the open descriptors of the process.
func descriptors(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(names)
}

func TestCancel(t *testing.T) {
	dir := t.TempDir()
	for i := range 2000 {
		must(t, os.MkdirAll(fmt.Sprintf("%s/%d/%d", dir, i%50, i), 0o755))
	}
	tree := open(t, source.Options{Root: dir, Jobs: 3})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range tree.Walk(ctx) {
		if n++; n == 10 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || n != 11 {
		t.Errorf("%d items, then %v", n, last)
	}
	before := descriptors(t) - tree.Idle()
	for range 20 { // left at once, with workers busy
		for it, err := range tree.Walk(t.Context()) {
			must(t, err)
			if it.Path != "" {
				break
			}
		}
	}
	if after := descriptors(t) - tree.Idle(); after != before {
		t.Errorf("%d descriptors in use before, %d after", before, after)
	}
}

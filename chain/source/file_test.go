package source_test

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/source"
	"hindsight/chain/treetest"
)

func content(t testing.TB, it *source.Item) string {
	t.Helper()
	f, err := it.Open(t.Context())
	must(t, err)
	b, err := io.ReadAll(f)
	must(t, err)
	must(t, f.Close())
	return string(b)
}

// fileItem is the item of a new file with the content "first", and its path.
func fileItem(t *testing.T, opt source.Options) (*source.Item, string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/f", []byte("first"), 0o644))
	opt.Root = dir
	items, _ := collect(t, opt)
	return items[1], dir + "/f"
}

// TestOpenSwapped puts something else in the place of a file.
func TestOpenSwapped(t *testing.T) {
	swaps := map[string]func(path string) error{
		"fifo":      func(p string) error { return unix.Mkfifo(p, 0o600) },
		"link":      func(p string) error { return os.Symlink("/etc/passwd", p) },
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
	}
	for name, swap := range swaps {
		t.Run(name, func(t *testing.T) {
			it, path := fileItem(t, source.Options{})
			must(t, os.Remove(path))
			must(t, swap(path))
			before := descriptors(t)
			if _, err := it.Open(t.Context()); !errors.Is(err, source.ErrNotRegular) {
				t.Errorf("got %v, want ErrNotRegular", err)
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
	it, path := fileItem(t, source.Options{})
	must(t, os.Remove(path))
	if _, err := it.Open(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("vanished: %v, want ErrNotExist", err)
	}
	must(t, os.WriteFile(path, []byte("another"), 0o644))
	f, err := it.Open(t.Context())
	must(t, err)
	if got := f.Item().Size; got != 7 || it.Size != 5 {
		t.Errorf("size %d when opened, %d when walked; want 7, 5", got, it.Size)
	}
	must(t, f.Close())
}

// TestOpenBelowSwappedDirectory replaces the directory by a link to another.
func TestOpenBelowSwappedDirectory(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, "d/", "d/f", "e/", "e/f")
	tree := open(t, source.Options{Root: dir})
	find := func() (it *source.Item) {
		for i, err := range tree.Walk(t.Context()) {
			must(t, err)
			if i.Path == "d/f" {
				it = i
			}
		}
		return it
	}
	it := find()
	tree2 := open(t, source.Options{Root: dir}) // has nothing open but the root
	must(t, os.Rename(dir+"/d", dir+"/gone"))
	must(t, os.Symlink("e", dir+"/d"))
	if got := content(t, it); got != "d/f" { // by the directory that is still open
		t.Errorf("content %q, want that of d/f", got)
	}
	for i, err := range tree2.Walk(t.Context()) {
		must(t, err)
		if i.Path == "d/f" {
			t.Error("the link was followed")
		}
	}
}

func TestChanged(t *testing.T) {
	it, path := fileItem(t, source.Options{})
	changes := []func() error{
		func() error { return os.WriteFile(path, []byte("first, longer"), 0o644) },
		func() error { return os.Chmod(path, 0o600) },
		func() error { return os.Chtimes(path, time.Time{}, time.Unix(5, 0)) },
	}
	f, err := it.Open(t.Context())
	must(t, err)
	for i, change := range changes {
		if changed, err := f.Changed(); changed || err != nil {
			t.Fatalf("before change %d: %v, %v", i, changed, err)
		}
		must(t, change())
		if changed, err := f.Changed(); !changed || err != nil {
			t.Errorf("after change %d: %v, %v", i, changed, err)
		}
		must(t, f.Rewind())
	}
	if b, err := io.ReadAll(f); string(b) != "first, longer" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if now := f.Item(); now.MTime != 5 || now.Mode != 0o600 || now.Size != 13 || now.Path != "f" {
		t.Errorf("metadata %+v", now)
	}
	must(t, f.Close())
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if _, err := f.Changed(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("changed after close: %v", err)
	}
	if err := f.Rewind(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("rewind after close: %v", err)
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

func TestOpenKeepsAccessTime(t *testing.T) {
	it, path := fileItem(t, source.Options{})
	must(t, os.Chtimes(path, time.Unix(1000, 0), time.Unix(2000, 0))) // relatime would move it
	content(t, it)
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	if st.Atim.Sec != 1000 {
		t.Errorf("access time moved to %d", st.Atim.Sec)
	}
}

// TestOpenUnderLease opens a file that its holder gives up a moment later.
func TestOpenUnderLease(t *testing.T) {
	it, path := fileItem(t, source.Options{})
	holder, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer func() { must(t, holder.Close()) }()
	lease := func(kind int) error {
		_, err := unix.FcntlInt(holder.Fd(), unix.F_SETLEASE, kind)
		return err
	}
	if err := lease(unix.F_WRLCK); err != nil {
		treetest.Missing(t, "no leases here: "+err.Error())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := it.Open(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	released := make(chan error)
	go func() {
		time.Sleep(20 * time.Millisecond)
		released <- lease(unix.F_UNLCK)
	}()
	if got := content(t, it); got != "first" {
		t.Errorf("content %q", got)
	}
	must(t, <-released)
}

// A name that is listed twice is one attribute.
func TestXattrsListedTwice(t *testing.T) {
	list := func(b []byte) (int, error) { return copy(b, "user.b\x00user.a\x00user.b\x00"), nil }
	get := func(name string, b []byte) (int, error) { return copy(b, name), nil }
	attrs, err := source.CollectXattrs(list, get)
	must(t, err)
	if len(attrs) != 2 || attrs[0].Name != "user.a" || attrs[1].Name != "user.b" || string(attrs[1].Value) != "user.b" {
		t.Errorf("got %q", attrs)
	}
}

func TestXattrs(t *testing.T) {
	it, path := fileItem(t, source.Options{})
	if attrs, err := it.Xattrs(); len(attrs) != 0 || err != nil {
		t.Errorf("got %q, %v; want none", attrs, err)
	}
	long := make([]byte, 1500)
	if err := unix.Setxattr(path, "user.b", long, 0); err != nil {
		treetest.Missing(t, "no extended attributes here: "+err.Error())
	}
	must(t, unix.Setxattr(path, "user.a", nil, 0))
	attrs, err := it.Xattrs()
	must(t, err)
	if len(attrs) != 2 || attrs[0].Name != "user.a" || len(attrs[0].Value) != 0 || attrs[1].Name != "user.b" || len(attrs[1].Value) != len(long) {
		t.Errorf("got %q", attrs)
	}
	f, err := it.Open(t.Context())
	must(t, err)
	if open, err := f.Xattrs(); err != nil || !reflect.DeepEqual(open, attrs) {
		t.Errorf("of the open file: %q, %v; want %q", open, err, attrs)
	}
	must(t, f.Close())
	if _, err := f.Xattrs(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("of a closed file: %v", err)
	}
	must(t, os.Rename(path, path+"2"))
	must(t, os.Symlink("f2", path))
	if attrs, err := it.Xattrs(); len(attrs) != 0 || err != nil {
		t.Errorf("followed a link: %q, %v", attrs, err)
	}
}

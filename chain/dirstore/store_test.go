package dirstore_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/dirstore"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

// open opens a store that the caller closes.
func open(t testing.TB, dir string) *dirstore.Store {
	t.Helper()
	s, err := dirstore.Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openDir opens a store in a new directory for the length of the test.
func openDir(t testing.TB) (*dirstore.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s, dir
}

func put(t testing.TB, s store.Store, name, data string) {
	t.Helper()
	if err := s.Put(t.Context(), name, store.Bytes([]byte(data)), store.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, s store.Store) []string {
	t.Helper()
	var ns []string
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		ns = append(ns, o.Name)
	}
	slices.Sort(ns)
	return ns
}

func TestOpenMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "no", "such")
	if _, err := dirstore.Open(dir, false); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("open without create made a directory")
	}
}

func TestOpenCreates(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for _, dir := range []string{filepath.Join(root, "a", "b", "c"), "rel/x/", "rel2", "."} {
		for range 2 { // there the second time
			s, err := dirstore.Open(dir, true)
			if err != nil {
				t.Fatalf("open %s: %v", dir, err)
			}
			put(t, s, "object", "x")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "object")); err != nil {
			t.Errorf("store in %s: %v", dir, err)
		}
	}
	fi, err := os.Stat(filepath.Join(root, "a"))
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("made directory: %v, error %v; want mode 0700", fi.Mode(), err)
	}
}

func TestOpenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, create := range []bool{false, true} {
		for _, dir := range []string{file, filepath.Join(file, "below")} {
			if _, err := dirstore.Open(dir, create); !errors.Is(err, unix.ENOTDIR) {
				t.Errorf("open %s, create %v: error %v, want that it is no directory", dir, create, err)
			}
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	s, dir := openDir(t)
	old := syscall.Umask(0)
	put(t, s, "object", "x")
	syscall.Umask(old)
	fi, err := os.Stat(filepath.Join(dir, "object"))
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", fi.Mode())
	}
}

// TestOtherThings has everything in the directory that is no object.
func TestOtherThings(t *testing.T) {
	s, dir := openDir(t)
	ctx := t.Context()
	outside := filepath.Join(t.TempDir(), "secret")
	for _, err := range []error{
		os.WriteFile(outside, []byte("secret"), 0o600),
		os.Mkdir(filepath.Join(dir, "subdir"), 0o700),
		os.Symlink(outside, filepath.Join(dir, "link")),
		os.Symlink("nowhere", filepath.Join(dir, "dangling")),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		unix.Mknod(filepath.Join(dir, "socket"), unix.S_IFSOCK|0o600, 0),
		os.WriteFile(filepath.Join(dir, store.TempPrefix+"x"), []byte("unfinished"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "object", "x")
	if got := names(t, s); !slices.Equal(got, []string{"object"}) {
		t.Errorf("list shows %q, want the object alone", got)
	}
	for _, name := range []string{"subdir", "link", "dangling", "fifo", "socket"} {
		if _, err := s.Get(ctx, name, 0, -1); !errors.Is(err, store.ErrNotExist) {
			t.Errorf("get %s: error %v, want ErrNotExist", name, err)
		}
		if err := s.Delete(ctx, name); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("delete removed the %s: %v", name, err)
		}
		err := s.Put(ctx, name, store.Bytes([]byte("x")), store.PutOptions{IfAbsent: true})
		if !errors.Is(err, store.ErrExist) {
			t.Errorf("put if absent over the %s: error %v, want ErrExist", name, err)
		}
	}
	put(t, s, "link", "new") // replaces the link, not what it points to
	if b, err := os.ReadFile(outside); err != nil || string(b) != "secret" {
		t.Errorf("file behind the link holds %q, error %v", b, err)
	}
	err := s.Put(ctx, "subdir", store.Bytes([]byte("x")), store.PutOptions{})
	if err == nil {
		t.Error("put over a subdirectory gave no error")
	}
	wantTemps(t, dir, store.TempPrefix+"x")
}

// wantTemps fails the test unless the directory has these temporary files.
func wantTemps(t *testing.T, dir string, want ...string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range es {
		if len(e.Name()) >= len(store.TempPrefix) && e.Name()[:len(store.TempPrefix)] == store.TempPrefix {
			got = append(got, e.Name())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("temporary files %q, want %q", got, want)
	}
}

func TestRemains(t *testing.T) {
	s, dir := openDir(t)
	ctx := t.Context()
	now := time.Now()
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "older": 100 * time.Hour, "new": time.Minute} {
		path := filepath.Join(dir, store.TempPrefix+name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, store.TempPrefix+"dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, s, "object", "x")
	found := make(map[string]int64)
	for o, err := range s.ListRemains(ctx, now.Add(-24*time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		found[o.Name] = o.Size
		for range 2 { // missing the second time
			if err := s.DeleteRemains(ctx, o.Name); err != nil {
				t.Errorf("delete %s: %v", o.Name, err)
			}
		}
	}
	if want := map[string]int64{store.TempPrefix + "old": 3, store.TempPrefix + "older": 5}; !maps.Equal(found, want) {
		t.Errorf("remains %v, want %v", found, want)
	}
	wantTemps(t, dir, store.TempPrefix+"dir", store.TempPrefix+"new")
	if got := names(t, s); !slices.Equal(got, []string{"object"}) {
		t.Errorf("objects %q, want the one there was", got)
	}
}

func TestReaderOutlivesObject(t *testing.T) {
	s, _ := openDir(t)
	put(t, s, "object", "first")
	rc, err := s.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	put(t, s, "object", "second")
	if err := s.Delete(t.Context(), "object"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(rc); err != nil || string(b) != "first" {
		t.Errorf("read %q, error %v; want what was there at the get", b, err)
	}
}

func TestMovedDirectory(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "a")
	s, err := dirstore.Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Rename(dir, filepath.Join(parent, "b")); err != nil {
		t.Fatal(err)
	}
	put(t, s, "object", "x")
	if _, err := os.Stat(filepath.Join(parent, "b", "object")); err != nil {
		t.Error(err)
	}
}

func TestRemovedDirectory(t *testing.T) {
	s, dir := openDir(t)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	err := s.Put(t.Context(), "object", store.Bytes([]byte("x")), store.PutOptions{})
	if !errors.Is(err, store.ErrNotExist) {
		t.Errorf("put into a removed directory: error %v, want ErrNotExist", err)
	}
}

func TestBodyErrorHasNoKind(t *testing.T) {
	s, dir := openDir(t)
	// What went wrong at the source says nothing about the store.
	for _, errno := range []unix.Errno{unix.ENOENT, unix.EACCES, unix.ENOSPC} {
		r := io.MultiReader(bytes.NewReader(make([]byte, 100)), errReader{errno})
		err := s.Put(t.Context(), "object", store.FromReader(r), store.PutOptions{})
		if !errors.Is(err, errno) {
			t.Errorf("put: error %v, want the body's, %v", err, errno)
		}
		for _, kind := range []error{store.ErrNotExist, store.ErrPermission, store.ErrNoSpace} {
			if errors.Is(err, kind) {
				t.Errorf("the body's error %v passes for the store's %q", errno, kind)
			}
		}
	}
	wantTemps(t, dir)
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestNoSpace(t *testing.T) {
	treetest.NeedRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		treetest.Missing(t, "cannot mount a tmpfs: "+err.Error())
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount, which also shows leaked descriptors: %v", err)
		}
	}()
	s := open(t, dir)
	put(t, s, "object", "old")
	for _, name := range []string{"object", "new"} {
		err := s.Put(t.Context(), name, store.Bytes(make([]byte, 2<<20)), store.PutOptions{})
		if !errors.Is(err, store.ErrNoSpace) {
			t.Errorf("put of 2 MiB into 1 MiB: error %v, want ErrNoSpace", err)
		}
	}
	wantTemps(t, dir)
	if b, err := store.ReadAll(t.Context(), s, "object", 100); err != nil || string(b) != "old" {
		t.Errorf("object holds %q after a failed put, error %v; want the old content", b, err)
	}
	if got := names(t, s); !slices.Equal(got, []string{"object"}) {
		t.Errorf("objects %q after failed puts", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	treetest.NeedRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY, "size=1m"); err != nil {
		treetest.Missing(t, "cannot mount a tmpfs: "+err.Error())
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	s := open(t, dir)
	err := s.Put(t.Context(), "object", store.Bytes(nil), store.PutOptions{})
	if !errors.Is(err, store.ErrPermission) {
		t.Errorf("put: error %v, want ErrPermission", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := dirstore.Open(filepath.Join(dir, "new"), true); !errors.Is(err, store.ErrPermission) {
		t.Errorf("open: error %v, want ErrPermission", err)
	}
}

package dirstore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/dirstore"
	"hindsight/chain/store"
)

func TestLinkAbsent(t *testing.T) {
	dir := t.TempDir()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(name, data string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name, data string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(b) != data {
			t.Errorf("%s holds %q, error %v; want %q", name, b, err, data)
		}
	}
	write("temp", "first")
	if err := dirstore.LinkAbsent(int(d.Fd()), "temp", "name"); err != nil {
		t.Fatal(err)
	}
	want("name", "first")
	if _, err := os.Lstat(filepath.Join(dir, "temp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old name is there still: %v", err)
	}
	write("temp", "second")
	if err := dirstore.LinkAbsent(int(d.Fd()), "temp", "name"); !errors.Is(err, unix.EEXIST) {
		t.Errorf("over a file: error %v, want EEXIST", err)
	}
	want("name", "first")
	want("temp", "second")

	// A link whose success was not told, and which is tried again.
	if err := os.Link(filepath.Join(dir, "temp"), filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	if err := dirstore.LinkAbsent(int(d.Fd()), "temp", "linked"); err != nil {
		t.Errorf("over a link to the same file: %v", err)
	}
	want("linked", "second")
}

func TestErrorKinds(t *testing.T) {
	for _, c := range []struct {
		errno unix.Errno
		kind  error
	}{
		{unix.ENOENT, store.ErrNotExist}, {unix.EEXIST, store.ErrExist}, {unix.EACCES, store.ErrPermission},
		{unix.EPERM, store.ErrPermission}, {unix.EROFS, store.ErrPermission}, {unix.ENOSPC, store.ErrNoSpace},
		{unix.EDQUOT, store.ErrNoSpace}, {unix.EIO, nil}, {unix.ENOTDIR, nil},
	} {
		err := dirstore.OpError("put", "object", fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "x", Err: c.errno}))
		for _, kind := range []error{store.ErrNotExist, store.ErrExist, store.ErrPermission, store.ErrNoSpace} {
			if got, want := errors.Is(err, kind), kind == c.kind; got != want {
				t.Errorf("%v is %q: %v, want %v", c.errno, kind, got, want)
			}
		}
		if !errors.Is(err, c.errno) {
			t.Errorf("%v is lost in %v", c.errno, err)
		}
	}
}

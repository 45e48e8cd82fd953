package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/treetest"
)

// acl is an access control list as Linux stores it: owner rw, user 1000 r, group r,
// mask r, others none.
var acl = []byte{
	2, 0, 0, 0,
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
	2, 0, 4, 0, 0xe8, 3, 0, 0,
	4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
}

// extraTree is a source with what archives do not keep: files of two names, one of which
// comes in the second backup, attributes, and times between seconds and before 1970.
type extraTree struct {
	src  string
	acls bool // the file system takes them
}

func newExtraTree(t *testing.T) *extraTree {
	t.Helper()
	x := &extraTree{src: filepath.Join(t.TempDir(), "src")}
	treetest.Write(t, x.src,
		treetest.Dir(""), treetest.File("a", "one"), treetest.Dir("d"), treetest.File("d/large", string(make([]byte, 200_000))), treetest.File("same", "one"))
	x.link(t, "a", "d/a2")
	x.link(t, "d/large", "z-large")
	for path, attrs := range map[string]map[string]string{"a": {"user.k": "v", "user.l": ""}, "d": {"user.dir": "x"}} {
		for name, value := range attrs {
			if err := unix.Setxattr(filepath.Join(x.src, path), name, []byte(value), 0); err != nil {
				t.Fatalf("extended attributes: %v", err)
			}
		}
	}
	x.acls = unix.Setxattr(filepath.Join(x.src, "same"), "system.posix_acl_access", acl, 0) == nil
	t.Logf("access control lists: %v", x.acls)
	x.touch(t, "a", time.Unix(1_600_000_000, 123_456_789))
	x.touch(t, "d/large", time.Unix(-86_400, 5))
	x.touch(t, "d", time.Unix(1_600_000_001, 999_999_999))
	return x
}

func (x *extraTree) link(t *testing.T, old, name string) {
	t.Helper()
	if err := os.Link(filepath.Join(x.src, old), filepath.Join(x.src, name)); err != nil {
		t.Fatal(err)
	}
}

func (x *extraTree) touch(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(filepath.Join(x.src, path), at, at); err != nil {
		t.Fatal(err)
	}
}

// stat is what a path of a tree has.
func stat(t *testing.T, dir, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(dir, path), &st); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return st
}

func xattr(dir, path, name string) (string, bool) {
	buf := make([]byte, 1000)
	n, err := unix.Lgetxattr(filepath.Join(dir, path), name, buf)
	return string(buf[:max(n, 0)]), err == nil
}

// TestExtras backs up and restores what only portable indexes keep.
func TestExtras(t *testing.T) {
	treetest.NeedRoot(t)
	x, w := newExtraTree(t), newWorld(t)
	repo := filepath.Join(t.TempDir(), "repo")
	backup := func(at string) {
		t.Helper()
		w.run(t, "backup", "--no-encryption", "--current-time", at, x.src, repo).exit(t, 0)
	}
	backup("1700000000")
	x.link(t, "a", "z-a3") // the inode's other names do not change
	backup("1700000100")

	out := filepath.Join(t.TempDir(), "out")
	w.run(t, "restore", "--no-encryption", repo, out).exit(t, 0)
	for _, path := range []string{"a", "d", "d/large", "d/a2", "same", "z-a3", "z-large"} {
		got, want := stat(t, out, path), stat(t, x.src, path)
		if got.Mtim != want.Mtim {
			t.Errorf("%s: time %v, want %v", path, got.Mtim, want.Mtim)
		}
	}
	for _, names := range [][]string{{"a", "d/a2", "z-a3"}, {"d/large", "z-large"}} {
		for _, name := range names[1:] {
			if stat(t, out, name).Ino != stat(t, out, names[0]).Ino {
				t.Errorf("%s is not %s", name, names[0])
			}
		}
		if n := int(stat(t, out, names[0]).Nlink); n != len(names) {
			t.Errorf("%s has %d names, want %d", names[0], n, len(names))
		}
	}
	if stat(t, out, "same").Nlink != 1 {
		t.Error("a file with the same content became a link")
	}
	wantAttr := func(dir, path, name, want string, there bool) {
		t.Helper()
		if got, ok := xattr(dir, path, name); ok != there || got != want {
			t.Errorf("%s: %s is %q, %v; want %q, %v", path, name, got, ok, want, there)
		}
	}
	wantAttr(out, "a", "user.k", "v", true)
	wantAttr(out, "a", "user.l", "", true)
	wantAttr(out, "d", "user.dir", "x", true)
	if x.acls {
		wantAttr(out, "same", "system.posix_acl_access", string(acl), true)
	}
	if left, _ := filepath.Glob(filepath.Join(out, ".hindsight-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}

	left := filepath.Join(t.TempDir(), "left")
	w.run(t, "restore", "--no-encryption", "--no-xattrs", "--no-acls", "--no-hard-links", "--no-exact-times", repo, left).exit(t, 0)
	plain := func(dir string) {
		t.Helper()
		wantAttr(dir, "a", "user.k", "", false)
		if _, ok := xattr(dir, "same", "system.posix_acl_access"); ok {
			t.Error("there is an access control list")
		}
		if st := stat(t, dir, "a"); st.Nlink != 1 || st.Mtim.Nsec != 0 || st.Mtim.Sec != 1_600_000_000 {
			t.Errorf("a has %d names and time %v", st.Nlink, st.Mtim)
		}
		if st := stat(t, dir, "d/large"); st.Mtim.Sec != 0 {
			t.Errorf("a time before 1970 is %v, want 0 as duplicity has it", st.Mtim)
		}
	}
	plain(left)

	// Renamed and alone.
	part := filepath.Join(t.TempDir(), "part")
	w.run(t, "restore", "--no-encryption", "-r", "d", "--rename", "a2", "b2", repo, part).exit(t, 0)
	if stat(t, part, "b2").Mtim != stat(t, x.src, "a").Mtim {
		t.Error("a renamed file lost its time")
	}
	wantAttr(part, "b2", "user.k", "v", true)

	// Damaged or lost, the index is missed and nothing else is.
	indexes, err := filepath.Glob(filepath.Join(repo, "hindsight-toc.*"))
	if err != nil || len(indexes) != 2 {
		t.Fatalf("%q, %v", indexes, err)
	}
	for _, name := range indexes {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Clone(data)
		data[len(data)/2] ^= 1
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bare := newWorld(t) // with no copy in its cache
	damaged := filepath.Join(t.TempDir(), "damaged")
	bare.run(t, "restore", "--no-encryption", repo, damaged).exit(t, 0)
	plain(damaged)
}

package fusefs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/fusefs"
)

// history is a model of some days of a random tree, and a plain copy of each day.
func history(t testing.TB, seed uint64, days int) (m *model, copies []string) {
	t.Helper()
	rng := treetest.Rand(t, seed)
	src := filepath.Join(t.TempDir(), "src")
	opts := treetest.RandomOptions{Nodes: 120, OddNames: true, Special: true, Owners: true}
	treetest.Random(t, src, rng, opts)
	m = newModel()
	for day := range days {
		if day > 0 {
			treetest.Mutate(t, src, rng, treetest.BaseTime+int64(day)*1000, 12, opts)
		}
		dst := filepath.Join(t.TempDir(), "copy")
		sh(t, "/", `cp -a "$1" "$2"`, src, dst)
		m.add(t, src, first+naming.Time(day)*86400)
		copies = append(copies, dst)
	}
	return m, copies
}

func dateName(day int) string { return fmt.Sprintf("2026-11-%02dT030000Z", 20+day) }

func TestTrees(t *testing.T) {
	treetest.NeedRoot(t)
	seeds := uint64(3)
	if treetest.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m, copies := history(t, seed, 3)
			dir, _ := mounted(t, m, fusefs.Options{})
			for day, dst := range copies {
				want := treetest.Record(t, dst)
				for range 2 { // the second time from the kernel's cache
					treetest.Equal(t, scan(t, filepath.Join(dir, dateName(day))), want, treetest.Options{Nanoseconds: true})
				}
			}
		})
	}
}

func TestTreeAtRoot(t *testing.T) {
	m, copies := history(t, 7, 2)
	dir, _ := mounted(t, m, fusefs.Options{Snapshot: 1})
	treetest.Equal(t, scan(t, dir), treetest.Record(t, copies[0]), treetest.Options{Nanoseconds: true})
	if out, err := trySh(dir, "ls -d .versions latest"); err == nil {
		t.Errorf("a single snapshot shows %s", out)
	}
}

// TestTools runs what people run, on the mount and on a plain copy.
func TestTools(t *testing.T) {
	treetest.NeedRoot(t)
	treetest.NeedTool(t, "rsync")
	m, copies := history(t, 11, 2)
	for p := range m.snaps[1].entries { // sizes come to light as tools ask
		m.hidden[p] = true
	}
	dir, _ := mounted(t, m, fusefs.Options{})
	day := filepath.Join(dir, dateName(1))
	for _, script := range []string{
		"find . -mindepth 1 -printf '%P %y %m %U %G %T@ %l\\n' | sort",
		"find . -type f -printf '%P %s\\n' | sort",
		"find . -type f -size +10k | sort",
		"LC_ALL=C ls -AlR --time-style=full-iso | grep -v ^total | grep -v ^d",
		"tar c --sort=name --format=pax --pax-option=delete=atime,delete=ctime . | sha256sum",
		"find . -type f -exec sha256sum {} + | sort",
		"find . -type f -printf '%s\\n' | awk '{s+=$1} END {print s}'",
		"grep -raDskip -c e . | sort",
		"find . -type f -exec du --apparent-size -b {} + | sort",
	} {
		if got, want := sh(t, day, script), sh(t, copies[1], script); got != want {
			t.Errorf("%s\ngot:\n%s\nwant:\n%s", script, got, want)
		}
	}
	if out := sh(t, "/", `rsync -anci --delete "$1/" "$2/"`, day, copies[1]); out != "" {
		t.Errorf("rsync -anci sees differences:\n%s", out)
	}
	if out := sh(t, "/", `diff -r --no-dereference "$1" "$2" 2>&1 | grep -v 'is a .* while file' || true`, day, copies[1]); out != "" {
		t.Errorf("diff -r sees differences:\n%s", out)
	}
	dst := filepath.Join(t.TempDir(), "copied")
	sh(t, "/", `cp -a "$1" "$2"`, day, dst)
	treetest.Equal(t, treetest.Record(t, dst), treetest.Record(t, copies[1]), treetest.Options{Nanoseconds: true})
}

// TestDiskUsage compares what du adds up with the sizes, in sectors.
func TestDiskUsage(t *testing.T) {
	m := newModel()
	src := t.TempDir()
	treetest.Write(t, src, treetest.File("a", strings.Repeat("x", 512)), treetest.File("b", strings.Repeat("x", 513)),
		treetest.File("d/c", ""), treetest.File("d/e", strings.Repeat("x", 5000)))
	m.add(t, src, first)
	dir, _ := mounted(t, m, fusefs.Options{})
	if got := sh(t, filepath.Join(dir, dateName(0)), "du -B512 -s ."); got != "13\t." { // 1+2+10 sectors
		t.Errorf("du: %q", got)
	}
	if got, want := sh(t, dir, `stat -fc '%S %b %f %c %l' latest/`), "4096 2 0 6 255"; got != want {
		t.Errorf("statfs: %s, want %s", got, want)
	}
}

func TestHardLinks(t *testing.T) {
	m := newModel()
	src := t.TempDir()
	treetest.Write(t, src, treetest.File("a", "linked"), treetest.HardLink("d/b", "a"), treetest.File("c", "alone"))
	m.add(t, src, first)
	treetest.Write(t, src, treetest.File("new", "other"))
	m.add(t, src, first+86400)
	dir, _ := mounted(t, m, fusefs.Options{})
	stat := func(p string) string { return sh(t, filepath.Join(dir, p), "stat -c '%i %h' a d/b c") }
	for _, day := range []string{dateName(0), dateName(1)} {
		lines := strings.Split(stat(day), "\n")
		if lines[0] != lines[1] || !strings.HasSuffix(lines[0], " 2") || !strings.HasSuffix(lines[2], " 1") {
			t.Errorf("%s: inodes and links %q", day, lines)
		}
	}
	a, b := strings.Split(stat(dateName(0)), "\n"), strings.Split(stat(dateName(1)), "\n")
	if a[0] == b[0] {
		t.Error("links of two snapshots have the same inode")
	}
	if a[2] != b[2] {
		t.Errorf("a file that did not change has inodes %s and %s", a[2], b[2])
	}
	out := sh(t, filepath.Join(dir, dateName(1)), "tar c . | tar tv | grep -c 'link to'")
	if out != "1" {
		t.Errorf("tar saw %s links", out)
	}
}

// TestLargeDirectory reads a directory in many requests, and seeks in it.
func TestLargeDirectory(t *testing.T) {
	src := t.TempDir()
	var nodes []treetest.Node
	for i := range 3000 {
		nodes = append(nodes, treetest.File(fmt.Sprintf("d/%s-%d", strings.Repeat("n", i%90), i), ""))
	}
	treetest.Write(t, src, nodes...)
	m := newModel()
	m.add(t, src, first)
	dir, _ := mounted(t, m, fusefs.Options{})
	for _, script := range []string{"ls -1U d | sort | sha256sum", "ls -lU --time-style=+ d | wc -l", "ls -1U d | uniq -d | wc -l"} {
		if got, want := sh(t, filepath.Join(dir, dateName(0)), script), sh(t, src, script); got != want {
			t.Errorf("%s: got %s, want %s", script, got, want)
		}
	}
	seek := `import os, ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("len", ctypes.c_uint16), ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.telldir): f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
d = libc.opendir(b"d")
names, places = [], [libc.telldir(d)]
while True:
    e = libc.readdir(d)
    if not e: break
    names.append(e.contents.name); places.append(libc.telldir(d))
for i in (2000, 17, 2999, 0, 1500, len(names) - 1):
    libc.seekdir(d, places[i])
    got = libc.readdir(d).contents.name
    assert got == names[i], (i, got, names[i])
print(len(names))`
	treetest.NeedTool(t, "python3")
	if got := sh(t, filepath.Join(dir, dateName(0)), `python3 -c "$1"`, seek); got != "3002" {
		t.Errorf("readdir gave %s names", got)
	}
}

func TestOwners(t *testing.T) {
	treetest.NeedRoot(t)
	src := t.TempDir()
	treetest.Write(t, src, treetest.Dir("").Perm(0o755), treetest.File("secret", "s").Owner(1000, 1000).Perm(0o600))
	// as user 1234, who is neither root nor the owner
	as := func(dir string) (string, error) {
		return trySh(filepath.Dir(dir), `setpriv --reuid 1234 --regid 1234 --clear-groups cat "$1/secret"`, filepath.Join(dir, dateName(0)))
	}
	open := func(opt fusefs.Options) string {
		m := newModel()
		m.add(t, src, first)
		dir, _ := mounted(t, m, opt)
		reachable(t, dir)
		return dir
	}
	dir := open(fusefs.Options{AllowOther: true})
	if out, err := as(dir); err == nil {
		t.Errorf("a stranger reads %q", out)
	}
	if got := sh(t, dir, "stat -c %U:%G:%a latest/secret"); !strings.HasSuffix(got, ":600") || strings.Contains(got, "root") {
		t.Errorf("owner and mode %s", got)
	}
	dir = open(fusefs.Options{AllowOther: true, NoDefaultPermissions: true})
	if out, err := as(dir); err != nil || out != "s" {
		t.Errorf("without permissions: %q, %v", out, err)
	}
	dir = open(fusefs.Options{})
	if out, err := as(dir); err == nil {
		t.Errorf("another user comes in and reads %q", out)
	}
	dir = open(fusefs.Options{OwnerRoot: true})
	if got := sh(t, dir, "stat -c %u:%g:%a latest/secret"); got != "0:0:600" {
		t.Errorf("owner and mode %s", got)
	}
}

// reachable lets everybody come to a temporary directory.
func reachable(t *testing.T, dir string) {
	t.Helper()
	for d := filepath.Dir(dir); d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

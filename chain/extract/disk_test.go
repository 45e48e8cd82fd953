package extract_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
	"hindsight/chain/dirstore"
	"hindsight/chain/extract"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// single is an archive of one file as the root.
func single(t *testing.T, data string) *archive {
	a := newArchive()
	a.rawSet(t, 0, rawVolume{tar: tarOf(t, rawFile("", data))})
	return a
}

// TestTargets extracts a single file and a tree to targets of many kinds.
func TestTargets(t *testing.T) {
	tree := newArchive()
	tree.rawSet(t, 0, rawVolume{end: "z", tar: tarOf(t, rawDir(""), rawFile("z", "z"))})
	for name, tt := range map[string]struct {
		make  func(dir string) string // makes what is there, returns the target
		disk  extract.DiskOptions
		file  bool // a file comes through as the root
		tree  bool // a tree does
		error bool // not even a run
	}{
		"missing":             {make: func(d string) string { return d + "/new/deep/target" }, file: true, tree: true},
		"empty directory":     {make: func(d string) string { os.Mkdir(d+"/t", 0o755); return d + "/t" }, file: true, tree: true},
		"slash at the end":    {make: func(d string) string { return d + "/t/" }, file: true, tree: true},
		"file":                {make: func(d string) string { os.WriteFile(d+"/t", nil, 0o644); return d + "/t" }, file: true},
		"file, replaced":      {make: func(d string) string { os.WriteFile(d+"/t", nil, 0o644); return d + "/t" }, disk: extract.DiskOptions{Replace: true}, file: true, tree: true},
		"full directory":      {make: func(d string) string { os.MkdirAll(d+"/t/old", 0o755); return d + "/t" }, tree: true},
		"link to a directory": {make: func(d string) string { os.Mkdir(d+"/real", 0o755); os.Symlink("real", d+"/t"); return d + "/t" }, file: true, tree: true},
		"link to nothing":     {make: func(d string) string { os.Symlink("nothing", d+"/t"); return d + "/t" }, file: true},
		"below a file":        {make: func(d string) string { os.WriteFile(d+"/f", nil, 0o644); return d + "/f/t" }, error: true},
	} {
		for _, file := range []bool{true, false} {
			target := tt.make(t.TempDir())
			clean := filepath.Clean(target)
			if tt.error {
				if _, err := extract.NewDisk(target, tt.disk); err == nil {
					t.Errorf("%s: no error", name)
				}
				continue
			}
			a, want, at := tree, tt.tree, filepath.Join(clean, "z")
			if file {
				a, want, at = single(t, "z"), tt.file, clean
			}
			x := a.extractTo(t, target, 0, extract.Options{}, tt.disk)
			data, err := os.ReadFile(at)
			if x.err != nil || want != (len(x.lost) == 0) || want != (err == nil && string(data) == "z") {
				t.Errorf("%s, file %v: error %v, lost %v, %q, %v", name, file, x.err, x.lost, data, err)
			}
		}
	}
}

// TestTargetRoot cannot make a file of the root directory.
func TestTargetRoot(t *testing.T) {
	disk, err := extract.NewDisk("/", extract.DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	a := single(t, "z")
	res, err := extract.Run(t.Context(), extract.Options{Repository: a.repo, Sets: a.sets(t, 0), Sink: disk})
	if err != nil || res.Lost != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if left, _ := filepath.Glob("/" + extract.TempPrefix + "*"); len(left) > 0 {
		t.Errorf("%q stays", left)
	}
}

// TestLongNames has names and paths as long as can be, and longer.
func TestLongNames(t *testing.T) {
	deep := strings.TrimSuffix(strings.Repeat(strings.Repeat("d", 200)+"/", 100), "/")
	a := newArchive()
	n255, n256 := strings.Repeat("n", 255), strings.Repeat("n", 256)
	very := strings.TrimSuffix(strings.Repeat("v/", 20_000), "/")
	a.rawSet(t, 0, rawVolume{end: "zz", tar: tarOf(t, rawDir(""), rawFile(deep, "deep"), rawFile(n255, "255"), rawFile(n256, "256"), rawFile(very, "very"), rawFile("z", "z"))})
	target, disk := newTarget(t)
	lost := make(map[string]error)
	_, err := extract.Run(t.Context(), extract.Options{
		Repository: a.repo, Sets: a.sets(t, 0), Sink: disk, Lost: func(path string, err error) { lost[path] = err },
	})
	if err != nil || len(lost) != 2 || !errors.Is(lost[n256], unix.ENAMETOOLONG) || !errors.Is(lost[very], unix.ENAMETOOLONG) {
		t.Fatalf("%v, %d lost", err, len(lost))
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		t.Fatal(err)
	}
	for {
		dir, rest, more := strings.Cut(deep, "/")
		if !more {
			break
		}
		next, err := root.OpenRoot(dir)
		root.Close()
		if err != nil {
			t.Fatal(err)
		}
		root, deep = next, rest
	}
	defer root.Close()
	if data, err := root.ReadFile(deep); err != nil || string(data) != "deep" {
		t.Errorf("deep: %q, %v", data, err)
	}
	if data, err := os.ReadFile(filepath.Join(target, n255)); err != nil || string(data) != "255" {
		t.Errorf("255 bytes: %q, %v", data, err)
	}
}

// TestInTheWay extracts onto a tree that has other things in the places of things.
func TestInTheWay(t *testing.T) {
	a := newArchive()
	a.rawSet(t, 0, rawVolume{end: "z", tar: tarOf(t, rawDir(""), rawFile("a", "new"), rawDir("b"), rawFile("b/f", "new"), rawFile("c", "new"), rawLink("d", "to"), rawFile("e/f", "new"))})
	fill := func(target string) {
		treetest.Write(t, target, treetest.Dir("a"), treetest.File("b", "old"), treetest.File("c", "old"), treetest.File("d", "old"),
			treetest.Fifo("e"), treetest.File("keep", "mine"))
	}
	target := filepath.Join(t.TempDir(), "target")
	fill(target)
	x := a.extractTo(t, target, 0, extract.Options{}, extract.DiskOptions{})
	if got := sortedPaths(x.lost); x.err != nil || strings.Join(got, " ") != "a b b/f e/f" {
		t.Errorf("%v, lost %q", x.err, got)
	}
	for p, err := range x.lost {
		if !errors.Is(err, extract.ErrTarget) {
			t.Errorf("%s: %v is no fault of the target", p, err)
		}
	}
	if got := fmt.Sprint(x.lost["a"]); got != "a directory is in the way" {
		t.Errorf("a: %s", got)
	}
	target = filepath.Join(t.TempDir(), "target")
	fill(target)
	x = a.extractTo(t, target, 0, extract.Options{}, extract.DiskOptions{Replace: true})
	if x.err != nil || len(x.lost) > 0 {
		t.Errorf("%v, lost %v", x.err, x.lost)
	}
	for _, p := range []string{"a", "b/f", "c", "e/f"} {
		if data, err := os.ReadFile(filepath.Join(target, p)); string(data) != "new" {
			t.Errorf("%s: %q, %v", p, data, err)
		}
	}
	if data, _ := os.ReadFile(filepath.Join(target, "keep")); string(data) != "mine" {
		t.Errorf("keep is %q", data)
	}
	os.Remove(filepath.Join(target, "a"))
	treetest.Write(t, target, treetest.File("a/inner", "mine"))
	x = a.extractTo(t, target, 0, extract.Options{}, extract.DiskOptions{Replace: true})
	err := x.lost["a"]
	if len(x.lost) != 1 || !errors.Is(err, extract.ErrTarget) || err.Error() != "a directory that is not empty is in the way" {
		t.Errorf("a file for a full directory: lost %v", x.lost)
	}
	if data, _ := os.ReadFile(filepath.Join(target, "a/inner")); string(data) != "mine" {
		t.Errorf("a/inner is %q", data)
	}
}

// TestStaleRemains restores twice to one target: what looks like the remains of a
// killed restore goes, with Replace and where a directory is opened, and only that.
func TestStaleRemains(t *testing.T) {
	a := newArchive()
	a.rawSet(t, 0, rawVolume{end: "z", tar: tarOf(t, rawDir(""), rawFile("a", "new"), rawDir("b"), rawFile("b/f", "new"))})
	const tag = extract.TempPrefix + "0123456789ab-"
	stale := []string{tag + "1", "b/" + tag + "zz", "b/" + tag + "object-2"}
	mine := []string{"b/" + extract.TempPrefix + "mine", "b/" + tag, "b/x" + tag + "1", "other/" + tag + "1"}
	for _, replace := range []bool{true, false} {
		target := filepath.Join(t.TempDir(), "target")
		for _, p := range append(slices.Clone(stale), mine...) {
			treetest.Write(t, target, treetest.File(p, "x"))
		}
		treetest.Write(t, target, treetest.Dir("b/"+tag+"3"), treetest.Symlink("b/"+tag+"4", "to"))
		time.Sleep(20 * time.Millisecond) // the clock of a file system is a coarse one
		disk, err := extract.NewDisk(target, extract.DiskOptions{Replace: replace})
		if err != nil {
			t.Fatal(err)
		}
		late := filepath.Join(target, "b", tag+"late")
		time.Sleep(20 * time.Millisecond)
		if err := os.WriteFile(late, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		res, err := extract.Run(t.Context(), extract.Options{Repository: a.repo, Sets: a.sets(t, 0), Sink: disk})
		if err != nil || res.Files != 2 || disk.Close() != nil {
			t.Fatalf("%+v, %v", res, err)
		}
		for _, p := range stale {
			if _, err := os.Lstat(filepath.Join(target, p)); (err == nil) == replace {
				t.Errorf("replace %v: %s: %v", replace, p, err)
			}
		}
		for _, p := range append(slices.Clone(mine), "b/"+tag+"3", "b/"+tag+"4", "b/"+tag+"late") {
			if _, err := os.Lstat(filepath.Join(target, p)); err != nil {
				t.Errorf("replace %v: %v", replace, err)
			}
		}
	}
}

// TestModes has every way in which owner and mode of a small file can come about.
func TestModes(t *testing.T) {
	treetest.NeedRoot(t)
	var entries []rawEntry
	var want treetest.Tree
	add := func(e rawEntry) {
		entries = append(entries, e)
		st := state{meta: e.Meta, data: e.data}
		want = append(want, st.entry(e.Path))
	}
	add(rawDir(""))
	for d, dirMode := range []uint32{0o755, 0o2775, 0o500, 0o1777} {
		dir := rawDir(fmt.Sprintf("d%d", d))
		dir.Mode, dir.GID = dirMode, int64(d)*100
		add(dir)
		for i, mode := range []uint32{0, 0o200, 0o400, 0o600, 0o644, 0o666, 0o755, 0o777, 0o4755, 0o2755, 0o1644, 0o6777} {
			for owner := range int64(3) {
				e := rawFile(fmt.Sprintf("%s/%02d%d", dir.Path, i, owner), "x")
				e.Mode, e.UID, e.GID = mode, owner/2*1000, owner*100
				add(e)
			}
		}
	}
	a := newArchive()
	a.rawSet(t, 0, rawVolume{end: "z", tar: tarOf(t, entries...)})
	for _, tt := range []struct {
		name string
		dir  func(target string)
	}{
		{"new", func(string) {}},
		{"set-group-id", func(target string) {
			os.Mkdir(target, 0o755)
			os.Chown(target, 0, 4321)
			os.Chmod(target, 0o755|os.ModeSetgid)
			os.Mkdir(target+"/d1", 0o755)
			os.Mkdir(target+"/d2", 0o777)
		}},
		{"default ACL", func(target string) {
			os.Mkdir(target, 0o755)
			// version 2; user::rwx user:1:rwx group::--- mask::rwx other::---
			acl := "\x02\x00\x00\x00" + "\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\x01\x00\x00\x00" +
				"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
			if err := unix.Setxattr(target, "system.posix_acl_default", []byte(acl), 0); err != nil {
				treetest.Missing(t, "no ACLs here: "+err.Error())
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, mask := range []int{0o022, 0o077, 0} {
				target := filepath.Join(t.TempDir(), "target")
				old := syscall.Umask(mask) // of the whole process: these tests run one at a time
				tt.dir(target)
				x := a.extractTo(t, target, 0, extract.Options{Jobs: 2}, extract.DiskOptions{})
				syscall.Umask(old)
				x.equal(t, want)
			}
		})
	}
	t.Run("owners left alone", func(t *testing.T) {
		x := a.extractTo(t, filepath.Join(t.TempDir(), "target"), 0, extract.Options{}, extract.DiskOptions{NoOwnership: true})
		if x.err != nil || len(x.lost) > 0 {
			t.Fatalf("%v, %v", x.err, x.lost)
		}
		for _, e := range treetest.Record(t, x.target) {
			w, _ := want.Lookup(e.Path)
			mode := w.Mode
			if w.Type == treetest.TypeFile && w.UID != 0 {
				mode &^= 0o4000
			}
			if w.Type == treetest.TypeFile && w.GID != 0 {
				mode &^= 0o2000
			}
			if e.UID != 0 || e.GID != 0 || e.Mode != mode {
				t.Errorf("%s: owner %d:%d, mode %o, want %o", e.Path, e.UID, e.GID, e.Mode, mode)
			}
		}
	})
}

// A fifo's name may lead elsewhere by the time that it gets its mode: in a directory of
// somebody who would like root to open another file for him.
func TestModeOfLink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("victim", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := extract.SetMode(int(d.Fd()), "link", 0o666); err == nil {
		t.Error("the mode of a link was set")
	}
	if fi, err := os.Stat(victim); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("what the link leads to: %v, %v", fi.Mode(), err)
	}
	if err := extract.SetMode(int(d.Fd()), "fifo", 0o640); err != nil {
		t.Error(err)
	}
	if fi, err := os.Lstat(filepath.Join(dir, "fifo")); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("the fifo: %v, %v", fi.Mode(), err)
	}
}

// TestOwners has owners that no system has.
func TestOwners(t *testing.T) {
	treetest.NeedRoot(t)
	var entries []rawEntry
	for i, id := range []int64{1<<32 - 1, 1 << 32, 1<<63 - 1, 1<<32 - 2} {
		e := rawFile(fmt.Sprint(i), "x")
		e.UID, e.GID, e.Mode = id, id, 0o6755
		entries = append(entries, e)
	}
	a := newArchive()
	a.rawSet(t, 0, rawVolume{end: "z", tar: tarOf(t, entries...)})
	var notes []string
	x := a.extractTo(t, filepath.Join(t.TempDir(), "target"), 0, extract.Options{}, extract.DiskOptions{Note: func(s string) { notes = append(notes, s) }})
	if x.err != nil || len(x.lost) > 0 || len(notes) != 1 {
		t.Fatalf("%v, lost %v, notes %q", x.err, x.lost, notes)
	}
	for _, e := range treetest.Record(t, x.target) {
		switch {
		case e.Type == treetest.TypeDir:
		case e.Path == "3":
			if e.UID != 1<<32-2 || e.Mode != 0o6755 {
				t.Errorf("%+v", e)
			}
		case e.Mode != 0o755 || e.UID != 0:
			t.Errorf("%s: owner %d, mode %o", e.Path, e.UID, e.Mode)
		}
	}
}

// childEnv makes the test binary the child of TestNotRoot.
const childEnv = "HINDSIGHT_TEST_CHILD"

// TestNotRoot extracts as an ordinary user: everything but devices comes back, and
// they and the owners are spoken of once.
func TestNotRoot(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		extractAsChild(t, dir)
		return
	}
	treetest.NeedRoot(t)
	dir, err := os.MkdirTemp("/tmp", "hindsight-user-") // t.TempDir is for root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o777)
	st, err := dirstore.Open(filepath.Join(dir, "repo"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	os.Chmod(filepath.Join(dir, "repo"), 0o777)
	own := rawFile("own", "own")
	own.UID, own.GID, own.Mode = 1000, 1000, 0o4755
	other := rawFile("other", "other")
	other.UID, other.GID, other.Mode = 7, 7, 0o6755
	closed := rawDir("closed")
	closed.Mode = 0o500
	device := raw(difftar.Snapshot, difftar.CharDevice, "dev", "")
	device.Major, device.Minor = 1, 3
	a := newArchive()
	a.rawSet(t, 0, rawVolume{end: "z", tar: tarOf(t, rawDir(""), closed, rawFile("closed/f", "f"), device, raw(difftar.Snapshot, difftar.Fifo, "fifo", ""), rawLink("link", "to"), other, own)})
	for _, name := range a.mem.Names() {
		data, _ := store.ReadAll(t.Context(), a.mem, name, 1<<20)
		if err := st.Put(t.Context(), name, store.Bytes(data), store.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		os.Chmod(filepath.Join(dir, "repo", name), 0o666)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test"), self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.run=^TestNotRoot$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, "TMPDIR="+dir, "GOCOVERDIR="+dir)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func extractAsChild(t *testing.T, dir string) {
	st, err := dirstore.Open(filepath.Join(dir, "repo"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	a := newArchive()
	a.repo.Store = st
	var notes []string
	x := a.extractTo(t, filepath.Join(dir, "out", "target"), 0, extract.Options{}, extract.DiskOptions{Note: func(s string) { notes = append(notes, s) }})
	if x.err != nil || len(x.lost) > 0 || x.result.Lost > 0 {
		t.Fatalf("%v, lost %v", x.err, x.lost)
	}
	slices.Sort(notes)
	if want := []string{"devices are not restored: that needs root", "owners are not restored: that needs root"}; !slices.Equal(notes, want) {
		t.Errorf("notes %q", notes)
	}
	got := treetest.Record(t, x.target)
	modes := map[string]uint32{"": 0o755, "closed": 0o500, "closed/f": 0o644, "fifo": 0o644, "link": 0o777, "other": 0o755, "own": 0o4755}
	for _, e := range got {
		want, ok := modes[e.Path]
		if !ok || e.Mode != want || e.UID != 1000 {
			t.Errorf("%q: owner %d, mode %o, want %o", e.Path, e.UID, e.Mode, want)
		}
	}
	if len(got) != len(modes) {
		t.Errorf("%d paths, want %d", len(got), len(modes))
	}
}

// failSink is a Sink whose n-th call fails, and every one after it.
type failSink struct {
	extract.Sink
	left func() bool
	err  error
}

func (s failSink) WriteFile(h extract.Handle, path string, m *difftar.Meta, data []byte) error {
	if !s.left() {
		return s.err
	}
	return s.Sink.WriteFile(h, path, m, data)
}

func (s failSink) Create(h extract.Handle, path string) error {
	if !s.left() {
		return s.err
	}
	return s.Sink.Create(h, path)
}

func (s failSink) WriteAt(h extract.Handle, path string, p []byte, off int64) error {
	if !s.left() {
		return s.err
	}
	return s.Sink.WriteAt(h, path, p, off)
}

func (s failSink) Finish(h extract.Handle, path string, m *difftar.Meta) error {
	if !s.left() {
		return s.err
	}
	return s.Sink.Finish(h, path, m)
}

func (s failSink) Commit(h extract.Handle, path string) error {
	if !s.left() {
		return s.err
	}
	return s.Sink.Commit(h, path)
}

func (s failSink) DirMeta(path string, m *difftar.Meta, ifExists bool) error {
	if !s.left() {
		return s.err
	}
	return s.Sink.DirMeta(path, m, ifExists)
}

var errDisk = errors.New("the disk is gone")

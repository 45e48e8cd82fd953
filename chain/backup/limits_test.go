package backup_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/source"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// TestLittleMemory backs up files that each want more memory than there is: many
// large ones at once, and with large old signatures.
func TestLittleMemory(t *testing.T) {
	rng := treetest.Rand(t, 11)
	src := filepath.Join(t.TempDir(), "src")
	var nodes []treetest.Node
	contents := map[string][]byte{"huge": treetest.Content(rng, 12<<20)}
	for _, name := range []string{"a", "b", "c", "x", "y", "z"} {
		contents[name] = treetest.Content(rng, 600_000+rng.Int64N(900_000))
	}
	write := func(at int64) treetest.Tree {
		nodes = nodes[:0]
		for name, b := range contents {
			b[len(b)/2]++
			nodes = append(nodes, treetest.File(name, string(b)).At(at))
		}
		treetest.Write(t, src, append(nodes, treetest.Dir("").At(at))...)
		return treetest.Record(t, src)
	}
	for _, c := range []struct {
		memory int64
		whole  bool // "huge" is stored whole, for its signature is too large
	}{{256 << 10, true}, {1 << 20, false}, {64 << 20, false}} {
		if treetest.Short() && c.memory != 256<<10 {
			continue
		}
		p := placeOn(t, storetest.NewMem(), storetest.NewMem())
		p.format = codec.Format{}
		want := write(t0 - 500)
		// In short blocks, as duplicity 0.8 has them, so that signatures are large.
		p.backup(t, src, t0, backup.Options{MaxBlock: 512})
		p.wantState(t, t0, want)
		want = write(t0 + 500)
		stats := p.backup(t, src, t0+1000, backup.Options{Memory: c.memory, Jobs: 4})
		p.wantState(t, t0+1000, want)
		if whole := stats.RawDeltaSize > int64(len(contents["huge"])); stats.ChangedFiles != int64(len(contents)) || whole != c.whole {
			t.Errorf("%d bytes of memory: %+v", c.memory, stats)
		}
		if stats.ChangedDeltaSize != stats.RawDeltaSize { // only files have changed
			t.Errorf("%d bytes of memory: %+v", c.memory, stats)
		}
		want = write(t0 + 1500)
		stats = p.backup(t, src, t0+2000, backup.Options{Memory: c.memory, Jobs: 4})
		p.wantState(t, t0+2000, want)
		if stats.RawDeltaSize > 1<<20 {
			t.Errorf("%d bytes of memory: the set after has deltas of %d bytes", c.memory, stats.RawDeltaSize)
		}
	}
}

// TestLongPaths: a path that is longer than can be stored is left out with a warning.
func TestLongPaths(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	treetest.Write(t, src, treetest.File("z", "last"))
	dir, err := unix.Open(src, unix.O_DIRECTORY, 0)
	must(t, err)
	name := strings.Repeat("d", 255)
	levels := source.MaxPath/(len(name)+1) + 3
	for range levels {
		must(t, unix.Mkdirat(dir, name, 0o755))
		fd, err := unix.Openat(dir, name, unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(dir))
		dir = fd
	}
	must(t, unix.Close(dir))
	p := placeOn(t, storetest.NewMem(), storetest.NewMem())
	stored := (source.MaxPath + 1) / (len(name) + 1) // levels
	for i, want := range []int{stored + 2, 0} {      // and the root, and z
		w := make(warnings)
		stats := p.backup(t, src, t0+1000*int64(i), backup.Options{Warn: w.warn})
		for path, err := range w {
			if !errors.Is(err, unix.ENAMETOOLONG) || len(path) <= source.MaxPath {
				t.Errorf("path of %d bytes: warning %v", len(path), err)
			}
		}
		if int(stats.DeltaEntries) != want || len(w) == 0 || stats.Errors != int64(len(w)) {
			t.Errorf("set %d: %d entries, want %d; %d warnings and %d errors", i, stats.DeltaEntries, want, len(w), stats.Errors)
		}
	}
	m, err := p.repo.MergeStates(t.Context(), p.load(t).Latest().Sets)
	must(t, err)
	defer m.Close()
	longest, last := 0, ""
	for {
		e, err := m.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		longest, last = max(longest, len(e.Path)), e.Path
	}
	if want := stored*(len(name)+1) - 1; longest != want || last != "z" {
		t.Errorf("the longest path has %d bytes, want %d; the last is %q", longest, want, last)
	}
}

// asNobody runs a test as a user that permissions hold for, in a process of its own.
func asNobody(t *testing.T, test string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hindsight-nobody-") // t.TempDir is closed to others
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chown(dir, 65534, 65534))
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	program := filepath.Join(dir, "program")
	must(t, os.WriteFile(program, self, 0o755))
	cmd := exec.Command(program, "-test.v", "-test.run=^"+test+"$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

// TestUnreadable: what cannot be read stays as it was in the last backup, and what
// can be is backed up.
func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t, "TestUnreadable")
		return
	}
	src := filepath.Join(t.TempDir(), "src")
	shut := []string{"closed", "listable", "secret", "was-dir"}
	open := func() {
		for _, name := range shut {
			must(t, os.Chmod(src+"/"+name, 0o755))
		}
	}
	treetest.Write(t, src, treetest.File("a", "a"), treetest.File("closed/deep/f", "f"), treetest.File("closed/g", "g"),
		treetest.File("listable/f", "f"), treetest.File("listable/g", "g"), treetest.Dir("open/empty"), treetest.File("open/f", "f"),
		treetest.File("secret", "s"), treetest.File("was-dir/f", "f"), treetest.Dir("was-dir"), treetest.File("z", "z"))
	for _, name := range shut[:3] {
		must(t, os.Chmod(src+"/"+name, 0o755))
	}
	p := placeOn(t, storetest.NewMem(), storetest.NewMem())
	p.backup(t, src, t0, backup.Options{})
	before := treetest.Record(t, src)
	p.wantState(t, t0, before)

	must(t, os.RemoveAll(src+"/was-dir"))
	must(t, os.Remove(src+"/z"))
	must(t, os.RemoveAll(src+"/open"))
	must(t, os.Remove(src+"/listable/f")) // nobody can tell that below
	treetest.Write(t, src, treetest.File("a", "changed").At(t0+500), treetest.File("secret", "changed").At(t0+500),
		treetest.File("was-dir", "now a file").At(t0+500), treetest.File("y", "new").At(t0+500), treetest.Dir("").At(t0+500))
	t.Cleanup(open)
	must(t, os.Chmod(src+"/closed", 0o111))
	must(t, os.Chmod(src+"/listable", 0o444))
	must(t, os.Chmod(src+"/secret", 0))
	must(t, os.Chmod(src+"/was-dir", 0))
	w := make(warnings)
	stats := p.backup(t, src, t0+1000, backup.Options{Warn: w.warn})
	for _, path := range []string{"closed", "listable/g", "secret", "was-dir"} {
		if !errors.Is(w[path], os.ErrPermission) {
			t.Errorf("%s: warning %v", path, w[path])
		}
		delete(w, path)
	}
	if len(w) > 0 || stats.Errors != 4 {
		t.Errorf("warnings %v, %d errors", w, stats.Errors)
	}
	open()
	var want treetest.Tree
	for _, e := range treetest.Record(t, src) {
		switch old, _ := before.Lookup(e.Path); e.Path {
		case "secret", "closed/deep", "closed/deep/f", "closed/g", "listable/g":
			e = old
		case "closed":
			e.Mode = 0o111
		case "listable":
			e.Mode = 0o444
		case "was-dir":
			continue
		}
		want = append(want, e)
	}
	target := p.restore(t, t0+1000)
	t.Cleanup(func() { _ = os.Chmod(target+"/closed", 0o755); _ = os.Chmod(target+"/listable", 0o755) })
	must(t, os.Chmod(target+"/closed", 0o755))
	must(t, os.Chmod(target+"/listable", 0o755))
	want[slices.IndexFunc(want, func(e treetest.Entry) bool { return e.Path == "closed" })].Mode = 0o755
	want[slices.IndexFunc(want, func(e treetest.Entry) bool { return e.Path == "listable" })].Mode = 0o755
	treetest.Equal(t, treetest.Record(t, target), want, treetest.AsDuplicity())

	w = make(warnings)
	p.backup(t, src, t0+2000, backup.Options{Warn: w.warn, Set: chain.SetOptions{VolumeSize: 1 << 20}})
	p.wantState(t, t0+2000, treetest.Record(t, src))
}

package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

// withoutTOC is a copy of a repository without portable indexes, as duplicity would
// have written it.
func withoutTOC(t *testing.T, repo string) string {
	t.Helper()
	repo = copyTree(t, repo)
	indexes, err := filepath.Glob(filepath.Join(repo, "hindsight-toc*"))
	if err != nil || len(indexes) == 0 {
		t.Fatalf("no portable indexes: %v", err)
	}
	for _, name := range indexes {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	return repo
}

// restoredState is what a restore with --json says.
func restoredState(t *testing.T, r result) (out restored) {
	t.Helper()
	r.exit(t, 0)
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	return out
}

// TestSoakInPlace changes a restored tree at random and restores onto it, again and again,
// by portable indexes and by signatures.
func TestSoakInPlace(t *testing.T) {
	treetest.Sequential(t) // package extract's tests are for the race detector
	rng := treetest.Rand(t, 81)
	v := newVerifiable(t, rng, "--no-encryption")
	plain := withoutTOC(t, v.repo)
	caches := map[string]string{v.repo: t.TempDir(), plain: t.TempDir()}
	var states []treetest.Tree
	for i := range int64(4) {
		target := filepath.Join(t.TempDir(), "state")
		v.run(t, "restore", "--time", fmt.Sprint(treetest.BaseTime+i*86400+10), v.repo, target).exit(t, 0)
		states = append(states, treetest.Record(t, target))
	}
	target := filepath.Join(t.TempDir(), "target")
	for i := range 3 * rounds(t) {
		repo := []string{v.repo, plain}[i%2]
		at := rng.IntN(4)
		args := []string{
			"restore", "--in-place", "--delete", "--cache-dir", caches[repo],
			"--time", fmt.Sprint(treetest.BaseTime + int64(at)*86400 + 10), repo, target,
		}
		if rng.IntN(3) == 0 {
			args = slices.Insert(args, 1, "--verify-existing")
			flipSilently(t, rng, target)
		}
		r := v.run(t, args...)
		if r.exit(t, 0); strings.Contains(r.stderr, "not deleted") {
			t.Error(r.stderr)
		}
		treetest.Equal(t, treetest.Record(t, target), states[at], treetest.Options{})
		treetest.Mutate(t, target, rng, treetest.BaseTime+20*86400+int64(i), 6, treetest.RandomOptions{MaxSize: 200_000})
		if t.Failed() {
			t.Fatalf("round %d, %q\n%s", i, args, r.stderr)
		}
	}
}

// flipSilently changes a byte of a file, but not its time.
func flipSilently(t *testing.T, rng *rand.Rand, dir string) {
	t.Helper()
	tree, err := treetest.Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := slices.DeleteFunc(tree, func(e treetest.Entry) bool { return e.Type != treetest.TypeFile || e.Size == 0 })
	if len(files) == 0 {
		return
	}
	path := filepath.Join(dir, files[rng.IntN(len(files))].Path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	at := rng.Int64N(info.Size())
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// TestInPlaceReads reads nothing where nothing differs, little where little does, and
// leaves alone what is as it should be.
func TestInPlaceReads(t *testing.T) {
	treetest.Sequential(t)
	rng := treetest.Rand(t, 82)
	v := newVerifiable(t, rng, "--no-encryption")
	target := filepath.Join(t.TempDir(), "target")
	all := restoredState(t, v.run(t, "restore", "--json", v.repo, target))
	inodes := inodesOf(t, target)
	args := []string{"restore", "--json", "--in-place", "--verify-existing", v.repo, target}
	if out := restoredState(t, v.run(t, args...)); out.Read != 0 || out.Files != 0 || out.Kept != all.Files {
		t.Errorf("nothing differs: %+v of %+v", out, all)
	}
	if got := inodesOf(t, target); !slices.Equal(got, inodes) {
		t.Error("files were written again")
	}
	large := filepath.Join(target, "large")
	// Content and metadata are corrected apart.
	if err := os.Chmod(large, 0o604); err != nil {
		t.Fatal(err)
	}
	if out := restoredState(t, v.run(t, args...)); out.Read != 0 || out.Files != 0 {
		t.Errorf("a mode differs: %+v of %+v", out, all)
	}
	if got := inodesOf(t, target); !slices.Equal(got, inodes) {
		t.Error("a file was written again for its mode")
	}
	small := ""
	for _, e := range treetest.Record(t, target) {
		if e.Type == treetest.TypeFile && 0 < e.Size && e.Size < 20_000 {
			small = filepath.Join(target, e.Path)
		}
	}
	if err := os.Remove(small); err != nil {
		t.Fatal(err)
	}
	if out := restoredState(t, v.run(t, args...)); out.Files != 1 || out.Read == 0 || out.Read > all.Read/3 {
		t.Errorf("a file is missing: %+v of %+v", out, all)
	}
	treetest.Equal(t, treetest.Record(t, target), treetest.Record(t, v.src), treetest.Options{})
	one := filepath.Join(t.TempDir(), "one")
	rel, _ := filepath.Rel(target, small)
	if out := restoredState(t, v.run(t, "restore", "--json", "-r", rel, v.repo, one)); out.Files != 1 || out.Read > all.Read/3 {
		t.Errorf("one path: %+v of %+v", out, all)
	}
}

// inodesOf are the inode numbers of all files.
func inodesOf(t *testing.T, dir string) (list []uint64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		list = append(list, st.Ino)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestSoakRestoreKilled kills restores onto an older state at random moments: no file is
// ever half under its name, and the last one, which is left alone, ends with exactly
// what it should.
func TestSoakRestoreKilled(t *testing.T) {
	treetest.Sequential(t)
	rng := treetest.Rand(t, 83)
	v := newVerifiable(t, rng, "--no-encryption")
	p := newProgram(t)
	older := []string{"restore", "--in-place", "--delete", "-q", "--time", fmt.Sprint(treetest.BaseTime + 10), v.repo}
	newer := []string{"restore", "--in-place", "--delete", "-q", v.repo}
	target := filepath.Join(t.TempDir(), "target")
	contents := make(map[string]map[[32]byte]bool)
	var states []treetest.Tree
	for _, args := range [][]string{older, newer} {
		p.run(t, append(args, target)...)
		state := treetest.Record(t, target)
		states = append(states, state)
		for _, e := range state {
			if contents[e.Path] == nil {
				contents[e.Path] = make(map[[32]byte]bool)
			}
			contents[e.Path][e.SHA256] = true
		}
	}
	begin := time.Now()
	p.run(t, append(older, target)...)
	took := time.Since(begin)
	for i := range max(2, rounds(t)/4) {
		to := (i + 1) % 2
		args := append([][]string{older, newer}[to], target)
		if rng.IntN(4) == 0 { // from nothing
			if err := os.RemoveAll(target); err != nil {
				t.Fatal(err)
			}
		}
		for range 1 + rng.IntN(3) {
			p.kill(t, time.Duration(rng.Int64N(int64(took))), args...)
			whole(t, target, contents)
		}
		p.run(t, args...)
		treetest.Equal(t, treetest.Record(t, target), states[to], treetest.Options{})
		if t.Failed() {
			return
		}
	}
}

// whole fails the test if a file has its name and neither of its contents.
func whole(t *testing.T, dir string, contents map[string]map[[32]byte]bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), extract.TempPrefix) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if known := contents[rel]; err == nil && !known[sha256.Sum256(data)] {
			t.Errorf("%q is half: %d bytes", rel, len(data))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

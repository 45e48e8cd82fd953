package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

// verifiable is a repository of several sets and the source as it was at the end.
type verifiable struct {
	*world
	src, repo string
	flags     []string
}

func newVerifiable(t *testing.T, rng *rand.Rand, flags ...string) *verifiable {
	t.Helper()
	treetest.NeedRoot(t)
	v := &verifiable{world: newWorld(t), flags: flags}
	dir := t.TempDir()
	v.src, v.repo = filepath.Join(dir, "src"), filepath.Join(dir, "repo")
	opts := treetest.RandomOptions{Nodes: 40, MaxSize: 200_000, OddNames: true, Special: true}
	treetest.Random(t, v.src, rng, opts)
	large := treetest.Content(rng, 2<<20)
	treetest.Write(t, v.src, treetest.File("large", string(large)).At(treetest.BaseTime))
	for i := range int64(4) {
		at := treetest.BaseTime + i*86400
		if i > 0 {
			treetest.Mutate(t, v.src, rng, at, 12, opts)
			cut := rng.IntN(len(large))
			large = slices.Concat(large[:cut], []byte(fmt.Sprintf("inserted on day %d", i)), large[cut:])
			treetest.Write(t, v.src, treetest.File("large", string(large)).At(at))
		}
		args := append([]string{"backup", "--current-time", fmt.Sprint(at + 10), "--volsize", "1", v.src, v.repo}, flags...)
		v.run(t, args...).exit(t, 0)
	}
	return v
}

func (v *verifiable) verify(t *testing.T, repo, src string) result {
	t.Helper()
	return v.run(t, append([]string{"verify", "--compare-data", "--cache-dir", t.TempDir(), repo, src}, v.flags...)...)
}

func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestSoakVerifyDamage damages an object of a repository in some way, again and again:
// each is found. In between the repository is whole, and nothing is found.
func TestSoakVerifyDamage(t *testing.T) {
	treetest.Sequential(t) // package extract's tests are for the race detector
	rng := treetest.Rand(t, 71)
	for name, flags := range map[string][]string{
		"gz": {"--no-encryption"}, "plain": {"--no-encryption", "--no-compression"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifiable(t, rng, flags...)
			files, err := os.ReadDir(v.repo)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < rounds(t); i++ {
				if r := v.verify(t, v.repo, v.src); r.code != 0 || !strings.HasSuffix(r.stdout, ", 0 differences found.\n") {
					t.Fatalf("a false alarm:\n%s%s", r.stdout, r.stderr)
				}
				repo := copyTree(t, v.repo)
				what := damage(t, rng, filepath.Join(repo, files[rng.IntN(len(files))].Name()))
				if r := v.verify(t, repo, v.src); r.code == 0 {
					t.Errorf("not found: %s\n%s%s", what, r.stdout, r.stderr)
				}
				os.RemoveAll(repo)
			}
		})
	}
}

// rounds is how many times something is damaged: 200 times in a soak run.
func rounds(t *testing.T) int {
	switch {
	case treetest.SoakTime(t, 0) > 0*time.Second:
		return 200
	case testing.Short():
		return 5
	}
	return 10
}

var (
	hashLine  = regexp.MustCompile(`(?m)^    Hash SHA1 .*\n`)
	rangeLine = regexp.MustCompile(`(?m)^    (Starting|Ending)Path .*\n`)
	volume    = regexp.MustCompile(`(?m)^Volume \d+:\n(    .*\n)*`)
)

// damage changes or removes an object, and says how.
func damage(t *testing.T, rng *rand.Rand, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	kind := rng.IntN(4)
	what := fmt.Sprintf("%s: kind %d", filepath.Base(name), kind)
	if superseded, _ := filepath.Match("*.sigtar", filepath.Base(name)); superseded && kind > 1 {
		// Nothing sums up a plain signature archive, and nobody reads a signature
		// that a newer set has replaced: damage to it is none.
		names, err := filepath.Glob(filepath.Join(filepath.Dir(name), "*new-signatures*"))
		if err != nil {
			t.Fatal(err)
		}
		name = slices.Max(names)
		if data, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		what = fmt.Sprintf("%s: kind %d", filepath.Base(name), kind)
	}
	manifest := strings.HasSuffix(name, ".manifest")
	switch {
	case manifest:
		data, kind = damageManifest(rng, data), -1
	case kind == 0 && !strings.Contains(name, "-toc."): // a set may be without
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return what
	case kind <= 1:
		whole := data
		if strings.HasSuffix(name, "tar") { // the zeros at the end are padding
			whole = bytes.TrimRight(data, "\x00")
		}
		data = data[:rng.IntN(len(whole))]
	case kind == 2 || !strings.Contains(name, ".difftar"):
		// Of a signature archive what stands in the data of a gzip member or of a tar:
		// nobody reads most of a header.
		at := 30 + rng.IntN(len(data)-60)
		if strings.HasSuffix(name, ".sigtar") {
			at = signatureByte(rng, data)
		}
		data[at] ^= 1 << rng.IntN(8)
		what += fmt.Sprintf(", byte %d", at)
	default:
		data = append(data, "more"...)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return what
}

// signatureByte is a place within a signature in a plain archive of them.
func signatureByte(rng *rand.Rand, data []byte) int {
	for {
		at := 512 * rng.IntN(len(data)/512)
		if n := bytes.Index(data[at:], []byte("rs\x016")); n >= 0 {
			return at + n + 12 + rng.IntN(12)
		}
	}
}

func damageManifest(rng *rand.Rand, data []byte) []byte {
	switch rng.IntN(3) {
	case 0: // of a hash
		at := hashLine.FindIndex(data)[1] - 2 - rng.IntN(40)
		data[at] = "0123456789abcdef"[(strings.IndexByte("0123456789abcdef", data[at])+1)%16]
	case 1: // of a path
		loc := rangeLine.FindAllIndex(data, -1)
		at := loc[rng.IntN(len(loc))]
		return slices.Concat(data[:at[1]-1], []byte("x\n"), data[at[1]:])
	default: // a volume is not listed
		loc := volume.FindAllIndex(data, -1)
		at := loc[rng.IntN(len(loc))]
		return slices.Concat(data[:at[0]], data[at[1]:])
	}
	return data
}

// TestSoakVerifyDifferences changes something of the source, again and again.
func TestSoakVerifyDifferences(t *testing.T) {
	treetest.Sequential(t) // package extract's tests are for the race detector
	rng := treetest.Rand(t, 72)
	v := newVerifiable(t, rng, "--no-encryption")
	before := treetest.Record(t, v.src)
	var files []treetest.Entry
	for _, e := range before {
		if e.Type == treetest.TypeFile {
			files = append(files, e)
		}
	}
	for i := 0; i < rounds(t); i++ {
		e := files[rng.IntN(len(files))]
		path := filepath.Join(v.src, e.Path)
		if i%4 == 0 {
			path = filepath.Join(v.src, "large")
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, undo := "Data for file", func() {}
		switch kind := rng.IntN(4); {
		case kind == 0 || len(data) == 0:
			want = "has permissions"
			err = os.Chmod(path, info.Mode().Perm()^0o020)
			undo = func() { os.Chmod(path, info.Mode()) }
		case kind == 1:
			err = os.WriteFile(path, append(slices.Clone(data), 'x'), 0o600)
		case kind == 2:
			err = os.WriteFile(path, data[:rng.IntN(len(data))], 0o600)
		default:
			other := slices.Clone(data)
			other[rng.IntN(len(other))] ^= 1 << rng.IntN(8)
			err = os.WriteFile(path, other, 0o600)
		}
		if err == nil {
			err = os.Chtimes(path, info.ModTime(), info.ModTime())
		}
		if err != nil {
			t.Fatal(err)
		}
		r := v.verify(t, v.repo, v.src)
		if r.code != 1 || strings.Count(r.stdout, "\n") != 2 || !strings.Contains(r.stdout, want) {
			t.Errorf("%s changed, want %q:\n%s%s", path, want, r.stdout, r.stderr)
		}
		undo()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if r := v.verify(t, v.repo, v.src); r.code != 0 {
			t.Fatalf("a false alarm:\n%s%s", r.stdout, r.stderr)
		}
	}
}

// TestVerifyInterop finds the differences that duplicity finds, in its words.
func TestVerifyInterop(t *testing.T) {
	t.Parallel() // it mostly waits for other processes
	treetest.Sequential(t)
	treetest.NeedRoot(t)
	d, w := treetest.Duplicity(t), newWorld(t)
	dir := t.TempDir()
	src, repo := filepath.Join(dir, "src"), filepath.Join(dir, "repo")
	treetest.Write(t, src,
		treetest.File("docs/a", "a"), treetest.File("docs/in/b", "b"), treetest.File("gone/x", "x"), treetest.File("mode", "m"),
		treetest.File("same", "same"), treetest.File("size", "size"), treetest.File("time", "t"), treetest.File("type", "t"),
		treetest.File("typed", "t"), treetest.Symlink("link", "to"), treetest.Fifo("pipe"))
	d.Full(t, src, repo, treetest.BaseTime).OK(t)
	compare := func(options ...string) {
		t.Helper()
		tree := src
		if slices.Contains(options, "docs") {
			tree = filepath.Join(src, "docs")
		}
		theirs := d.Verify(t, repo, tree, options...)
		ours := w.run(t, append(append([]string{"verify"}, options...), repo, tree)...)
		if got, want := ours.stdout, verifyLines(theirs.Output()); ours.code != theirs.ExitCode || got != want {
			t.Errorf("%q: exit code %d, want %d; got\n%s\nwant\n%s", options, ours.code, theirs.ExitCode, got, want)
		}
	}
	compare("--compare-data")
	treetest.Write(t, src,
		treetest.File("docs/a", "A").At(treetest.BaseTime), treetest.File("size", "longer"), treetest.File("new", "n"))
	for _, err := range []error{
		os.RemoveAll(filepath.Join(src, "gone")), os.Chmod(filepath.Join(src, "docs/in/b"), 0o604), os.Chmod(filepath.Join(src, "pipe"), 0o600),
		os.Chown(filepath.Join(src, "mode"), 12345, 54321), os.Chtimes(filepath.Join(src, "time"), time.Unix(1, 0), time.Unix(1, 0)),
		os.Remove(filepath.Join(src, "link")), os.Symlink("elsewhere", filepath.Join(src, "link")),
		os.Remove(filepath.Join(src, "type")), os.Mkdir(filepath.Join(src, "type"), 0o755), os.WriteFile(filepath.Join(src, "type/in"), nil, 0o644),
		os.Remove(filepath.Join(src, "typed")), os.Symlink("x", filepath.Join(src, "typed")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	compare()
	compare("--compare-data")
	compare("--compare-data", "--file-to-restore", "docs")
	w.run(t, "verify", repo, filepath.Join(dir, "nowhere")).exit(t, 12)
}

var bytesRepr = regexp.MustCompile(`b'([^']*)'`)

// verifyLines are the lines of duplicity's output that matter, without Python's marks
// at bytes.
func verifyLines(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "Difference found: ") || strings.HasPrefix(line, "Verify complete: ") {
			lines = append(lines, bytesRepr.ReplaceAllString(line, "$1"))
		}
	}
	return strings.Join(lines, "")
}

// TestVerifySelection compares what the rules choose, on both sides, and leaves the
// store alone that lies within the source.
func TestVerifySelection(t *testing.T) {
	treetest.Sequential(t)
	w := newWorld(t)
	src := filepath.Join(t.TempDir(), "src")
	treetest.Write(t, src, treetest.File("docs/a", "a"), treetest.File("docs/b", "b"), treetest.File("skip/x", "x"), treetest.File("z", "z"))
	repo := filepath.Join(src, "repo")
	w.run(t, "full", "--no-encryption", "--current-time", "1800000000", src, repo).exit(t, 0)
	for _, name := range []string{"docs/b", "skip/x", "z"} {
		if err := os.WriteFile(filepath.Join(src, name), []byte("other"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		rules []string
		want  int // differences: of files, and never of directories
	}{
		{nil, 3}, {[]string{"--exclude", "**/skip"}, 2}, {[]string{"--include", "**/docs", "--exclude", "**"}, 1},
		{[]string{"--include", "**/docs/a", "--exclude", "**"}, 0}, {[]string{"--exclude", "**/docs", "--exclude", "**/z"}, 1},
	} {
		r := w.run(t, append(append([]string{"verify", "--compare-data"}, tt.rules...), repo, src)...)
		// The root's own time changed when the store was made in it.
		if n := strings.Count(r.stdout, "Difference found: File ") - strings.Count(r.stdout, "Difference found: File . "); n != tt.want {
			t.Errorf("%q: %d differences, want %d\n%s%s", tt.rules, n, tt.want, r.stdout, r.stderr)
		}
	}
}

// TestVerifyTouchesNothing leaves the source and the store as they are.
func TestVerifyTouchesNothing(t *testing.T) {
	rng := treetest.Rand(t, 73)
	v := newVerifiable(t, rng, "--no-encryption")
	before := treetest.Record(t, v.src)
	v.verify(t, v.repo, v.src).exit(t, 0)
	treetest.Equal(t, treetest.Record(t, v.src), before, treetest.Options{})
	err := filepath.WalkDir(v.repo, func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(path, ".hindsight") {
			t.Errorf("%s in the store", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

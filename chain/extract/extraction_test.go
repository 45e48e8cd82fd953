package extract_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

// extraction is one run and what it told.
type extraction struct {
	target string
	result extract.Result
	err    error
	lost   map[string]error
}

// extract restores the state after a set to a new target.
func (a *archive) extract(t testing.TB, last int, opt extract.Options) *extraction {
	t.Helper()
	return a.extractTo(t, filepath.Join(t.TempDir(), "target"), last, opt, extract.DiskOptions{NumericOwner: true, Replace: true})
}

func (a *archive) extractTo(t testing.TB, target string, last int, opt extract.Options, disk extract.DiskOptions) *extraction {
	t.Helper()
	sink, err := extract.NewDisk(target, disk)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	x := &extraction{target: target, lost: make(map[string]error)}
	opt.Repository, opt.Sink = a.repo, sink
	if opt.Sets == nil {
		opt.Sets = a.sets(t, last)
	}
	twice := ""
	opt.Lost = func(path string, err error) {
		if x.lost[path] != nil && path != "" {
			twice = path
		}
		x.lost[path] = err
	}
	_, before := os.Lstat(target)
	x.result, x.err = extract.Run(t.Context(), opt)
	if errors.Is(before, fs.ErrNotExist) {
		x.counts(t)
	}
	if twice != "" && x.err == nil {
		t.Errorf("%q reported twice", twice)
	}
	noRemains(t, filepath.Dir(target))
	return x
}

// counts fails the test if the result does not agree with what is in the target,
// where there was nothing before.
func (x *extraction) counts(t testing.TB) {
	t.Helper()
	var files, bytes int64
	err := filepath.WalkDir(filepath.Clean(x.target), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), extract.TempPrefix) {
			return err
		}
		info, err := e.Info()
		if err == nil {
			files, bytes = files+1, bytes+info.Size()
		}
		return err
	})
	if errors.Is(err, unix.ENAMETOOLONG) {
		return
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if x.err != nil && x.result.Files > files { // contradicting volumes name a path twice
		return
	}
	if x.result.Files != files || x.result.Bytes != bytes {
		t.Errorf("result says %d files, %d bytes; there are %d, %d", x.result.Files, x.result.Bytes, files, bytes)
	}
}

// noRemains fails the test if a temporary file is left below dir.
func noRemains(t testing.TB, dir string) {
	t.Helper()
	tree, err := treetest.Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range tree {
		if strings.Contains(e.Path, extract.TempPrefix) {
			t.Errorf("temporary file %q stays", e.Path)
		}
	}
}

// equal compares the target with a tree.
func (x *extraction) equal(t testing.TB, want treetest.Tree) {
	t.Helper()
	if x.err != nil || len(x.lost) > 0 {
		t.Fatalf("error %v, lost %v", x.err, x.lost)
	}
	treetest.Equal(t, treetest.Record(t, x.target), want, treetest.Options{})
}

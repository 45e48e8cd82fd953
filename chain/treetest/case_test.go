package treetest_test

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hindsight/chain/treetest"
)

func TestLoadCases(t *testing.T) {
	cases := treetest.LoadCases(t)
	if len(cases) < 50 {
		t.Errorf("%d cases, want at least 50", len(cases))
	}
	for _, c := range cases {
		if c.Name != filepath.Base(c.Dir) || c.Hostname != "fxhost" || len(c.Steps) == 0 || len(c.Times) == 0 || len(c.Objects) == 0 || len(c.WrittenBy) == 0 {
			t.Errorf("%s: incomplete: %+v", c.Dir, c)
		}
		for _, time := range c.Times {
			tree := c.Expected(t, time)
			if len(tree) == 0 || tree[0].Path != "" || tree[0].Type != treetest.TypeDir {
				t.Errorf("%s: the tree of %d has no root", c.Name, time)
			}
			if len(c.Restores[time]) == 0 {
				t.Errorf("%s: nothing about restores of %d", c.Name, time)
			}
		}
		for name, key := range c.Keys {
			if len(key.Fingerprint) != 40 || key.Passphrase == "" {
				t.Errorf("%s: key %s incomplete", c.Name, name)
			}
			for _, file := range []string{key.Public, key.Secret} {
				if _, err := os.Stat(file); err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
			}
		}
		checkObjects(t, c)
	}
}

// checkObjects compares the repository with the case's list of objects.
func checkObjects(t *testing.T, c *treetest.Case) {
	t.Helper()
	files, err := os.ReadDir(c.Repo)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(c.Objects) {
		t.Errorf("%s: %d files, want %d", c.Name, len(files), len(c.Objects))
	}
	for _, o := range c.Objects {
		data, err := os.ReadFile(filepath.Join(c.Repo, o.Name))
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if sum := sha1.Sum(data); hex.EncodeToString(sum[:]) != o.SHA1 || int64(len(data)) != o.Size {
			t.Errorf("%s: %s is not as listed", c.Name, o.Name)
		}
	}
	for _, name := range append(slices.Clone(c.Damaged), c.Removed...) {
		_, err := os.Stat(filepath.Join(c.Repo, name))
		if there := err == nil; there == slices.Contains(c.Removed, name) {
			t.Errorf("%s: %s is there: %v", c.Name, name, there)
		}
	}
}

func TestCaseDetails(t *testing.T) {
	prefixes := treetest.LoadCase(t, "prefixes")
	if got := prefixes.Option("--file-prefix") + prefixes.Option("--file-prefix-archive"); got != "all_a-" {
		t.Errorf("prefixes %q, want all_a-", got)
	}
	if !prefixes.HasOption("--no-encryption") || prefixes.HasOption("--volsize") || prefixes.Option("--volsize") != "" {
		t.Error("options of prefixes are wrong")
	}

	types := treetest.LoadCase(t, "types")
	source, want := types.Source(t, types.Times[0]), types.Expected(t, types.Times[0])
	if lines := treetest.Diff(want, source, treetest.Options{}); len(lines) != 2 {
		t.Errorf("what duplicity restores differs from its source by %q, want a socket and a time before 1970", lines)
	}
	if lines := treetest.Diff(want, source, treetest.AsDuplicity()); lines != nil {
		t.Errorf("as duplicity: %q", lines)
	}
	if e, ok := source.Lookup("bigdev"); !ok || e.Type != treetest.TypeChar || e.Major != 511 || e.Minor != 70000 || e.Mode != 0o660 {
		t.Errorf("bigdev: %+v", e)
	}
	if d := types.Restores[types.Times[0]]["0.8.22"].Differences; len(d) != 2 || d[0].Path() != "sock" || d[0].Type != treetest.TypeSocket {
		t.Errorf("differences of types: %+v", d)
	}

	corrupt := treetest.LoadCase(t, "corrupt-volume-gpg")
	if corrupt.Passphrase() != "cv-dev" || !slices.Equal(corrupt.Environ(), []string{"PASSPHRASE=cv-dev"}) {
		t.Errorf("environment %q", corrupt.Environ())
	}
	second := corrupt.Restores[corrupt.Times[1]]["3.1.0"]
	if second.ExitCode != 21 || second.IgnoreErrors == nil || second.IgnoreErrors.ExitCode != 0 {
		t.Errorf("restore over a damaged volume: %+v", second)
	}
	if corrupt.Restorable(corrupt.Times[1]) || !corrupt.Restorable(corrupt.Times[0]) {
		t.Error("what is restorable is wrong")
	}

	if c := treetest.LoadCase(t, "interrupted-full"); c.Interrupted == 0 || c.Archive == "" {
		t.Errorf("interrupted at %d, archive %q", c.Interrupted, c.Archive)
	}
	if c := treetest.LoadCase(t, "selection"); len(c.WholeSource(t)) <= len(c.Source(t, c.Times[0])) || c.Selection[0] != "--exclude-if-present" {
		t.Error("selection selects nothing")
	}
	if c := treetest.LoadCase(t, "old-filenames"); c.Env["TZ"] != "XYZ-05:30" {
		t.Errorf("TZ %q", c.Env["TZ"])
	}
}

func TestCopyRepo(t *testing.T) {
	c := treetest.LoadCase(t, "plain-gz")
	dir := c.CopyRepo(t)
	tree := treetest.Record(t, dir)
	if n := tree.Count(treetest.TypeFile); n != len(c.Objects) {
		t.Errorf("%d files, want %d", n, len(c.Objects))
	}
	for _, o := range c.Objects {
		if e, _ := tree.Lookup(o.Name); e.Size != o.Size || e.Mode&0o200 == 0 {
			t.Errorf("%s: %+v, want %d bytes that can be written", o.Name, e, o.Size)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/treetest"
)

// brief skips, in short runs, most cases that are encrypted, as each object costs a key
// derivation; and under the race detector all but a few of different kinds.
func brief(t *testing.T, c *treetest.Case) {
	t.Helper()
	few := []string{"multivol-gz", "gpg-symmetric-v3", "corrupt-volume", "missing-volume-full"}
	switch {
	case slices.Contains(few, c.Name):
	case treetest.Short(), testing.Short() && c.Passphrase() != "":
		t.Skip("short run")
	}
}

// TestListGolden lists every golden repository at every time that duplicity can
// restore: exactly the paths of the tree must come out.
func TestListGolden(t *testing.T) {
	times := 0
	for _, c := range treetest.LoadCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			brief(t, c)
			w := newWorld(t)
			flags := w.caseFlags(c)
			for _, at := range c.Times {
				if !c.Restorable(at) {
					continue
				}
				times++
				args := append([]string{"list", "--json", "--time", strconv.FormatInt(at, 10), treetest.URL(t, c.Repo)}, flags...)
				r := w.run(t, args...).exit(t, 0)
				want := c.Expected(t, at).Without(func(e treetest.Entry) bool { return e.Type == treetest.TypeSocket })
				compareList(t, parseList(t, r.stdout), want)
			}
		})
	}
	t.Logf("%d times", times)
}

// compareList compares what list says with a tree: paths, types, modes, times.
func compareList(t *testing.T, got []listed, want treetest.Tree) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d paths, want %d", len(got), len(want))
		return
	}
	types := map[string]treetest.Type{
		"file": treetest.TypeFile, "directory": treetest.TypeDir, "symlink": treetest.TypeSymlink, "fifo": treetest.TypeFifo,
		"character device": treetest.TypeChar, "block device": treetest.TypeBlock,
	}
	for i, l := range got {
		e := want[i]
		path := l.Path
		if l.PathB64 != nil {
			path = string(l.PathB64)
		}
		if path == "." {
			path = ""
		}
		link := e.Type == treetest.TypeSymlink
		target := l.Target
		if l.TargetB64 != nil {
			target = string(l.TargetB64)
		}
		if path != e.Path || types[l.Type] != e.Type || target != e.Target ||
			!link && (l.Mode != fmt.Sprintf("%04o", e.Mode) || l.MTime != time.Unix(max(e.MTime, 0), 0).UTC().Format(time.RFC3339)) {
			t.Errorf("entry %d: got %+v, want %q, %s, mode %04o, mtime %d, target %q", i, l, e.Path, e.Type, e.Mode, e.MTime, e.Target)
		}
	}
}

// TestRestoreGolden restores the newest state of a few repositories through the
// command line, of each kind of key.
func TestRestoreGolden(t *testing.T) {
	treetest.NeedRoot(t)
	for _, name := range []string{"plain-gz", "gpg-symmetric", "gpg-pubkey-sign", "prefixes", "three-chains-gpg-v3"} {
		t.Run(name, func(t *testing.T) {
			c, w := treetest.LoadCase(t, name), newWorld(t)
			brief(t, c)
			at := c.Times[len(c.Times)-1]
			target := filepath.Join(t.TempDir(), "target")
			args := append([]string{"restore", "-t", strconv.FormatInt(at, 10), c.Repo, target}, w.caseFlags(c)...)
			w.run(t, args...).exit(t, 0)
			treetest.Equal(t, treetest.Record(t, target), c.Expected(t, at), treetest.Options{})
		})
	}
}

// TestRestoreDamaged restores damaged repositories: refused with duplicity's code,
// and with --ignore-errors all but the files named as lost comes back.
func TestRestoreDamaged(t *testing.T) {
	treetest.NeedRoot(t)
	for name, code := range map[string]int{
		"corrupt-volume": exitHash, "corrupt-volume-gpg": exitHash, "truncated-volume-v3": exitHash,
		"missing-volume-full": exitFailure, "missing-volume-inc-v3": exitFailure,
	} {
		t.Run(name, func(t *testing.T) {
			c, w := treetest.LoadCase(t, name), newWorld(t)
			brief(t, c)
			at := c.Times[len(c.Times)-1]
			target := filepath.Join(t.TempDir(), "target")
			args := append([]string{"restore", "--time", strconv.FormatInt(at, 10), c.Repo, target}, w.caseFlags(c)...)
			r := w.run(t, args...).exit(t, code)
			checkErrorLine(t, r.stderr)
			if err := os.RemoveAll(target); err != nil {
				t.Fatal(err)
			}
			r = w.run(t, append(args, "--ignore-errors", "--json")...).exit(t, exitFailure)
			lost := parseLost(t, r.stderr)
			if len(lost) == 0 {
				t.Fatalf("no file is named as lost:\n%s", r.stderr)
			}
			want := c.Source(t, at).Without(func(e treetest.Entry) bool {
				return e.Type == treetest.TypeSocket || slices.Contains(lost, e.Path)
			})
			for _, path := range lost {
				if e, ok := c.Source(t, at).Lookup(path); !ok || e.Type != treetest.TypeFile {
					t.Errorf("%q is named as lost and is no file of the backup", path)
				}
			}
			treetest.Equal(t, treetest.Record(t, target), want, treetest.AsDuplicity())
		})
	}
}

// checkErrorLine makes sure that an error ends the output, as one line.
func checkErrorLine(t *testing.T, stderr string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if !strings.HasPrefix(lines[len(lines)-1], "hindsight: ") || strings.Count(stderr, "hindsight: ") != 1 {
		t.Errorf("want one line of error at the end, got:\n%s", stderr)
	}
}

// unhealthy are the golden repositories with which something is wrong, and what.
// Damage within an object is not seen by status.
var unhealthy = map[string]string{
	"interrupted-full":       "interrupted, or its manifest is lost",
	"interrupted-inc-gpg-v3": "interrupted, or its manifest is lost",
	"missing-inc":            "it builds on is missing",
	"missing-manifest":       "its manifest is lost",
	"missing-signatures":     "signatures are missing",
	"missing-volume-full":    "volume 1 is missing",
	"missing-volume-inc-v3":  "volume 1 is missing",
}

// TestStatusGolden reads the status of every golden repository: with its keys, for
// what is wrong, and without any, which must work too.
func TestStatusGolden(t *testing.T) {
	for _, c := range treetest.LoadCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			brief(t, c)
			w := newWorld(t)
			args := append([]string{"status", "--json", c.Repo}, w.caseFlags(c)...)
			s := parseStatus(t, w.run(t, args...).exit(t, 0).stdout)
			want, wrong := unhealthy[c.Name]
			if s.Healthy == wrong || wrong && !strings.Contains(s.Problems[0].Problem, want) {
				t.Errorf("healthy is %v, want problem %q; got %+v", s.Healthy, want, s.Problems)
			}
			if s.Unchecked > 0 {
				t.Errorf("%d sets unchecked with their keys at hand", s.Unchecked)
			}
			code := 0
			if wrong {
				code = exitFailure
			}
			w.run(t, append(args, "--strict")...).exit(t, code)
			delete(w.vars, "PASSPHRASE")
			args = slices.DeleteFunc(args, func(a string) bool { return a == "--key-file" || strings.HasSuffix(a, ".asc") })
			bare := parseStatus(t, w.run(t, args...).exit(t, 0).stdout)
			if diff := cmp.Diff(s.Chains, bare.Chains); diff != "" {
				t.Errorf("other chains without keys:\n%s", diff)
			}
			encrypted := slices.ContainsFunc(s.Chains, func(ch []setState) bool {
				return slices.ContainsFunc(ch, func(s setState) bool { return s.Encrypted })
			})
			if encrypted != (bare.Unchecked > 0) {
				t.Errorf("encrypted is %v, and without keys %d sets are unchecked", encrypted, bare.Unchecked)
			}
		})
	}
}

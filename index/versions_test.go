package index_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/index"
)

func versions(t *testing.T, x *index.Index, path string) []index.Version {
	t.Helper()
	var out []index.Version
	for v, err := range x.Versions(path) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// TestVersions follows paths through two chains.
func TestVersions(t *testing.T) {
	r := chaintest.New(t)
	day := func(n int64) int64 { return treetest.BaseTime + n*1000 }
	at := func(n int64, node treetest.Node) treetest.Node { return node.At(day(n) - 10) }
	x := openIndex(t, t.TempDir())
	steps := []struct {
		mode  backup.Mode
		nodes []treetest.Node
		gone  string
	}{
		{mode: backup.Full, nodes: []treetest.Node{at(0, treetest.File("d/f", "0")), at(0, treetest.File("same", "s")), at(0, treetest.File("was", "w"))}},
		{nodes: []treetest.Node{at(1, treetest.File("d/f", "1"))}, gone: "was"},
		{nodes: []treetest.Node{at(2, treetest.Dir("was")), at(2, treetest.File("was/below", "b"))}},
		{mode: backup.Full},
		{nodes: []treetest.Node{at(4, treetest.File("d/f", "4")), at(4, treetest.File("d/new", "n"))}},
	}
	for n, s := range steps {
		if s.gone != "" {
			if err := os.Remove(filepath.Join(r.Source, s.gone)); err != nil {
				t.Fatal(err)
			}
		}
		treetest.Write(t, r.Source, s.nodes...)
		r.Backup(day(int64(n)), s.mode)
		build(t, x, &r.Repository, r.Load())
	}
	show := func(list []index.Version) string {
		var out []string
		for _, v := range list {
			out = append(out, fmt.Sprintf("%v %d-%d", v.Entry.Type, (v.Snapshot.Time-naming.Time(day(0)))/1000, (v.Last.Time-naming.Time(day(0)))/1000))
		}
		return strings.Join(out, ", ")
	}
	for path, want := range map[string]string{
		"d/f":       "file 4-4, file 1-3, file 0-0",
		"same":      "file 0-4",
		"was":       "directory 2-4, file 0-0",
		"was/below": "file 2-4",
		"d/new":     "file 4-4",
		"nowhere":   "",
		"d/f/x":     "",
	} {
		if got := show(versions(t, x, path)); got != want {
			t.Errorf("versions of %q: %s, want %s", path, got, want)
		}
	}
	var found []string
	for f, err := range x.Find(context.Background(), func(p string) (bool, bool) { return strings.Contains(p, "w"), p != "d" }) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, f.Path+": "+show([]index.Version{f.Version}))
	}
	if want := []string{"was: directory 2-4", "was: file 0-0", "was/below: file 2-4"}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	for _, c := range []struct{ path, after, want string }{
		{"", "", "d same was"}, {"", "d", "same was"}, {"d", "", "f new"}, {"d/f", "", ""}, {"nowhere", "", ""}, {"", "zz", ""},
	} {
		var names []string
		for n, err := range x.Names(c.path, c.after) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, n)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("Names(%q, %q) = %s, want %s", c.path, c.after, got, c.want)
		}
	}
}

// TestFindSeesEverything compares Find with all snapshots of random trees.
func TestFindSeesEverything(t *testing.T) {
	rng := treetest.Rand(t, 3)
	opt := treetest.RandomOptions{OddNames: true, MaxSize: 5000}
	r := chaintest.New(t)
	treetest.Random(t, r.Source, rng, opt)
	for day := range int64(6) {
		mode := backup.Auto
		if day == 3 {
			mode = backup.Full
		}
		treetest.Mutate(t, r.Source, rng, treetest.BaseTime+day*1000-100, 10, opt)
		r.Backup(treetest.BaseTime+day*1000, mode)
	}
	x := openIndex(t, t.TempDir())
	build(t, x, &r.Repository, r.Load())
	seen := make(map[string]bool) // path at each snapshot
	last := ""
	for f, err := range x.Find(context.Background(), func(string) (bool, bool) { return true, true }) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range x.Snapshots() {
			if s.Time < f.Snapshot.Time || s.Time > f.Last.Time {
				continue
			}
			key := fmt.Sprintf("%v %s", s.Time, f.Path)
			if seen[key] {
				t.Errorf("%q is found twice", key)
			}
			seen[key] = true
		}
		last = f.Path
	}
	if last == "" {
		t.Fatal("nothing was found")
	}
	for _, s := range x.Snapshots() {
		for _, e := range tree(t, s, nil) {
			key := fmt.Sprintf("%v %s", s.Time, e.Path)
			if !seen[key] {
				t.Errorf("%q is not found", key)
			}
			delete(seen, key)
		}
	}
	for key := range seen {
		t.Errorf("%q is found, but not there", key)
	}
}

package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/selection"
	"hindsight/chain/treetest"
)

var ruleSets = [][]selection.Rule{
	{{Option: selection.ExcludeGlob, Value: "a"}},
	{{Option: selection.IncludeGlob, Value: "a/b"}, {Option: selection.ExcludeGlob, Value: "**"}},
	{{Option: selection.IncludeGlob, Value: "**/keep"}, {Option: selection.ExcludeGlob, Value: "a/**"}},
	{{Option: selection.ExcludeGlob, Value: "a/b/"}, {Option: selection.ExcludeGlob, Value: "c*"}},
	{{Option: selection.ExcludeOlderThan, Before: 1000}},
	{{Option: selection.ExcludeDevices}},
}

// paths is every path over three names and three levels, all but the last of them
// directories.
func paths() []string {
	names := []string{"a", "b", "keep"}
	all := []string{""}
	for _, x := range names {
		all = append(all, x)
		for _, y := range names {
			all = append(all, x+"/"+y)
			for _, z := range names {
				all = append(all, x+"/"+y+"/"+z)
			}
		}
	}
	return all
}

func metaOf(path string) *difftar.Meta {
	m := &difftar.Meta{Type: difftar.Directory, MTime: 500}
	if strings.Count(path, "/") == 2 {
		m.Type = difftar.Regular
		if strings.HasSuffix(path, "a") {
			m.Type = difftar.CharDevice
		}
	}
	return m
}

// TestSelected asks about paths in any order and from several goroutines; the answer
// is that of a walk from the root.
func TestSelected(t *testing.T) {
	for _, rules := range ruleSets {
		sel, err := selection.Compile(rules, selection.Options{Relative: true})
		if err != nil {
			t.Fatal(err)
		}
		filter := newSelected(sel)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for _, path := range paths() {
					if got, want := filter.Wants(path, metaOf(path)), walkTo(sel, path); got != want {
						t.Errorf("%v: %q gets verdict %d, want %d", rules, path, got, want)
					}
				}
			})
		}
		wg.Wait()
	}
}

// walkTo is the verdict that a walk from the root comes to.
func walkTo(sel *selection.Selection, path string) extract.Verdict {
	parts := strings.Split(path, "/")
	answer := selection.Include
	for i := range parts {
		at := strings.Join(parts[:i+1], "/")
		m := metaOf(at)
		answer = sel.Select(selection.Object{Path: at, Kind: kindOf(m.Type), MTime: m.MTime})
		if answer == selection.Exclude {
			return extract.Skip
		}
	}
	if answer == selection.Scan {
		return extract.TakeOpen
	}
	return extract.Take
}

// TestSelectedTouches makes sure that no range is passed over that has a path in it
// that is wanted.
func TestSelectedTouches(t *testing.T) {
	all, skipped := paths(), 0
	for _, rules := range ruleSets {
		sel, err := selection.Compile(rules, selection.Options{Relative: true})
		if err != nil {
			t.Fatal(err)
		}
		filter := newSelected(sel)
		for i := range all {
			for k := i; k < len(all); k++ {
				if filter.Touches(all[i], all[k]) {
					continue
				}
				skipped++
				for _, path := range all[i : k+1] {
					if filter.Wants(path, metaOf(path)) != extract.Skip {
						t.Fatalf("%v: from %q to %q is passed over, and %q is wanted", rules, all[i], all[k], path)
					}
				}
			}
		}
	}
	if skipped == 0 {
		t.Error("nothing was ever passed over")
	}
}

// TestSelectedBounded makes sure that the memory of directories does not grow for
// ever.
func TestSelectedBounded(t *testing.T) {
	sel, err := selection.Compile(ruleSets[0], selection.Options{Relative: true})
	if err != nil {
		t.Fatal(err)
	}
	filter := newSelected(sel)
	for i := range 3 * maxDirs {
		filter.Wants(fmt.Sprintf("d%d/file", i), &difftar.Meta{Type: difftar.Regular})
	}
	if len(filter.dirs) > maxDirs {
		t.Errorf("%d directories are remembered, want at most %d", len(filter.dirs), maxDirs)
	}
}

// TestSubtree restores parts of a golden repository.
func TestSubtree(t *testing.T) {
	treetest.NeedRoot(t)
	c, w := treetest.LoadCase(t, "types"), newWorld(t)
	at := c.Times[len(c.Times)-1]
	tree := c.Expected(t, at)
	restored := 0
	for _, e := range tree {
		if e.Path == "" || strings.Contains(e.Path, "/") || e.Type == treetest.TypeSocket {
			continue
		}
		restored++
		target := t.TempDir() + "/target"
		w.run(t, "restore", "-t", fmt.Sprint(at), "--file-to-restore", "./"+e.Path+"/", c.Repo, target).exit(t, 0)
		treetest.Equal(t, treetest.Record(t, target), tree.Sub(e.Path), treetest.Options{})
	}
	if restored == 0 {
		t.Error("no path was restored")
	}
}

// BenchmarkSelected judges the paths of a tree in order.
func BenchmarkSelected(b *testing.B) {
	sel, err := selection.Compile(ruleSets[2], selection.Options{Relative: true})
	if err != nil {
		b.Fatal(err)
	}
	filter, all := newSelected(sel), paths()
	b.ReportAllocs()
	for b.Loop() {
		for _, path := range all {
			filter.Wants(path, metaOf(path))
		}
	}
}

package extract_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRandomHistories extracts every state of random histories, in volumes so small
// that snapshots and deltas span many, and compares with the naive oracle.
func TestRandomHistories(t *testing.T) {
	treetest.NeedRoot(t)
	seeds := uint64(6)
	if treetest.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := treetest.Rand(t, seed)
			opt := historyOptions{Sets: 7, MaxSize: 300 << 10, Retype: true, Volume: []int64{1, 100 << 10, 400 << 10}[seed%3]}
			opt.Format.Compressed = seed%2 == 0
			h := newHistory(rng, opt)
			a := h.write(t)
			for set := range h.sets {
				run := extract.Options{Jobs: []int{1, 2, 8}[set%3], Memory: []int64{1, 1 << 20}[set%2]}
				a.extract(t, set, run).equal(t, h.tree(set, everyPath))
			}
		})
	}
}

// tail is a Filter of what its name ends in, and of directories that hold such.
type tail string

func (f tail) Wants(path string, m *difftar.Meta) extract.Verdict {
	switch {
	case m.Type == difftar.Directory:
		return extract.TakeOpen
	case strings.HasSuffix(path, string(f)):
		return extract.Take
	}
	return extract.Skip
}

func (f tail) Touches(_, _ string) bool { return true }

func TestFilters(t *testing.T) {
	treetest.NeedRoot(t)
	rng := treetest.Rand(t, 77)
	h := newHistory(rng, historyOptions{Sets: 5, MaxSize: 200 << 10, Volume: 80 << 10, Format: codec.Format{Compressed: true}})
	a := h.write(t)
	for _, below := range []string{"a", "a/inner", "b", "e/f", "c"} {
		keep := func(p string) bool { return difftar.Within(p, below) }
		x := a.extract(t, 4, extract.Options{Filter: extract.Below(below), Jobs: 2})
		if x.err != nil || !x.result.Found || len(x.lost) > 0 {
			t.Fatalf("%q: %+v, %v, lost %v", below, x.result, x.err, x.lost)
		}
		treetest.Equal(t, treetest.Record(t, x.target).Sub(below), h.tree(4, keep).Sub(below), treetest.Options{})
	}
	for _, below := range []string{"a-", "nothing", "a/inner/f1/no", "\xff"} {
		if x := a.extract(t, 4, extract.Options{Filter: extract.Below(below)}); x.err != nil || x.result.Found {
			t.Errorf("%q: %+v, %v", below, x.result, x.err)
		}
	}
	const ending = tail("1")
	var wanted []string
	for _, e := range h.tree(4, everyPath) {
		if e.Type != treetest.TypeDir && strings.HasSuffix(e.Path, string(ending)) {
			wanted = append(wanted, e.Path)
		}
	}
	if len(wanted) == 0 {
		t.Fatal("the history has nothing for the filter")
	}
	holds := func(p string) bool {
		for _, w := range wanted {
			if difftar.Within(w, p) {
				return true
			}
		}
		return false
	}
	a.extract(t, 4, extract.Options{Filter: ending, Jobs: 8}).equal(t, h.tree(4, holds))
}

func TestBelowTouches(t *testing.T) {
	for _, tt := range []struct {
		below       extract.Below
		first, last string
		want        bool
	}{
		{"a", "", "", false}, {"a", "", "a", true}, {"a", "a", "a-b", true}, {"a", "a/x", "a/y", true},
		{"a", "a-b", "z", false}, {"a-b", "a", "a/z", false}, {"a-b", "a/z", "b", true}, {"", "q", "r", true},
		{"a/b", "a", "a/a", false}, {"a/b", "a/b/c/d", "z", true}, {"a/b", "a/c", "z", false},
	} {
		if got := tt.below.Touches(tt.first, tt.last); got != tt.want {
			t.Errorf("Below(%q).Touches(%q, %q) = %v", tt.below, tt.first, tt.last, got)
		}
	}
}

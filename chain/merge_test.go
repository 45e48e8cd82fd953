package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/naming"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

func TestMerge(t *testing.T) {
	r, st := newRepository()
	opt := chain.SetOptions{Format: gz}
	mustBackup(t, r, full(1), opt, []item{dir(""), file("a", "1"), dir("b"), file("b/x", "1"), file("b-y", "1"), file("c", "1")})
	mustBackup(t, r, inc(1, 2), opt, []item{dir(""), file("a", "2"), deleted("b"), deleted("b/x"), file("d", "2")})
	mustBackup(t, r, inc(2, 3), opt, []item{file("b", "3"), deleted("c"), deleted("never")})
	mustBackup(t, r, inc(3, 4), opt, nil)
	sets := load(t, st).Latest().Sets
	want := [][]string{
		{"", "a", "b", "b/x", "b-y", "c"},
		{"", "a", "b-y", "c", "d"},
		{"", "a", "b", "b-y", "d"},
		{"", "a", "b", "b-y", "d"},
	}
	from := map[string]int{"": 2, "a": 2, "b": 3, "b-y": 1, "d": 2} // in the end
	for n := range want {
		for _, withSignatures := range []bool{true, false} {
			some := slices.Clone(sets[:n+1])
			merge := r.MergeSignatures
			if !withSignatures {
				merge = r.MergeStates
				for i := range some {
					bare := *some[i]
					if i%2 == 0 {
						bare.Signatures = nil
					}
					some[i] = &bare
				}
			}
			m, err := merge(t.Context(), some)
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for {
				e, err := m.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				paths = append(paths, e.Path)
				if n == len(want)-1 && m.Set().End != day(from[e.Path]) {
					t.Errorf("%q comes from %v", e.Path, m.Set().SetID)
				}
				data, err := io.ReadAll(m)
				if sig := "signature of " + e.Path; err != nil || withSignatures && e.Type == difftar.Regular && string(data) != sig {
					t.Errorf("%q: data %q, error %v", e.Path, data, err)
				}
			}
			if !slices.Equal(paths, want[n]) {
				t.Errorf("after %d sets, signatures %v: %q, want %q", n+1, withSignatures, paths, want[n])
			}
			if _, err := m.Next(); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A chain of years is merged in memory that is a fraction of what the archives of a
// short one take each.
func TestMergeLongChain(t *testing.T) {
	const n = 120
	r, st := newRepository()
	opt := chain.SetOptions{Format: gz, Pool: newPool(t)}
	mustBackup(t, r, full(1), opt, []item{dir(""), file("a", "1"), file("z", "1")})
	at := func(i int) naming.Time { return day(1) + naming.Time(i) }
	for i := 1; i < n; i++ {
		items := []item{file(fmt.Sprintf("f%03d", i), "new")}
		if i > 1 {
			items = []item{deleted(fmt.Sprintf("f%03d", i-1)), items[0]}
		}
		mustBackup(t, r, chain.SetID{Inc: true, Start: at(i - 1), End: at(i)}, opt, items)
	}
	sets := load(t, st).Latest().Sets
	if len(sets) != n {
		t.Fatalf("%d sets", len(sets))
	}
	before := heap()
	m, err := r.MergeSignatures(t.Context(), sets)
	if err != nil {
		t.Fatal(err)
	}
	if each := (heap() - before) / n; each > 160<<10 {
		t.Errorf("%d bytes of memory a set", each)
	}
	lines, err := drain(m)
	if err := errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 4 {
		t.Errorf("%q, want the root, two files of the full and the newest", lines)
	}
}

// heap is how much memory is in use, in bytes.
func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// Random chains against a map that is edited.
func TestMergeProperty(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		r, st := newRepository()
		state := map[string]int{} // path -> day
		for n := 1; n <= 6; n++ {
			change := map[string]bool{}
			for range rnd.IntN(40) {
				p := make([]string, 1+rnd.IntN(3))
				for i := range p {
					p[i] = []string{"a", "a-", "a.b", "b", "\xff", "0"}[rnd.IntN(6)]
				}
				change[strings.Join(p, "/")] = n == 1 || rnd.IntN(3) > 0
			}
			var items []item
			for _, p := range slices.SortedFunc(maps.Keys(change), difftar.Compare[string, string]) {
				if delete(state, p); !change[p] {
					items = append(items, deleted(p))
					continue
				}
				state[p] = n
				items = append(items, file(p, fmt.Sprint(n)))
			}
			id := full(1)
			if n > 1 {
				id = inc(n-1, n)
			}
			mustBackup(t, r, id, chain.SetOptions{Format: gz}, items)
			m, err := r.MergeSignatures(t.Context(), load(t, st).Latest().Sets)
			if err != nil {
				t.Fatal(err)
			}
			got, err := drain(m)
			if err := errors.Join(err, m.Close()); err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, p := range slices.SortedFunc(maps.Keys(state), difftar.Compare[string, string]) {
				want = append(want, p+":signature of "+p)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, %d sets: %q, want %q", seed, n, got, want)
			}
		}
	}
}

// An archive out of order, or with a path twice, cannot be merged.
func TestMergeOrder(t *testing.T) {
	for name, items := range map[string][]item{
		"order": {file("b", ""), file("a", "")},
		"slash": {file("a-b", ""), file("a/b", "")},
		"twice": {file("a", ""), file("b", ""), file("b", "x")},
	} {
		r, st := newRepository()
		mustBackup(t, r, full(1), chain.SetOptions{}, []item{file("a", "1")})
		var tar bytes.Buffer
		w := difftar.NewSigtarWriter(&tar)
		for _, it := range items {
			it.Kind, it.Size = difftar.Signature, 0
			if err := w.WriteHeader(&it.Entry); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		put(t, st, keyOf(full(1), naming.Signatures, 0, codec.Format{}), tar.Bytes())
		r.Archive = nil
		m, err := r.MergeSignatures(t.Context(), load(t, st).Latest().Sets)
		if err != nil {
			t.Fatal(err)
		}
		_, err = drain(m)
		if !errors.Is(err, difftar.ErrFormat) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, again := m.Next(); again != err {
			t.Errorf("%s: then %v", name, again)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMergeErrors(t *testing.T) {
	r, st := newRepository()
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz}, []item{file("a", "1")})
	mustBackup(t, r, inc(1, 2), chain.SetOptions{Format: gz}, []item{file("b", "1")})
	sets := load(t, st).Latest().Sets
	r.Archive = nil
	r.Store = storetest.NewFault(st, storetest.Rule{Op: storetest.Get, Nth: 2})
	if _, err := r.MergeSignatures(t.Context(), sets); !errors.Is(err, storetest.ErrFault) {
		t.Errorf("second archive cannot be opened: %v", err)
	}
	bare := *sets[1]
	bare.Signatures = nil
	if _, err := r.MergeSignatures(t.Context(), []*chain.Set{sets[0], &bare}); !errors.Is(err, chain.ErrNoSignatures) {
		t.Errorf("no signatures: %v", err)
	}
}

// The merged signatures of the golden repositories are the source tree of that time,
// and so are the merged states without them.
func TestMergeGolden(t *testing.T) {
	treetest.Sequential(t)
	times := 0
	for _, c := range treetest.LoadCases(t) {
		if strings.HasPrefix(c.Name, "corrupt-") || strings.HasPrefix(c.Name, "truncated-") || strings.HasPrefix(c.Name, "missing-") {
			continue
		}
		r, col := openCase(t, c)
		for _, at := range c.Times {
			if slices.Contains(c.Unreachable, at) {
				continue
			}
			if testing.Short() && at != c.Times[len(c.Times)-1] {
				continue
			}
			times++
			ch, err := col.At(naming.Time(at))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, e := range c.Source(t, at) {
				if e.Type != treetest.TypeSocket { // which is not stored
					want = append(want, e.Path)
				}
			}
			for name, merge := range map[string]func() (*chain.Merge, error){
				"signatures": func() (*chain.Merge, error) { return r.MergeSignatures(t.Context(), ch.Until(naming.Time(at))) },
				"states":     func() (*chain.Merge, error) { return r.MergeStates(t.Context(), bare(ch.Until(naming.Time(at)))) },
			} {
				m, err := merge()
				if err != nil {
					t.Errorf("%s at %d: %v", c.Name, at, err)
					continue
				}
				var got []string
				e, err := m.Next()
				for ; err == nil; e, err = m.Next() {
					got = append(got, e.Path)
				}
				if err != io.EOF || !slices.Equal(got, want) {
					t.Errorf("%s at %d: %s give %d paths, want %d; error %v", c.Name, at, name, len(got), len(want), err)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	t.Logf("%d times", times)
}

// bare is the sets without their signatures.
func bare(sets []*chain.Set) []*chain.Set {
	var all []*chain.Set
	for _, s := range sets {
		b := *s
		b.Signatures = nil
		all = append(all, &b)
	}
	return all
}

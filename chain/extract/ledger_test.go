package extract_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

func randomPath(rng *rand.Rand) string {
	names := []string{"a", "b", "a-b", "a.b", "\xff", "nested", strings.Repeat("long", 50), "z"}
	parts := make([]string, 1+rng.IntN(4))
	for i := range parts {
		parts[i] = names[rng.IntN(len(names))]
	}
	return strings.Join(parts, "/")
}

func sortedPaths[V any](m map[string]V) []string {
	return slices.SortedFunc(maps.Keys(m), difftar.Compare[string, string])
}

// TestLedger compares a ledger with a map.
func TestLedger(t *testing.T) {
	for _, memory := range []int64{0, 40_000, 1 << 30} {
		rng := treetest.Rand(t, uint64(memory))
		l := extract.NewLedger(memory)
		want := make(map[string][]byte)
		for i := range 40 {
			added := make(map[string][]byte)
			for range rng.IntN(400) {
				p := randomPath(rng)
				added[p] = bytes.Repeat([]byte{byte(i)}, rng.IntN(300))
				if rng.IntN(200) == 0 {
					added[p] = make([]byte, 100_000)
				}
			}
			if err := l.Add(sortedPaths(added), func(p string) []byte { return added[p] }); err != nil {
				t.Fatal(err)
			}
			maps.Copy(want, added)
			if l.Held() > memory {
				t.Fatalf("%d bytes in memory", l.Held())
			}
			checkLedger(t, rng, l, want)
		}
		if l.Runs() > 12 {
			t.Errorf("%d runs", l.Runs())
		}
		var got []string
		err := l.Backwards(func(p string, payload []byte) error {
			got = append(got, p)
			if !bytes.Equal(payload, want[p]) {
				t.Errorf("%q: wrong payload", p)
			}
			return nil
		})
		slices.Reverse(got)
		if err != nil || !slices.Equal(got, sortedPaths(want)) {
			t.Errorf("backwards: %v, %d of %d paths", err, len(got), len(want))
		}
		l.Close()
		if l.Held() != 0 || l.Live() != 0 {
			t.Errorf("%d bytes in memory, %d in the file after Close", l.Held(), l.Live())
		}
	}
}

func checkLedger(t *testing.T, rng *rand.Rand, l *extract.Ledger, want map[string][]byte) {
	t.Helper()
	var got []string
	err := l.Each(func(p string, payload []byte) error {
		got = append(got, p)
		if !bytes.Equal(payload, want[p]) {
			t.Errorf("%q: wrong payload", p)
		}
		return nil
	})
	all := sortedPaths(want)
	if err != nil || !slices.Equal(got, all) {
		t.Fatalf("each: %v, %d of %d paths", err, len(got), len(want))
	}
	// Look up some paths, those that are there and others.
	from := randomPath(rng)
	find, err := l.View(from)
	if err != nil {
		t.Fatal(err)
	}
	queries := slices.Clone(all)
	for range 50 {
		queries = append(queries, randomPath(rng))
	}
	slices.SortFunc(queries, difftar.Compare[string, string])
	for _, q := range queries {
		if difftar.Compare(q, from) < 0 || rng.IntN(3) > 0 {
			continue
		}
		payload, ok, err := find(q)
		w, there := want[q]
		if err != nil || ok != there || !bytes.Equal(payload, w) {
			t.Fatalf("find %q: %v, %v, want %v", q, ok, err, there)
		}
	}
}

func TestLedgerOrder(t *testing.T) {
	l := extract.NewLedger(0)
	defer l.Close()
	for _, paths := range [][]string{{"b", "a"}, {"a", "a"}, {"a-b", "a/b"}, {"a", ""}} {
		if err := l.Add(paths, func(string) []byte { return []byte{1} }); err == nil {
			t.Errorf("%q was taken", paths)
		}
	}
	if l.Live() != 0 {
		t.Errorf("%d bytes stay in the file", l.Live())
	}
}

// FuzzLedger builds runs of whatever paths the input makes, and looks them all up.
func FuzzLedger(f *testing.F) {
	f.Add([]byte("a\nb\na/b\na-b"), int64(0))
	f.Add([]byte(strings.Repeat("x/", 200)+"\n"+strings.Repeat("x/", 200)+"y"), int64(1000))
	f.Fuzz(func(t *testing.T, data []byte, memory int64) {
		l := extract.NewLedger(memory)
		defer l.Close()
		want := make(map[string][]byte)
		for i, half := range [][]byte{data, data[len(data)/2:]} {
			added := make(map[string][]byte)
			for line := range strings.SplitSeq(string(half), "\n") {
				added[line] = []byte(fmt.Sprint(i, len(line)))
			}
			if err := l.Add(sortedPaths(added), func(p string) []byte { return added[p] }); err != nil {
				t.Fatal(err)
			}
			maps.Copy(want, added)
		}
		find, err := l.View("")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range sortedPaths(want) {
			if payload, ok, err := find(p); err != nil || !ok || !bytes.Equal(payload, want[p]) {
				t.Fatalf("%q: %q, %v, %v", p, payload, ok, err)
			}
		}
	})
}

// FuzzRecord decodes what lies in a temporary file: whatever it is, nothing breaks,
// and what decodes means the same when it is encoded again.
func FuzzRecord(f *testing.F) {
	f.Add(extract.Encode(2, 7, difftar.Meta{Type: difftar.Symlink, Linkname: "to", UID: math.MaxInt64, MTime: -1}))
	f.Add(extract.Encode(1, math.MaxUint64, difftar.Meta{Type: difftar.Regular, Mode: 0o7777, Uname: "u", Gname: "g"}))
	f.Add([]byte{1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 2, 1, 1, 1, 5, 5, 5})
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := extract.Recode(data)
		if err != nil {
			return
		}
		twice, err := extract.Recode(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%x became %x and then %x, %v", data, once, twice, err)
		}
	})
}

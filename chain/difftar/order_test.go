package difftar_test

import (
	"slices"
	"strings"
	"testing"

	"hindsight/chain/difftar"
)

// oracle is the order as it is defined: component by component, as bytes.
func oracle(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) }

func checkOrder(t *testing.T, a, b string) {
	t.Helper()
	want := oracle(a, b)
	if got := difftar.Compare(a, b); got != want {
		t.Fatalf("Compare(%q, %q) = %d, want %d", a, b, got, want)
	}
	if got := difftar.Compare(b, []byte(a)); got != -want {
		t.Fatalf("Compare(%q, %q) = %d, want %d", b, a, got, -want)
	}
	within := b == "" || a == b || strings.HasPrefix(a, b+"/")
	if got := difftar.Within(a, b); got != within {
		t.Fatalf("Within(%q, %q) = %v", a, b, got)
	}
}

func TestCompare(t *testing.T) {
	sorted := []string{"", "a", "a/inner", "a/inner/x", "a\x01", "a ", "a b", "a-b", "a.b", "a0", "aa", "aa/b", "b", "\xff", "\xff/a", "\xff\xff"}
	for i, a := range sorted {
		for j, b := range sorted {
			checkOrder(t, a, b)
			if c := difftar.Compare(a, b); (c < 0) != (i < j) || (c == 0) != (i == j) {
				t.Errorf("Compare(%q, %q) = %d", a, b, c)
			}
		}
	}
}

// Short strings over few letters meet all cases; a sort shows that the order is total.
func TestCompareIsTotal(t *testing.T) {
	rnd := newRandom(5)
	paths := make([]string, 3000)
	for i := range paths {
		b := make([]byte, rnd.IntN(6))
		for j := range b {
			b[j] = "a/b.\xff-"[rnd.IntN(6)]
		}
		paths[i] = string(b)
	}
	for range 200_000 {
		checkOrder(t, paths[rnd.IntN(len(paths))], paths[rnd.IntN(len(paths))])
	}
	slices.SortFunc(paths, difftar.Compare[string, string])
	paths = slices.Compact(paths)
	for i, a := range paths {
		for _, b := range paths[i+1:] {
			if difftar.Compare(a, b) >= 0 {
				t.Fatalf("%q sorted before %q", a, b)
			}
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("a/b", "a-b")
	f.Add("", "/")
	f.Fuzz(checkOrder)
}

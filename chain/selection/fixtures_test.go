package selection_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hindsight/chain/selection"
	"hindsight/chain/treetest"
)

// TestFixtures selects from the recorded source of golden repositories by the
// options they were written with.
func TestFixtures(t *testing.T) {
	fixtures := treetest.Fixtures(t)
	for _, name := range []string{"selection", "selection-v3"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(fixtures, name)
			var c struct {
				Selection     []string
				CompleteTimes []json.Number `json:"complete_times"`
			}
			readJSON(t, filepath.Join(dir, "case.json"), &c)
			if len(c.Selection) == 0 || len(c.CompleteTimes) != 1 {
				t.Fatalf("case.json holds options %q, times %v", c.Selection, c.CompleteTimes)
			}
			source := readTree(t, filepath.Join(dir, "source.json"))
			expected := readTree(t, filepath.Join(dir, "expected", c.CompleteTimes[0].String()+".json"))

			s := compile(t, "src", flags(c.Selection...)...)
			var want []string
			for p := range expected {
				want = append(want, p)
			}
			slices.Sort(want)
			if got := source.selected(s); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if len(want) == 0 || len(want) == len(source) {
				t.Errorf("%d of %d paths selected: the fixture tells nothing", len(want), len(source))
			}
		})
	}
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// readTree reads a recorded tree, without its root.
func readTree(t *testing.T, name string) tree {
	t.Helper()
	var record struct {
		Entries []struct {
			Path  string `json:"path_b64"`
			Type  string
			MTime int64
		}
	}
	readJSON(t, name, &record)
	tr := tree{}
	for _, e := range record.Entries {
		p, err := base64.StdEncoding.DecodeString(e.Path)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]selection.Kind{"dir": selection.Directory, "file": selection.Regular}
		if string(p) != "." {
			tr[string(p)] = node{kind: kinds[e.Type], mtime: e.MTime}
		}
	}
	return tr
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestJSONDocumented makes sure that the README has every field of every object.
func TestJSONDocumented(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := bytes.Cut(text, []byte("### JSON\n"))
	text, _, _ = bytes.Cut(text, []byte("\n### "))
	if !found {
		t.Fatal("the README says nothing of JSON")
	}
	fields := 0
	for _, v := range []any{
		statistics{}, restored{}, plannedRun{}, plannedRead{}, plannedVolume{}, verified{}, foundDifference{}, listed{}, foundVersion{},
		collectionStatus{}, problem{}, setState{}, stray{}, indexed{}, published{}, checkup{}, progressEvent{}, message{},
	} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			if fields++; !bytes.Contains(text, []byte("`"+name+"`")) {
				t.Errorf("%T: the README does not tell of %q", v, name)
			}
		}
	}
	if fields < 90 {
		t.Errorf("%d fields were found", fields)
	}
}

// decodeLines reads one object a line.
func decodeLines[T any](t *testing.T, text string) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}

func parseList(t *testing.T, stdout string) []listed {
	t.Helper()
	return decodeLines[listed](t, stdout)
}

func parseStatus(t *testing.T, stdout string) collectionStatus {
	t.Helper()
	all := decodeLines[collectionStatus](t, stdout)
	if len(all) != 1 {
		t.Fatalf("%d objects, want one", len(all))
	}
	return all[0]
}

// parseLost are the paths that messages name as lost.
func parseLost(t *testing.T, stderr string) []string {
	t.Helper()
	var lost []string
	for _, m := range decodeLines[message](t, stderr) {
		switch {
		case m.Type != "lost":
		case m.PathB64 != nil:
			lost = append(lost, string(m.PathB64))
		default:
			lost = append(lost, m.Path)
		}
	}
	return lost
}

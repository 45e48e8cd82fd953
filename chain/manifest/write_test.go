package manifest_test

import (
	"bytes"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/manifest"
)

func seq(changes []manifest.Change) iter.Seq2[manifest.Change, error] {
	return func(yield func(manifest.Change, error) bool) {
		for _, c := range changes {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// write writes all of a manifest, with a Filelist if m has one.
func write(m *manifest.Manifest, changes []manifest.Change) (string, error) {
	var b bytes.Buffer
	w := manifest.NewWriter(&b, m.Hostname, m.LocalDir)
	for _, v := range m.Volumes {
		if err := w.Volume(v); err != nil {
			return "", err
		}
	}
	if m.Listed >= 0 {
		if err := w.Filelist(len(changes), seq(changes)); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func TestWrite(t *testing.T) {
	got, err := write(sampleManifest(), sampleChanges)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// splitEntries cuts a manifest into one text per logged volume, so that repeats
// survive the reading, and its Filelist.
func splitEntries(text string) (entries []string, list string) {
	if i := strings.Index(text, "\nFilelist "); i >= 0 {
		text, list = text[:i+1], text[i+1:]
	}
	parts := strings.Split(text, "\nVolume ")
	for _, p := range parts[1:] {
		entries = append(entries, "Volume "+strings.TrimSuffix(p, "\n")+"\n")
	}
	return entries, list
}

// Every plain manifest of both versions comes out as it went in, byte for byte.
func TestWriteFixtures(t *testing.T) {
	texts := fixtureManifests(t)
	repeated := 0
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := string(texts[name])
		m, changes, err := read(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Listed >= 0 && m.Listed != m.Changes {
			t.Errorf("%s: Filelist of %d has %d changes", name, m.Listed, m.Changes)
		}
		entries, _ := splitEntries(text)
		if len(entries) != len(m.Volumes) {
			repeated++
		}
		var volumes []manifest.Volume
		for _, e := range entries {
			one, _, err := read(e)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			volumes = append(volumes, one.Volumes...)
		}
		logged := *m
		logged.Volumes = volumes
		got, err := write(&logged, changes)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(text, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if repeated != 2 {
		t.Errorf("%d fixtures with repeated volumes, want 2", repeated)
	}
	t.Logf("%d manifests", len(texts))
}

func TestWriteHead(t *testing.T) {
	v := manifest.Volume{Number: 1}
	const body = "Volume 1:\n    StartingPath   .  \n    EndingPath     .  \n"
	for _, tt := range []struct{ host, dir, want string }{
		{"", "", body},
		{"h", "", "Hostname h\n" + body},
		{"", "/a b", "Localdir \"/a\\x20b\"\n" + body},
		{"h o", ".", "Hostname h o\nLocaldir .\n" + body},
	} {
		var b bytes.Buffer
		w := manifest.NewWriter(&b, tt.host, tt.dir)
		if err := w.Volume(v); err != nil {
			t.Errorf("%q %q: %v", tt.host, tt.dir, err)
		}
		if b.String() != tt.want {
			t.Errorf("%q %q: got %q, want %q", tt.host, tt.dir, b.String(), tt.want)
		}
	}
}

// The text of a volume is out when Volume returns: a checkpoint depends on it.
func TestWriteIsPrompt(t *testing.T) {
	var b bytes.Buffer
	w := manifest.NewWriter(&b, "h", "d")
	for number := 1; number <= 3; number++ {
		if err := w.Volume(manifest.Volume{Number: number}); err != nil {
			t.Fatal(err)
		}
		m, _, err := read(b.String())
		if err != nil || len(m.Volumes) != number {
			t.Fatalf("after volume %d: %v, %v", number, m, err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	volume := func(v manifest.Volume) func(*manifest.Writer) error {
		return func(w *manifest.Writer) error { return w.Volume(v) }
	}
	list := func(n int, c ...manifest.Change) func(*manifest.Writer) error {
		return func(w *manifest.Writer) error { return w.Filelist(n, seq(c)) }
	}
	hashes := func(h ...manifest.Hash) func(*manifest.Writer) error {
		return volume(manifest.Volume{Number: 1, Hashes: h})
	}
	cause := errors.New("walk stopped")
	for name, tt := range map[string]struct {
		do   func(*manifest.Writer) error
		want string
	}{
		"number 0":       {volume(manifest.Volume{}), "volume number 0"},
		"number":         {volume(manifest.Volume{Number: manifest.MaxVolumes + 1}), "volume number"},
		"block":          {volume(manifest.Volume{Number: 1, Start: manifest.Position{Path: "a", Block: -1}}), "block number"},
		"path":           {volume(manifest.Volume{Number: 1, End: manifest.Position{Path: "../a"}}), `component ".."`},
		"long path":      {volume(manifest.Volume{Number: 1, End: manifest.Position{Path: strings.Repeat("x", manifest.MaxPath+1)}}), "path longer"},
		"short SHA1":     {hashes(manifest.Hash{Algorithm: "SHA1", Hex: "ab"}), "40 hex digits"},
		"odd hash":       {hashes(manifest.Hash{Algorithm: "X", Hex: "a\nVolume 2:"}), "not a word"},
		"many hashes":    {hashes(make([]manifest.Hash, 9)...), "more than 8 hashes"},
		"too few":        {list(2, manifest.Change{Word: "new", Path: "a"}), "1 changes where 2"},
		"too many":       {list(0, manifest.Change{Word: "new", Path: "a"}), "1 changes where 0"},
		"negative":       {list(-1), "count -1"},
		"word":           {list(1, manifest.Change{Word: "moved", Path: "a"}), `"moved"`},
		"path of change": {list(1, manifest.Change{Word: "new", Path: "a//b"}), `component ""`},
		"walk": {func(w *manifest.Writer) error {
			return w.Filelist(1, func(yield func(manifest.Change, error) bool) { yield(manifest.Change{}, cause) })
		}, "walk stopped"},
		"late volume": {func(w *manifest.Writer) error {
			return errors.Join(w.Filelist(0, nil), w.Volume(manifest.Volume{Number: 1}))
		}, "after the Filelist"},
		"second list": {func(w *manifest.Writer) error { return errors.Join(w.Filelist(0, nil), w.Filelist(0, nil)) }, "second Filelist"},
	} {
		t.Run(name, func(t *testing.T) {
			w := manifest.NewWriter(new(bytes.Buffer), "h", "d")
			err := tt.do(w)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if again := w.Volume(manifest.Volume{Number: 1}); again == nil {
				t.Error("the writer goes on after an error")
			}
		})
	}
}

func TestWriteBadHead(t *testing.T) {
	for name, w := range map[string]*manifest.Writer{
		"line end":  manifest.NewWriter(new(bytes.Buffer), "h\nVolume 1:", "d"),
		"long host": manifest.NewWriter(new(bytes.Buffer), strings.Repeat("h", manifest.MaxLine), "d"),
		"long dir":  manifest.NewWriter(new(bytes.Buffer), "h", strings.Repeat("d", manifest.MaxPath+1)),
	} {
		if err := w.Volume(manifest.Volume{Number: 1}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type brokenWriter struct{ err error }

func (b brokenWriter) Write([]byte) (int, error) { return 0, b.err }

func TestWriteErrors(t *testing.T) {
	full := errors.New("no space")
	w := manifest.NewWriter(brokenWriter{full}, "h", "d")
	if err := w.Volume(manifest.Volume{Number: 1}); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	many := slices.Repeat([]manifest.Change{{Word: manifest.New, Path: "some/path"}}, 1e5)
	w = manifest.NewWriter(brokenWriter{full}, "h", "d")
	if err := w.Filelist(len(many), seq(many)); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

func TestQuote(t *testing.T) {
	for _, tt := range []struct{ raw, quoted string }{
		{"plain", "plain"},
		{"", ""},
		{"a b", `"a\x20b"`},
		{"\t\n\v\f\r", `"\x09\x0a\x0b\x0c\x0d"`},
		{`back\slash`, `"back\x5cslash"`},
		{`"`, `"\x22"`},
		{"quo'te", `"quo\x27te"`},
		{"\x00\x1f\x7f\x85\xa0\xff", "\x00\x1f\x7f\x85\xa0\xff"},
		{"new\n(\xff", "\"new\\x0a(\xff\""},
	} {
		if got := manifest.Quote(tt.raw); got != tt.quoted {
			t.Errorf("Quote(%q) = %q, want %q", tt.raw, got, tt.quoted)
		}
		if got, err := manifest.Unquote(tt.quoted); err != nil || got != tt.raw {
			t.Errorf("Unquote(%q) = %q, %v, want %q", tt.quoted, got, err, tt.raw)
		}
	}
	if got, err := manifest.Unquote(`"\x4A\x4a\xfF"`); err != nil || got != "JJ\xff" {
		t.Errorf("digits of either case: %q, %v", got, err)
	}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	if got, err := manifest.Unquote(manifest.Quote(string(all))); err != nil || got != string(all) {
		t.Errorf("all bytes: %q, %v", got, err)
	}
}

// The longest path fits a line even if each byte of it is escaped.
func TestLongestPath(t *testing.T) {
	p := strings.Repeat("\"", manifest.MaxPath)
	m := &manifest.Manifest{
		Hostname: "h", LocalDir: p, Listed: 1, Changes: 1,
		Volumes: []manifest.Volume{{Number: manifest.MaxVolumes, Start: manifest.Position{Path: p, Block: manifest.MaxBlock}, End: manifest.Position{Path: p}}},
	}
	changes := []manifest.Change{{Word: manifest.Changed, Path: p}}
	text, err := write(m, changes)
	if err != nil {
		t.Fatal(err)
	}
	got, gotChanges, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" || !slices.Equal(gotChanges, changes) {
		t.Errorf("the longest paths are not read back (-want +got):\n%.2000s", diff)
	}
}

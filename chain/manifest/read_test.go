package manifest_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/manifest"
	"hindsight/chain/treetest"
)

const (
	sha1A = "03ffeea38ec1477ca2bd906d1646b95a039d45ff"
	sha1B = "2b259bf25223d02f2892c7e57e9c01e4649f0226"
)

// sample is the example of duplicity-format.md §2.
const sample = "Hostname fxhost\nLocaldir src\n" +
	"Volume 1:\n    StartingPath   .  \n    EndingPath     big/span.bin 15\n    Hash SHA1 " + sha1A + "\n" +
	"Volume 2:\n    StartingPath   big/span.bin 16\n    EndingPath     d-keep.txt  \n    Hash SHA1 " + sha1B + "\n" +
	"Filelist 3\n    new      a-small.txt\n    changed  big/span.bin\n    deleted  gone.txt\n"

// read reads text and collects the changes.
func read(text string) (*manifest.Manifest, []manifest.Change, error) {
	var changes []manifest.Change
	m, err := manifest.Read(strings.NewReader(text), 0, func(c manifest.Change) error {
		changes = append(changes, c)
		return nil
	})
	return m, changes, err
}

func sampleManifest() *manifest.Manifest {
	return &manifest.Manifest{
		Hostname: "fxhost",
		LocalDir: "src",
		Volumes: []manifest.Volume{
			{Number: 1, End: manifest.Position{Path: "big/span.bin", Block: 15}, Hashes: []manifest.Hash{{Algorithm: "SHA1", Hex: sha1A}}},
			{Number: 2, Start: manifest.Position{Path: "big/span.bin", Block: 16}, End: manifest.Position{Path: "d-keep.txt"}, Hashes: []manifest.Hash{{Algorithm: "SHA1", Hex: sha1B}}},
		},
		Listed:  3,
		Changes: 3,
	}
}

var sampleChanges = []manifest.Change{
	{Word: manifest.New, Path: "a-small.txt"},
	{Word: manifest.Changed, Path: "big/span.bin"},
	{Word: manifest.Deleted, Path: "gone.txt"},
}

func TestRead(t *testing.T) {
	head, volumes, _ := strings.Cut(sample, "Volume 1:")
	volumes, list, _ := strings.Cut("Volume 1:"+volumes, "Filelist")
	older := head + "Filelist" + list + volumes
	shouting := strings.NewReplacer("Hostname", "HOSTNAME", "Localdir", "localDIR", "Volume", "volume",
		"StartingPath", "startingpath", "EndingPath", "ENDINGPATH", "Hash", "hash", "Filelist", "FileList", "new ", "NEW ").Replace(sample)
	for name, text := range map[string]string{
		"as written":              sample,
		"filelist before volumes": older,
		"other case":              shouting,
		"last line not ended":     strings.TrimSuffix(sample, "\n"),
		"other white space":       strings.NewReplacer("    Start", "\tStart", "15\n", "15 \t\r\n", "Hash SHA1 ", "Hash\tSHA1\v\f").Replace(sample),
		"unknown lines":           "Futuristic 7\n" + strings.Replace(sample, "    Hash SHA1 "+sha1A, "    Colour green\n\n    Hash SHA1 "+sha1A, 1),
		"later heads":             sample + "Hostname other\nLocaldir other\n",
		"field said twice":        strings.Replace(sample, "    EndingPath     d", "    EndingPath     x 9\n    EndingPath     d", 1),
	} {
		t.Run(name, func(t *testing.T) {
			m, changes, err := read(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sampleManifest(), m); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(sampleChanges, changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			skipped, err := manifest.Read(iotest.OneByteReader(strings.NewReader(text)), 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sampleManifest(), skipped); diff != "" {
				t.Errorf("without changes (-want +got):\n%s", diff)
			}
		})
	}
}

// entry is a volume's entry without a hash whose end path tells entries apart.
func entry(number, end string) string {
	return "Volume " + number + ":\n    StartingPath   .  \n    EndingPath     " + end + "  \n"
}

func TestReadRepeats(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"none", "Hostname h\n", ""},
		{"nothing", "", ""},
		{"later wins, higher dropped", entry("1", "a") + entry("2", "b") + entry("3", "c") + entry("2", "d"), "1a 2d"},
		{"same number at once", entry("1", "a") + entry("1", "b"), "1b"},
		{"gap", entry("2", "a") + entry("5", "b"), "2a 5b"},
		{"back to the first", entry("1", "a") + entry("2", "b") + entry("1", "c"), "1c"},
		{"twice resumed", entry("1", "a") + entry("2", "b") + entry("2", "c") + entry("2", "d") + entry("3", "e"), "1a 2d 3e"},
	} {
		m, _, err := read(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, v := range m.Volumes {
			got = append(got, string(rune('0'+v.Number))+v.End.Path)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: volumes %q, want %q", tt.name, s, tt.want)
		}
		if m.Listed != -1 {
			t.Errorf("%s: Listed %d without a Filelist, want -1", tt.name, m.Listed)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	vol := func(fields string) string { return "Hostname h\nVolume 1:\n" + fields }
	ends := "    StartingPath   .  \n    EndingPath     .  \n"
	for _, tt := range []struct {
		text string
		line int
		want string
	}{
		{"Volume x:\n", 1, "volume number"},
		{"Volume 1\n", 1, "volume number"},
		{"Volume 0:\n", 1, "volume number"},
		{"Volume 4194305:\n", 1, "volume number"},
		{"Volume 99999999999999999999999:\n", 1, "volume number"},
		{vol(""), 2, "no StartingPath"},
		{vol("    StartingPath   .  \n"), 3, "no EndingPath"},
		{vol("    EndingPath   .  \nVolume 2:\n"), 4, "no StartingPath"},
		{vol("    EndingPath   .  \nFilelist 0\n"), 4, "no StartingPath"},
		{vol("    StartingPath\n"), 3, "no path"},
		{vol("    StartingPath   \"a\n"), 3, "closing quote"},
		{vol("    StartingPath   \"\n"), 3, "closing quote"},
		{vol("    StartingPath   \"a\"b\"\n"), 3, "quote within"},
		{vol("    StartingPath   \"a\\n\"\n"), 3, "escape"},
		{vol("    StartingPath   \"a\\x4\"\n"), 3, "escape"},
		{vol("    StartingPath   \"a\\x4g\"\n"), 3, "escape"},
		{vol("    StartingPath   \"\"\n"), 3, "empty path"},
		{vol("    StartingPath   a//b\n"), 3, `component ""`},
		{vol("    StartingPath   /etc\n"), 3, `component ""`},
		{vol("    StartingPath   a/../../b\n"), 3, `component ".."`},
		{vol("    StartingPath   ./a\n"), 3, `component "."`},
		{vol("    StartingPath   a\x00b\n"), 3, "zero byte"},
		{vol("    StartingPath   a x\n"), 3, "block number"},
		{vol("    StartingPath   a -1\n"), 3, "block number"},
		{vol("    StartingPath   a 2147483648\n"), 3, "block number"},
		{vol(ends + "    Hash SHA1 03ff\n"), 5, "40 hex digits"},
		{vol(ends + "    Hash sha1 " + sha1A[1:] + "g\n"), 5, "40 hex digits"},
		{vol(ends + "    Hash MD5 " + sha1A + "\n"), 5, "32 hex digits"},
		{vol(ends + "    Hash CRC\n"), 5, "not a word"},
		{vol(ends + strings.Repeat("    Hash CRC 1\n", 9)), 13, "more than 8 hashes"},
		{"Localdir \"a\n", 1, "Localdir"},
		{"Filelist many\n", 1, "count of the Filelist"},
		{"Filelist 99999999999999\n", 1, "count of the Filelist"},
		{"Filelist 0\nFilelist 0\n", 2, "second Filelist"},
		{"Filelist 1\n    moved    a\n", 2, "not new, changed or deleted"},
		{"Filelist 1\n    new\n", 2, "empty path"},
		{"Filelist 1\n    new      a/..\n", 2, `component ".."`},
		{"Hostname h\n" + strings.Repeat("x", manifest.MaxLine) + "\n", 2, "longer than 263168 bytes"},
		{vol("    StartingPath   " + strings.Repeat("x", manifest.MaxPath+1) + "\n"), 3, "path longer"},
		{"Localdir " + strings.Repeat("x", manifest.MaxPath+1), 1, "Localdir longer"},
	} {
		m, _, err := read(tt.text)
		var syntax *manifest.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%.80q: got %v, %v, want a SyntaxError", tt.text, m, err)
			continue
		}
		if syntax.Line != tt.line || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80q: error %q, want line %d and %q", tt.text, err, tt.line, tt.want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	broken := errors.New("broken pipe")
	_, err := manifest.Read(io.MultiReader(strings.NewReader(sample[:40]), iotest.ErrReader(broken)), 0, nil)
	if !errors.Is(err, broken) {
		t.Errorf("error of the reader: got %v, want %v", err, broken)
	}
	stop := errors.New("stop")
	seen := 0
	_, err = manifest.Read(strings.NewReader(sample), 0, func(manifest.Change) error {
		seen++
		return stop
	})
	if err != stop || seen != 1 {
		t.Errorf("error of the callback: got %v after %d calls, want %v after 1", err, seen, stop)
	}
}

func TestReadMemory(t *testing.T) {
	const limit = 4000
	for name, piece := range map[string]string{
		"volumes": entry("1", "a"),
		"paths":   "Volume 1:\n    StartingPath   " + strings.Repeat("x", 500) + "\n    EndingPath   a\n",
		"hashes":  entry("1", "a") + strings.Repeat("    Hash SHA1 "+sha1A+"\n", 8),
	} {
		_, err := manifest.Read(strings.NewReader(strings.Repeat(piece, 3)), limit, nil)
		if err != nil {
			t.Errorf("%s: a little: %v", name, err)
		}
		_, err = manifest.Read(strings.NewReader(strings.Repeat(piece, 40)), limit, nil)
		if !errors.Is(err, manifest.ErrTooLarge) || !strings.Contains(err.Error(), "more than 4000 bytes") {
			t.Errorf("%s: a lot: got %v, want %v", name, err, manifest.ErrTooLarge)
		}
	}
	if _, err := manifest.Read(strings.NewReader(entry("1", "a")+"Filelist 1000\n"+strings.Repeat("    new      a/b/c\n", 1000)), limit, nil); err != nil {
		t.Errorf("a long Filelist: %v", err)
	}
}

// The list may be cut off or padded; who shows it can tell.
func TestReadCountMismatch(t *testing.T) {
	m, changes, err := read(strings.Replace(sample, "Filelist 3", "Filelist 1000000000000", 1))
	if err != nil {
		t.Fatal(err)
	}
	if m.Listed != 1e12 || m.Changes != 3 || len(changes) != 3 {
		t.Errorf("listed %d, has %d, gave %d; want 1e12, 3, 3", m.Listed, m.Changes, len(changes))
	}
	m, err = manifest.Read(strings.NewReader(sample), 0, nil)
	if err != nil || m.Changes != 3 {
		t.Errorf("passing over the list: %v, %d changes, want 3", err, m.Changes)
	}
}

// Bytes that only Unicode takes for white space are part of a name.
func TestReadRawBytes(t *testing.T) {
	for _, path := range []string{"nel\xc2\x85x", "nbsp\xc2\xa0x", "em\u2003x", "\x85", "\xff\xfe", "\x01\x1f\x7f", "ünï", "a\u2028b"} {
		m, changes, err := read("Volume 1:\n StartingPath " + path + "  \n EndingPath " + path + " 7\nFilelist 1\n    new      " + path + "\n")
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		v := m.Volumes[0]
		if v.Start.Path != path || v.End.Path != path || v.End.Block != 7 || changes[0].Path != path {
			t.Errorf("%q: read as %+v, %+v", path, v, changes)
		}
	}
}

func TestVolumeHash(t *testing.T) {
	md5 := strings.Repeat("ab", 16)
	for _, tt := range []struct {
		lines      string
		sha1, best string
	}{
		{"", "", ""},
		{"Hash SHA1 " + strings.ToUpper(sha1A), sha1A, "SHA1 " + sha1A},
		{"Hash MD5 " + md5 + "\nHash sha1 " + sha1A, sha1A, "SHA1 " + sha1A},
		{"Hash SHA1 " + sha1A + "\nHash SHA1 " + sha1B, sha1B, "SHA1 " + sha1B},
		{"Hash CRC 12\nHash md5 " + md5, "", "MD5 " + md5},
		{"Hash CRC 12\nHash ADLER zz", "", "ADLER zz"},
	} {
		m, _, err := read(entry("1", "a") + tt.lines)
		if err != nil {
			t.Errorf("%q: %v", tt.lines, err)
			continue
		}
		sum, ok := m.Volumes[0].SHA1()
		if sum != tt.sha1 || ok != (tt.sha1 != "") {
			t.Errorf("%q: SHA1 %q, %v, want %q", tt.lines, sum, ok, tt.sha1)
		}
		best, ok := m.Volumes[0].Best()
		if s := strings.TrimSpace(best.Algorithm + " " + best.Hex); s != tt.best || ok != (tt.best != "") {
			t.Errorf("%q: best %q, %v, want %q", tt.lines, s, ok, tt.best)
		}
	}
}

// A killed and resumed backup of either version has one volume 2, the one logged last.
func TestReadResumed(t *testing.T) {
	for _, name := range []string{"resumed", "resumed-v3"} {
		path := filepath.Join(treetest.Fixtures(t), name, "repo", "duplicity-full.20231114T221320Z.manifest")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := read(string(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if logged := strings.Count(string(text), "Volume "); logged != 3 || len(m.Volumes) != 2 {
			t.Fatalf("%s: %d volumes of %d entries, want 2 of 3", name, len(m.Volumes), logged)
		}
		last := string(text)[strings.LastIndex(string(text), "SHA1 ")+5:][:40]
		if sum, ok := m.Volumes[1].SHA1(); !ok || sum != last {
			t.Errorf("%s: volume 2 has %s, want %s, which was logged last", name, sum, last)
		}
	}
}

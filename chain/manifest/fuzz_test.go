package manifest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzRead: whatever parses is written to something that parses to the same, and
// that something is a fixed point.
func FuzzRead(f *testing.F) {
	for _, text := range fuzzSeeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, changes, err := read(text)
		if err != nil {
			return
		}
		for i, v := range m.Volumes {
			if i > 0 && v.Number <= m.Volumes[i-1].Number {
				t.Fatalf("volume %d after %d", v.Number, m.Volumes[i-1].Number)
			}
		}
		written, err := write(m, changes)
		if err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		if written == "" { // nothing was said: the head goes out with the first volume
			return
		}
		again, changesAgain, err := read(written)
		if err != nil {
			t.Fatalf("read what was written: %v\n%q", err, written)
		}
		if m.Listed >= 0 {
			m.Listed = m.Changes // a wrong claim is not written
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatalf("manifest changed (-read +again):\n%s", diff)
		}
		if diff := cmp.Diff(changes, changesAgain); diff != "" {
			t.Fatalf("changes changed (-read +again):\n%s", diff)
		}
		if fixed, err := write(again, changesAgain); err != nil || fixed != written {
			t.Fatalf("written again: %v\n%q\n%q", err, written, fixed)
		}
	})
}

// fuzzSeeds are the real manifests, where they are present, and what they lack.
func fuzzSeeds(f *testing.F) []string {
	seeds := []string{
		sample,
		"", "Hostname h\n",
		entry("1", "a") + entry("2", "b") + entry("1", "c"),
		"Filelist 1\n    new      \"a\\x20b\"\n" + entry("1", "a"),
		"volume 7:\n startingpath \"\\x2e\" 0\n endingpath a\"b 9\n hash MD5 00112233445566778899aabbccddeeff\n hash x y\n",
	}
	for _, text := range presentFixtures(f) {
		seeds = append(seeds, string(text))
	}
	return seeds
}

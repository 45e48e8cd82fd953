package treetest_test

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/treetest"
)

const testScale = 0.01

// corpus makes a corpus and days of edits.
func corpus(t testing.TB, days int, share float64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "corpus")
	if err := treetest.Corpus(dir, testScale); err != nil {
		t.Fatal(err)
	}
	for day := range days {
		if err := treetest.CorpusEdit(dir, day+1, share); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCorpus(t *testing.T) {
	tree := treetest.Record(t, corpus(t, 0, 1))
	treetest.Equal(t, treetest.Record(t, corpus(t, 0, 1)), tree, treetest.Options{})
	if files, dirs := tree.Count(treetest.TypeFile), tree.Count(treetest.TypeDir); files != 400+4+1 || dirs != 131 {
		t.Errorf("%d files in %d directories, want 405 in 131", files, dirs)
	}
	for _, e := range tree {
		if e.MTime > treetest.CorpusTime || e.MTime < treetest.CorpusTime-5*366*86400 {
			t.Errorf("%q: mtime %d is not in the five years before %d", e.Path, e.MTime, treetest.CorpusTime)
		}
	}
	dump, _ := tree.Lookup(treetest.CorpusDump)
	if dump.Size < 2_400_000 || dump.Size > 2_401_000 {
		t.Errorf("dump of %d bytes, want 2,400,000 and no more than a row", dump.Size)
	}
	if total := float64(tree.Bytes()); math.Abs(total/6_310_000-1) > 0.15 {
		t.Errorf("%v bytes, want about 6,310,000", total)
	}
}

func TestCorpusCompresses(t *testing.T) {
	dir := corpus(t, 0, 1)
	dump, err := os.ReadFile(filepath.Join(dir, treetest.CorpusDump))
	if err != nil {
		t.Fatal(err)
	}
	var source, images []byte
	for _, e := range treetest.Record(t, dir) {
		if e.Type != treetest.TypeFile || e.Path == treetest.CorpusDump {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Path))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Path, ".jpg") {
			images = append(images, data...)
		} else {
			source = append(source, data...)
		}
	}
	for _, test := range []struct {
		name     string
		data     []byte
		min, max float64
	}{{"dump", dump, 3, 4}, {"source", source, 3, 4}, {"images", images, 0.99, 1.01}} {
		if ratio := ratio(t, test.data); ratio < test.min || ratio > test.max {
			t.Errorf("%s: gzip makes it %.2f times smaller, want %v to %v", test.name, ratio, test.min, test.max)
		}
	}
}

func ratio(t *testing.T, data []byte) float64 {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return float64(len(data)) / float64(packed.Len())
}

func TestCorpusEdit(t *testing.T) {
	before, after := treetest.Record(t, corpus(t, 0, 1)), treetest.Record(t, corpus(t, 2, 1))
	treetest.Equal(t, treetest.Record(t, corpus(t, 2, 1)), after, treetest.Options{})
	changed := 0
	for _, e := range after {
		old, ok := before.Lookup(e.Path)
		if ok && old.SHA256 == e.SHA256 {
			continue
		}
		changed++
		moved := strings.Contains(e.Path, ".moved")
		if e.MTime <= treetest.CorpusTime && !moved || e.MTime > treetest.CorpusTime+3*86400 {
			t.Errorf("%q: mtime %d of an edit is not within the two days after %d", e.Path, e.MTime, treetest.CorpusTime)
		}
	}
	if changed < 3 || changed > 30 {
		t.Errorf("%d files are new or changed, want a few", changed)
	}
	more := 0
	for _, e := range treetest.Record(t, corpus(t, 2, 10)) {
		if old, ok := before.Lookup(e.Path); !ok || old.SHA256 != e.SHA256 {
			more++
		}
	}
	if more < 3*changed {
		t.Errorf("%d files are new or changed with ten times the edits, %d without", more, changed)
	}
	was, _ := before.Lookup(treetest.CorpusDump)
	is, ok := after.Lookup(treetest.CorpusDump)
	if grown := is.Size - was.Size; !ok || grown < 5000 || grown > 50_000 {
		t.Errorf("the dump grew by %d bytes, want about 10,000", grown)
	}
}

func TestCorpusErrors(t *testing.T) {
	for _, scale := range []float64{0, -1, math.NaN()} {
		if err := treetest.Corpus(t.TempDir(), scale); err == nil {
			t.Errorf("scale %v: no error", scale)
		}
	}
	dir := t.TempDir()
	if err := treetest.CorpusEdit(dir, 0, 1); err == nil {
		t.Error("day 0: no error")
	}
	for _, share := range []float64{0, -1, 11, math.NaN()} {
		if err := treetest.CorpusEdit(dir, 1, share); err == nil {
			t.Errorf("share %v: no error", share)
		}
	}
	if err := treetest.CorpusEdit(filepath.Join(dir, "none"), 1, 1); err == nil {
		t.Error("no corpus: no error")
	}
}

func BenchmarkScan(b *testing.B) {
	dir := corpus(b, 0, 1)
	b.SetBytes(treetest.Record(b, dir).Bytes())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := treetest.Scan(dir); err != nil {
			b.Fatal(err)
		}
	}
}

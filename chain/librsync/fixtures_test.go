package librsync_test

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/treetest"
)

// golden calls visit for the entries of all tar files that duplicity wrote plain; an
// archive that was cut is read up to there.
func golden(t testing.TB, pattern string, visit func(name string, data []byte)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(treetest.Fixtures(t), "*", "repo", pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.Contains(path, string(filepath.Separator)+"corrupt-") {
			continue // damaged inside a delta, on purpose
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		readEntries(f, visit)
		f.Close()
	}
}

func readEntries(r io.Reader, visit func(name string, data []byte)) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return
	}
	for entries := tar.NewReader(z); ; {
		h, err := entries.Next()
		if err != nil {
			return
		}
		data, err := io.ReadAll(entries)
		if err != nil {
			return
		}
		visit(h.Name, data)
	}
}

func TestGoldenSignatures(t *testing.T) {
	seen := 0
	golden(t, "*.sigtar.gz", func(name string, data []byte) {
		if !strings.HasPrefix(name, "signature/") {
			return
		}
		seen++
		s := read(t, data)
		if got := 12 + 12*s.Blocks(); got != len(data) || s.StrongLen() != 8 || s.BlockLen()%512 != 0 {
			t.Errorf("%s: %d blocks of %d from %d bytes", name, s.Blocks(), s.BlockLen(), len(data))
		}
	})
	if seen == 0 {
		t.Error("no signature in the golden repositories")
	}
}

func TestGoldenDeltas(t *testing.T) {
	seen := 0
	golden(t, "*.difftar.gz", func(name string, data []byte) {
		if !strings.HasPrefix(name, "diff/") {
			return
		}
		seen++
		if _, _, err := decode(data, 512); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	if seen == 0 {
		t.Error("no delta in the golden repositories")
	}
}

// seeds adds up to 20 short streams of an entry kind to a fuzz target.
func seeds(f *testing.F, pattern, prefix string, add func(data []byte)) {
	root := filepath.Join(treetest.ModuleRoot(f), "..", "shared", "fixtures")
	if _, err := os.Stat(root); err != nil {
		return // the seeds beside these must do
	}
	n := 0
	golden(f, pattern, func(name string, data []byte) {
		if n < 20 && len(data) < 4096 && strings.HasPrefix(name, prefix) {
			add(data)
			n++
		}
	})
}

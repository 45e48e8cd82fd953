package manifest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/treetest"
)

// fixtureManifests returns all plain manifests that real duplicity wrote, by path
// below the fixtures. What is too damaged to be one does not count, nor do strays.
func fixtureManifests(t testing.TB) map[string][]byte {
	t.Helper()
	root := treetest.Fixtures(t)
	texts := make(map[string][]byte)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name := d.Name()
		if !strings.HasSuffix(name, ".manifest") && !strings.HasSuffix(name, ".manifest.part") && !strings.HasSuffix(name, ".m") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasPrefix(string(text), "Hostname fxhost\n") {
			rel, _ := filepath.Rel(root, path)
			texts[rel] = text
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) < 100 {
		t.Fatalf("%d manifests among the fixtures, want at least 100", len(texts))
	}
	return texts
}

// presentFixtures is fixtureManifests for seeds: none where there are no fixtures.
func presentFixtures(t testing.TB) map[string][]byte {
	if _, err := os.Stat(filepath.Join(treetest.ModuleRoot(t), "..", "shared", "fixtures")); err != nil {
		return nil
	}
	return fixtureManifests(t)
}

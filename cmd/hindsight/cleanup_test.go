package main

import (
	"os"
	"path/filepath"
	"testing"

	"hindsight/chain"
	"hindsight/chain/dirstore"
)

// TestCleanupLooksAgain lets a set get its manifest between the listing and the first
// deletion: nothing of it may go.
func TestCleanupLooksAgain(t *testing.T) {
	dir := t.TempDir()
	const set = "duplicity-full.20231114T221320Z."
	for _, name := range []string{set + "vol1.difftar.gz", set + "vol2.difftar.gz"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	st, err := dirstore.Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	repo := &repository{Repository: chain.Repository{Store: st}}
	col, err := chain.Load(t.Context(), st, repo.Scheme)
	if err != nil || len(col.Strays()) != 1 {
		t.Fatalf("%d strays, %v", len(col.Strays()), err)
	}
	strays := strayObjects(repo, col.Strays()[0])
	if err := os.WriteFile(filepath.Join(dir, set+"manifest.gpg"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := strays[0].remove(t.Context()); err == nil {
		t.Error("a set that was finished meanwhile is removed")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, set+"*")); len(left) != 3 {
		t.Errorf("left are %v", left)
	}
}

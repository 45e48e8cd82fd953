package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hindsight/chain/treetest"
)

// TestInterop lets duplicity and hindsight extend one chain in turn. Each restores
// every state, and both list the same.
func TestInterop(t *testing.T) {
	t.Parallel() // it mostly waits for other processes
	if testing.Short() {
		t.Skip("runs duplicity a dozen times")
	}
	treetest.NeedRoot(t)
	for _, encrypted := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "encrypted"}[encrypted]
		t.Run(name, func(t *testing.T) { interop(t, encrypted) })
	}
}

func interop(t *testing.T, encrypted bool) {
	d, w := treetest.Duplicity(t), newWorld(t)
	flags := []string{"--no-encryption"}
	if encrypted {
		d.Encrypt(t, treetest.GPGHome(t), "one two")
		w.vars["PASSPHRASE"] = "one two"
		flags = nil
	}
	src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
	rng := treetest.Rand(t, 7)
	treetest.Random(t, src, rng, treetest.RandomOptions{Special: true})
	states := map[int64]treetest.Tree{}
	for i := range int64(4) {
		at := int64(1_800_000_000) + i*86400
		if i > 0 {
			treetest.Mutate(t, src, rng, at-100, 12, treetest.RandomOptions{})
		}
		states[at] = treetest.Record(t, src)
		switch {
		case i == 0:
			d.Full(t, src, repo, at).OK(t)
		case i%2 == 0:
			d.Inc(t, src, repo, at, "--allow-source-mismatch").OK(t)
		default:
			args := append([]string{"inc", "--allow-source-mismatch", "--current-time", epochText(at), src, treetest.URL(t, repo)}, flags...)
			w.run(t, args...).exit(t, 0)
		}
	}
	for at, want := range states {
		ours, theirs := filepath.Join(t.TempDir(), "ours"), filepath.Join(t.TempDir(), "theirs")
		w.run(t, "restore", "-t", epochText(at), repo, ours).exit(t, 0)
		treetest.Equal(t, treetest.Record(t, ours), want, treetest.AsDuplicity())
		d.Restore(t, repo, theirs, at).OK(t)
		treetest.Equal(t, treetest.Record(t, theirs), want, treetest.AsDuplicity())
	}
}

// TestSequentialVolumes browses volumes that can only be read from their beginning.
func TestSequentialVolumes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs duplicity")
	}
	d, w := treetest.Duplicity(t), newWorld(t)
	d.Encrypt(t, treetest.GPGHome(t), "one two", "--gpg-options", "--compress-algo=bzip2", "--volsize", "1")
	w.vars["PASSPHRASE"] = "one two"
	src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
	rng := treetest.Rand(t, 5)
	treetest.Random(t, src, rng, treetest.RandomOptions{MaxSize: 2_000_000})
	d.Full(t, src, repo, 1_700_000_000).OK(t)
	for _, e := range treetest.Record(t, src) {
		if e.Type != treetest.TypeFile {
			continue
		}
		want, err := os.ReadFile(filepath.Join(src, e.Path))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.run(t, "cat", repo, e.Path).exit(t, 0); got.stdout != string(want) {
			t.Errorf("%s: %d bytes of %d, or others", e.Path, len(got.stdout), len(want))
		}
	}
}

func epochText(at int64) string { return (*epoch)(&at).String() }

// TestPortableIndexUnseen lets duplicity work on our repositories with and without
// portable indexes: it says and does the same.
func TestPortableIndexUnseen(t *testing.T) {
	t.Parallel() // it mostly waits for other processes
	if testing.Short() {
		t.Skip("runs duplicity a dozen times")
	}
	treetest.NeedRoot(t)
	w := newWorld(t)
	w.vars["PASSPHRASE"] = "one two"
	src := filepath.Join(t.TempDir(), "src")
	with, without := filepath.Join(t.TempDir(), "repo"), filepath.Join(t.TempDir(), "repo")
	rng := treetest.Rand(t, 11)
	treetest.Random(t, src, rng, treetest.RandomOptions{Special: true})
	at := int64(1_700_000_000)
	for i := range int64(2) {
		w.run(t, "backup", "--current-time", epochText(at+i*86400), src, treetest.URL(t, with)).exit(t, 0)
		treetest.Mutate(t, src, rng, at+i*86400+100, 12, treetest.RandomOptions{})
	}
	if err := os.CopyFS(without, os.DirFS(with)); err != nil {
		t.Fatal(err)
	}
	indexes, err := filepath.Glob(filepath.Join(without, "hindsight-toc.*"))
	if err != nil || len(indexes) != 2 {
		t.Fatalf("portable indexes: %q, %v", indexes, err)
	}
	for _, name := range indexes {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	var said [2][]string
	for i, repo := range []string{with, without} {
		d := treetest.Duplicity(t)
		d.Encrypt(t, treetest.GPGHome(t), "one two")
		next := at + 2*86400
		for _, r := range []treetest.Result{
			d.CollectionStatus(t, repo), d.Cleanup(t, repo, "--force"), d.List(t, repo, 0),
			d.Verify(t, repo, src, "--compare-data"), d.Inc(t, src, repo, next, "--allow-source-mismatch"), d.CollectionStatus(t, repo),
		} {
			said[i] = append(said[i], fmt.Sprintf("exit %d\n%s", r.ExitCode, telling(r.Stdout, repo, d.Archive)))
		}
		restored := filepath.Join(t.TempDir(), "restored")
		d.Restore(t, repo, restored, 0).OK(t)
		treetest.Equal(t, treetest.Record(t, restored), treetest.Record(t, src), treetest.AsDuplicity())
	}
	for i := range said[0] {
		if said[0][i] != said[1][i] {
			t.Errorf("command %d: with portable indexes duplicity says\n%s\nwithout\n%s", i, said[0][i], said[1][i])
		}
	}
	if left, _ := filepath.Glob(filepath.Join(with, "hindsight-toc.*")); len(left) != 2 {
		t.Errorf("portable indexes after cleanup: %q", left)
	}
}

// telling is what a run of duplicity said, without what differs from run to run.
func telling(text, repo, archive string) string {
	text = strings.NewReplacer(repo, "REPO", archive, "ARCHIVE").Replace(text)
	var kept []string
	for line := range strings.Lines(text) {
		if !regexp.MustCompile(`(?i)^(StartTime|EndTime|ElapsedTime|Archive dir)|TotalDestinationSizeChange`).MatchString(line) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

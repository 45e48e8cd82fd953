package backup_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hindsight/chain/backup"
	"hindsight/chain/treetest"
)

// figures reads the statistics that duplicity prints.
func figures(t *testing.T, out string) map[string]int64 {
	t.Helper()
	got := make(map[string]int64)
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
			got[fields[0]] = n
		}
	}
	if len(got) < 10 {
		t.Fatalf("no statistics in %s", out)
	}
	return got
}

// filelist is the lines of a set's list of changed files.
func filelist(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no manifest %s: %v", pattern, err)
	}
	text, err := os.ReadFile(names[len(names)-1])
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(text), "\nFilelist ")
	if !ok {
		t.Fatalf("no Filelist in %s", text)
	}
	return strings.Split(list, "\n")
}

// TestLikeDuplicity makes the same sets as duplicity: the statistics and the lists
// of changed files are the same.
func TestLikeDuplicity(t *testing.T) {
	treetest.Sequential(t)
	dup := treetest.Duplicity(t)
	treetest.NeedRoot(t)
	for seed := range uint64(2) {
		rng := treetest.Rand(t, 40+seed)
		src, theirs := filepath.Join(t.TempDir(), "src"), t.TempDir()
		opts := treetest.RandomOptions{Nodes: 95, MaxSize: 200 << 10, OddNames: true, Special: true, Owners: true}
		treetest.Random(t, src, rng, opts)
		p := newPlace(t)
		for i := range int64(3) {
			at := treetest.BaseTime + 1000*(i+1)
			pattern, write := "duplicity-full.*.manifest", dup.Full
			if i > 0 {
				pattern, write = "duplicity-inc.*.manifest", dup.Inc
				treetest.Mutate(t, src, rng, at-500, 30, opts)
			}
			want := figures(t, write(t, src, theirs, at).OK(t).Stdout)
			dry := p.backup(t, src, at, backup.Options{DryRun: true})
			got := p.backup(t, src, at, backup.Options{})
			for _, f := range []struct {
				name     string
				got, dry int64
			}{
				{"SourceFiles", got.SourceFiles, dry.SourceFiles},
				{"SourceFileSize", got.SourceFileSize, dry.SourceFileSize},
				{"NewFiles", got.NewFiles, dry.NewFiles},
				{"NewFileSize", got.NewFileSize, dry.NewFileSize},
				{"DeletedFiles", got.DeletedFiles, dry.DeletedFiles},
				{"ChangedFiles", got.ChangedFiles, dry.ChangedFiles},
				{"ChangedFileSize", got.ChangedFileSize, dry.ChangedFileSize},
				{"DeltaEntries", got.DeltaEntries, dry.DeltaEntries},
				{"Errors", got.Errors, dry.Errors},
			} {
				if w, ok := want[f.name]; !ok || f.got != w || f.dry != w {
					t.Errorf("set %d: %s %d, dry run %d, duplicity says %d", i, f.name, f.got, f.dry, w)
				}
			}
			// Deltas differ a little, as ours choose other copies and are left out where
			// the content is shorter.
			if w := want["RawDeltaSize"]; got.RawDeltaSize > w+w/50 || got.RawDeltaSize < w/2 {
				t.Errorf("set %d: RawDeltaSize %d, duplicity says %d", i, got.RawDeltaSize, w)
			}
			if got, want := filelist(t, p.dir, pattern), filelist(t, theirs, pattern); !slices.Equal(got, want) {
				t.Errorf("set %d: Filelist\n%s\nwant\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestProgress: what progress says at the end is what was done.
func TestProgress(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	treetest.Random(t, src, treetest.Rand(t, 5), treetest.RandomOptions{})
	tree := treetest.Record(t, src)
	p := newPlace(t)
	var progress backup.Progress
	stats := p.backup(t, src, treetest.BaseTime+1000, backup.Options{Progress: &progress})
	if n := progress.Files.Load(); n != int64(tree.Count(treetest.TypeFile)) {
		t.Errorf("%d files, want %d", n, tree.Count(treetest.TypeFile))
	}
	if n := progress.Bytes.Load(); n != tree.Bytes() {
		t.Errorf("%d bytes read, want %d", n, tree.Bytes())
	}
	var stored int64
	for _, s := range p.load(t).Latest().Sets {
		stored += s.Size()
	}
	if n := progress.Stored.Load(); n != stored || stats.StoredSize != stored {
		t.Errorf("%d bytes stored, statistics say %d, want %d", n, stats.StoredSize, stored)
	}
}

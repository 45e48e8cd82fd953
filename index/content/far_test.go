package content_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
	"hindsight/index"
	"hindsight/index/content"
)

// What one small file may cost, with an index and nothing else at hand.
const (
	farRequests = 10      // fewer
	farBytes    = 2 << 20 // less
)

// cheap reads single files of the newest snapshot, each with a cache of its own, and
// holds what that fetches against the limits.
func cheap(t *testing.T, x *index.Index, repo *chain.Repository, want map[string][]byte) {
	t.Helper()
	log := storetest.NewOpLog(repo.Store)
	over := *repo
	over.Store = log
	snaps := x.Snapshots()
	for path, data := range want {
		log.Reset()
		c, err := content.New(x, &over, content.Options{Memory: content.MinMemory})
		if err != nil {
			t.Fatal(err)
		}
		got, err := readFile(c, snaps[len(snaps)-1], path)
		if cerr := c.Close(); err == nil {
			err = cerr
		}
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, want %d: %v", path, len(got), len(data), err)
		}
		sum := log.Sum()
		t.Logf("%s: %d requests, %d bytes", path, sum.Requests, sum.Read)
		if sum.Requests == 0 || sum.Requests >= farRequests || sum.Read >= farBytes {
			t.Errorf("%s: %d requests for %d bytes:\n%s", path, sum.Requests, sum.Read, log)
		}
	}
}

// TestThirtySets: out of a chain of 30 sets, plain and encrypted, one small file costs
// little: one that was never changed, and such as were put together from several sets.
func TestThirtySets(t *testing.T) {
	treetest.Sequential(t) // TestRandomHistory and TestParallelReaders are for the race detector
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprintf("encrypted=%t", encrypted), func(t *testing.T) {
			r := chaintest.New(t)
			if encrypted {
				r.Encrypt("secret")
			}
			r.Set.VolumeSize = 64 << 20 // all of the full in one
			rng := treetest.Rand(t, 30)
			all := make(map[string][]byte)
			write := func(path string, data []byte, at int64) {
				all[path] = data
				treetest.Write(t, r.Source, treetest.File(path, string(data)).At(at))
			}
			for n := range 300 {
				write(fmt.Sprintf("dir%02d/file%03d", n/20, n), treetest.Content(rng, 30_000), treetest.BaseTime-1)
			}
			r.Backup(treetest.BaseTime, backup.Full)
			for day := range int64(29) {
				at := treetest.BaseTime + (day+1)*86400
				for k := range int64(4) { // one now and then, three in all sets in turn
					n := []int64{day * 7 % 300, 100 + day%3, 120 + day%5, 299 - day}[k]
					path := fmt.Sprintf("dir%02d/file%03d", n/20, n)
					data := bytes.Clone(all[path])
					copy(data[1000*(day%29):], fmt.Sprintf("changed on day %d", day))
					write(path, data, at-100)
				}
				r.Backup(at, backup.Incremental)
			}
			x, _ := open(t, &r.Repository, r.Load(), content.Options{Memory: content.MinMemory})
			if n := len(x.Snapshots()); n != 30 {
				t.Fatalf("%d snapshots", n)
			}
			want := make(map[string][]byte)
			for _, path := range []string{"dir00/file001", "dir14/file299", "dir13/file272", "dir06/file122", "dir10/file203"} {
				want[path] = all[path]
			}
			cheap(t, x, &r.Repository, want)
		})
	}
}

// foreignSets is how many sets the chains of TestForeignFar have: thirty take minutes, as
// duplicity needs a second or two to make one.
const foreignSets = 6

// TestForeignFar: of a chain that duplicity wrote, as gzip and encrypted, one small
// file costs as little once its volumes were read.
func TestForeignFar(t *testing.T) {
	treetest.Sequential(t) // mostly it is duplicity that runs
	foreignFar(t, foreignSets)
}

// TestSoakForeignFar does the same with thirty sets.
func TestSoakForeignFar(t *testing.T) {
	if treetest.SoakTime(t, 0) == 0 {
		t.Skip("sixty runs of duplicity; make soak makes them")
	}
	foreignFar(t, 30)
}

func foreignFar(t *testing.T, sets int) {
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprintf("encrypted=%t", encrypted), func(t *testing.T) {
			t.Parallel()
			dup := treetest.Duplicity(t)
			passphrase := ""
			if encrypted {
				passphrase = "secret"
				dup.Encrypt(t, nil, passphrase)
			}
			base := t.TempDir()
			src, dir := filepath.Join(base, "src"), filepath.Join(base, "repo")
			rng := treetest.Rand(t, 31)
			all := make(map[string][]byte)
			write := func(path string, data []byte, at int64) {
				all[path] = data
				treetest.Write(t, src, treetest.File(path, string(data)).At(at))
			}
			for n := range 200 {
				write(fmt.Sprintf("file%03d", n), treetest.Content(rng, 40_000), treetest.BaseTime-1)
			}
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			run := func(verb string, at int64) {
				dup.Run(t, verb, "--no-print-statistics", "--current-time", fmt.Sprint(at), src, treetest.URL(t, dir)).OK(t)
			}
			run("full", treetest.BaseTime)
			for day := 1; day < sets; day++ {
				at := treetest.BaseTime + int64(day)*86400
				for _, n := range []int{day, 100 + day%10, 199 - day%2} { // once, now and then, all the time
					path := fmt.Sprintf("file%03d", n)
					data := bytes.Clone(all[path])
					copy(data[1000*day:], fmt.Sprintf("changed on day %d", day))
					write(path, data, at-100)
				}
				run("incremental", at)
			}
			r := chaintest.Open(t, dir, passphrase)
			x, c := open(t, r, chaintest.Load(t, r), content.Options{Memory: content.MinMemory})
			if n := len(x.Snapshots()); n != sets {
				t.Fatalf("%d snapshots, want %d", n, sets)
			}
			if err := c.Prefetch(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			want := make(map[string][]byte)
			for _, path := range []string{"file000", "file001", "file101", "file107", "file197"} {
				want[path] = all[path]
			}
			cheap(t, x, r, want)
		})
	}
}

// TestBareMachine: a machine that has nothing sees the newest tree of thirty by reading
// no more than manifests and portable indexes.
func TestBareMachine(t *testing.T) {
	treetest.Sequential(t) // what reads ahead has tests of its own
	r := chaintest.New(t)
	rng := treetest.Rand(t, 32)
	treetest.Random(t, r.Source, rng, treetest.RandomOptions{Nodes: 300})
	r.Backup(treetest.BaseTime, backup.Full)
	for day := range int64(29) {
		at := treetest.BaseTime + (day+1)*86400
		treetest.Mutate(t, r.Source, rng, at-100, 5, treetest.RandomOptions{})
		r.Backup(at, backup.Incremental)
	}
	paths := len(treetest.Record(t, r.Source))
	log := storetest.NewOpLog(r.Store)
	bare := chain.Repository{Store: log}
	x, _ := open(t, &bare, chaintest.Load(t, &bare), content.Options{Memory: content.MinMemory})
	snaps := x.Snapshots()
	seen := 0
	err := snaps[len(snaps)-1].Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
		if e.Type == difftar.Regular && e.Size < 0 {
			t.Errorf("%s: its size is not known", path)
		}
		seen++
		return nil
	})
	if err != nil || seen != paths || len(snaps) != 30 {
		t.Errorf("%d paths of %d snapshots, want %d: %v", seen, len(snaps), paths, err)
	}
	var stored, toc int64
	for _, s := range r.Load().Latest().Sets {
		stored += s.Size()
		toc += s.TOC.Size + s.Manifest.Size
	}
	for _, rec := range log.Records() {
		if rec.Op == storetest.Get && !strings.HasPrefix(rec.Name, "hindsight-toc.") && !strings.HasSuffix(rec.Name, ".manifest") {
			t.Errorf("%s was read", rec.Name)
		}
	}
	sum := log.Sum(storetest.Get)
	t.Logf("%d requests for %d bytes, of %d stored", sum.Requests, sum.Read, stored)
	if sum.Read > toc || sum.Requests > 60 {
		t.Errorf("%d requests for %d bytes, indexes and manifests have %d", sum.Requests, sum.Read, toc)
	}
}

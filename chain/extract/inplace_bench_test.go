package extract_test

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

// BenchmarkInPlace restores onto a tree of which one small file in a hundred was changed,
// beside a full restore of the same state and beside what nothing can save: one stat for
// each path, on all processors. It reports the processor time of each, in milliseconds,
// and how many times less than the full restore's the others are.
func BenchmarkInPlace(b *testing.B) {
	r := chaintest.New(b)
	r.Set.VolumeSize = 200 << 20
	base, err := os.MkdirTemp("/dev/shm", "hindsight-bench-")
	if err != nil {
		base = b.TempDir()
	}
	b.Cleanup(func() { os.RemoveAll(base) })
	r.Source = filepath.Join(base, "source")
	if err := treetest.Corpus(r.Source, 0.2); err != nil {
		b.Fatal(err)
	}
	r.Backup(treetest.CorpusTime, backup.Full)
	place, target := filepath.Join(base, "place"), filepath.Join(base, "target")
	restoreTo(b, r, place, false)
	var paths, small []string
	for _, e := range treetest.Record(b, place) {
		if paths = append(paths, e.Path); e.Type == treetest.TypeFile && e.Size < 400_000 {
			small = append(small, e.Path)
		}
	}
	var full, inPlace, floor time.Duration
	for n := 0; b.Loop(); n++ {
		for i := n % 100; i < len(small); i += 100 {
			if err := os.Truncate(filepath.Join(place, small[i]), 1); err != nil {
				b.Fatal(err)
			}
		}
		inPlace += processorTime(func() { restoreTo(b, r, place, true) })
		full += processorTime(func() { restoreTo(b, r, target, false) })
		floor += processorTime(func() { statAll(b, place, paths) })
		if err := os.RemoveAll(target); err != nil {
			b.Fatal(err)
		}
	}
	each := func(d time.Duration) float64 { return float64(d.Milliseconds()) / float64(b.N) }
	b.ReportMetric(each(full), "full-ms")
	b.ReportMetric(each(inPlace), "inplace-ms")
	b.ReportMetric(each(floor), "stat-ms")
	b.ReportMetric(float64(full)/float64(inPlace), "times-less")
	b.ReportMetric(float64(full)/float64(floor), "times-less-stat")
}

// restoreTo restores the newest state.
func restoreTo(b *testing.B, r *chaintest.Repository, target string, inPlace bool) {
	disk, err := extract.NewDisk(target, extract.DiskOptions{NumericOwner: true, Replace: inPlace})
	if err != nil {
		b.Fatal(err)
	}
	defer disk.Close()
	res, err := extract.Run(b.Context(), extract.Options{
		Repository: &r.Repository, Sets: r.Load().Latest().Sets, Sink: disk, InPlace: inPlace,
		Extras: extract.Extras{Times: true, Hashes: true},
	})
	if err != nil || res.Lost > 0 {
		b.Fatalf("%+v, %v", res, err)
	}
}

// statAll asks for the metadata of all paths, a share on each processor.
func statAll(b *testing.B, root string, paths []string) {
	dir, err := os.Open(root)
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	shares := runtime.GOMAXPROCS(0)
	var work sync.WaitGroup
	for k := range shares {
		work.Go(func() {
			var st unix.Stat_t
			for _, p := range paths[len(paths)*k/shares : len(paths)*(k+1)/shares] {
				if p == "" {
					continue
				}
				if err := unix.Fstatat(int(dir.Fd()), p, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
					b.Errorf("%s: %v", p, err)
				}
			}
		})
	}
	work.Wait()
}

// processorTime is what the process spends on f, as user and system.
func processorTime(f func()) time.Duration {
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before) // leaves it zero
	f()
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	return time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
}

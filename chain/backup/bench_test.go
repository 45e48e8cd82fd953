package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/dirstore"
	"hindsight/chain/extract"
	"hindsight/chain/naming"
	"hindsight/chain/source"
	"hindsight/chain/treetest"
)

// corpus is the benchmarks' tree, in memory where that can be had. Its scale is
// HINDSIGHT_BENCH_SCALE, 1 being 631 MB in 40,402 files.
func corpus(b *testing.B) (base, src string, bytes int64) {
	b.Helper()
	scale := 0.1
	if s, err := strconv.ParseFloat(os.Getenv("HINDSIGHT_BENCH_SCALE"), 64); err == nil {
		scale = s
	}
	dir := "/dev/shm"
	if _, err := os.Stat(dir); err != nil {
		dir = ""
	}
	base, err := os.MkdirTemp(dir, "hindsight-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(base) })
	src = filepath.Join(base, "src")
	if err := treetest.Corpus(src, scale); err != nil {
		b.Fatal(err)
	}
	tree, err := treetest.Scan(src)
	if err != nil {
		b.Fatal(err)
	}
	return base, src, tree.Bytes()
}

func benchRepository(b *testing.B, base string) (*chain.Repository, *codec.Pool) {
	b.Helper()
	dir, err := os.MkdirTemp(base, "repo-")
	if err != nil {
		b.Fatal(err)
	}
	st, err := dirstore.Open(filepath.Join(dir, "store"), true)
	if err != nil {
		b.Fatal(err)
	}
	cache, err := dirstore.Open(filepath.Join(dir, "cache"), true)
	if err != nil {
		b.Fatal(err)
	}
	pool := codec.NewPool(0, 0)
	b.Cleanup(func() { pool.Close(); st.Close(); cache.Close(); os.RemoveAll(dir) })
	return &chain.Repository{Store: st, Archive: cache}, pool
}

func benchBackup(b *testing.B, repo *chain.Repository, pool *codec.Pool, src string, at int64, mode backup.Mode) *backup.Statistics {
	b.Helper()
	stats, err := backup.Run(context.Background(), backup.Options{
		Repository: repo, Source: source.Options{Root: src}, Mode: mode, Time: naming.Time(at),
		Set: chain.SetOptions{Pool: pool, Format: codec.Format{Compressed: true}, Memory: 64 << 20},
	})
	if err != nil {
		b.Fatal(err)
	}
	return stats
}

func BenchmarkFull(b *testing.B) {
	base, src, bytes := corpus(b)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		repo, pool := benchRepository(b, base)
		stats := benchBackup(b, repo, pool, src, treetest.CorpusTime+100, backup.Full)
		b.ReportMetric(float64(stats.StoredSize)/(1<<20), "stored-MiB")
	}
}

func BenchmarkUnchanged(b *testing.B) {
	base, src, bytes := corpus(b)
	repo, pool := benchRepository(b, base)
	at := int64(treetest.CorpusTime + 100)
	benchBackup(b, repo, pool, src, at, backup.Full)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		at++
		if stats := benchBackup(b, repo, pool, src, at, backup.Incremental); stats.DeltaEntries != 0 {
			b.Fatalf("%d entries in a backup without changes", stats.DeltaEntries)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	base, src, bytes := corpus(b)
	repo, pool := benchRepository(b, base)
	benchBackup(b, repo, pool, src, treetest.CorpusTime+100, backup.Full)
	col, err := chain.Load(context.Background(), repo.Store, repo.Scheme)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		target := filepath.Join(base, "target")
		sink, err := extract.NewDisk(target, extract.DiskOptions{})
		if err != nil {
			b.Fatal(err)
		}
		_, err = extract.Run(context.Background(), extract.Options{Repository: repo, Sets: col.Latest().Sets, Sink: sink})
		if err != nil {
			b.Fatal(err)
		}
		sink.Close()
		b.StopTimer()
		os.RemoveAll(target)
		b.StartTimer()
	}
}

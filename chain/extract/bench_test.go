package extract_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/extract"
)

// BenchmarkSmallFiles extracts small files from memory: to nowhere, which is the
// engine alone, and to the disk, in memory where that can be had.
func BenchmarkSmallFiles(b *testing.B) {
	const files, size = 4000, 3000
	a := newArchive()
	m := difftar.Meta{Type: difftar.Regular, Mode: 0o644}
	a.writeSet(b, 0, historyOptions{Volume: 4 << 20, Format: codec.Format{}}, func(w *chain.SetWriter) error {
		for i := range files {
			if err := addFile(w, fmt.Sprintf("d%03d/f%02d", i/20, i%20), difftar.Snapshot, m, make([]byte, size)); err != nil {
				return err
			}
		}
		return nil
	})
	base := b.TempDir()
	if dir, err := os.MkdirTemp("/dev/shm", "hindsight-bench-"); err == nil {
		base = dir
		b.Cleanup(func() { os.RemoveAll(dir) })
	}
	target := filepath.Join(base, "target")
	for _, disk := range []bool{false, true} {
		b.Run(fmt.Sprintf("disk=%v", disk), func(b *testing.B) {
			b.SetBytes(files * size)
			b.ReportAllocs()
			opt := extract.Options{Repository: a.repo, Sets: a.sets(b, 0), Sink: &countSink{}}
			for b.Loop() {
				if disk {
					sink, err := extract.NewDisk(target, extract.DiskOptions{})
					if err != nil {
						b.Fatal(err)
					}
					opt.Sink = sink
				}
				if res, err := extract.Run(b.Context(), opt); err != nil || res.Lost > 0 {
					b.Fatalf("%+v, %v", res, err)
				}
				if sink, ok := opt.Sink.(*extract.Disk); ok {
					b.StopTimer()
					sink.Close()
					os.RemoveAll(target)
					b.StartTimer()
				}
			}
		})
	}
}

package source_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"hindsight/chain/source"
	"hindsight/chain/treetest"
)

// manyFiles makes a tree like that of a small machine: 40,000 empty files in
// 13,000 directories, four deep.
func manyFiles(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	for i := range 13_000 {
		d := fmt.Sprintf("%s/top%d/sub-directory-%d/package%d", dir, i%23, i%613, i)
		must(b, os.MkdirAll(d, 0o755))
		for j := range 3 {
			must(b, os.WriteFile(fmt.Sprintf("%s/source-file-%d.txt", d, j), nil, 0o644))
		}
	}
	return dir
}

// BenchmarkWalk compares a walk with find printing the same metadata.
func BenchmarkWalk(b *testing.B) {
	dir := manyFiles(b)
	for _, jobs := range []int{-1, 1, 2, 4} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				opt := source.Options{Root: dir, Jobs: jobs, ReadAhead: int64(min(jobs, 0))}
				tree, err := source.Open(opt)
				must(b, err)
				n := 0
				for _, err := range tree.Walk(b.Context()) {
					must(b, err)
					n++
				}
				must(b, tree.Close())
				b.ReportMetric(float64(n), "items")
			}
		})
	}
	b.Run("find", func(b *testing.B) {
		find := treetest.NeedTool(b, "find")
		for b.Loop() {
			must(b, exec.Command(find, dir, "-printf", "%P %m %U %G %T@ %s %l\n").Run())
		}
	})
}

// BenchmarkRead opens and reads small files.
func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	const size, files = 8 << 10, 500
	for i := range files {
		must(b, os.WriteFile(fmt.Sprintf("%s/%d", dir, i), make([]byte, size), 0o644))
	}
	tree := open(b, source.Options{Root: dir})
	var items []*source.Item
	for it, err := range tree.Walk(b.Context()) {
		must(b, err)
		if it.Path != "" {
			items = append(items, it)
		}
	}
	buf := make([]byte, 64<<10)
	b.SetBytes(size * files)
	b.ReportAllocs()
	for b.Loop() {
		for _, it := range items {
			f, err := it.Open(b.Context())
			must(b, err)
			if n, err := f.Read(buf); n != size || err != nil {
				b.Fatalf("read %d bytes, %v", n, err)
			}
			changed, err := f.Changed()
			if changed || err != nil {
				b.Fatal(changed, err)
			}
			must(b, f.Close())
		}
	}
}

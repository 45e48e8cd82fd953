package difftar_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"hindsight/chain/difftar"
)

// benchEntries are files as backups have them; a long name takes a pax header.
func benchEntries(size int, long bool) []record {
	var records []record
	for i := range 2000 {
		p := fmt.Sprintf("customers/%04d/htdocs/images/%08d.jpg", i/20, i)
		if long {
			p = strings.Repeat("ä", 60) + p
		}
		records = append(records, record{
			Entry: difftar.Entry{Path: p, Kind: difftar.Snapshot, Meta: difftar.Meta{
				Type: difftar.Regular, Mode: 0o644, UID: 1000 + int64(i/100), GID: 33, Uname: fmt.Sprintf("web%d", i/100), Gname: "www-data", MTime: 1700000000,
			}},
			data: strings.Repeat("x", size),
		})
	}
	return records
}

var benchmarks = []struct {
	name string
	size int
	long bool
}{{"size=0", 0, false}, {"size=1K", 1 << 10, false}, {"size=1K/pax", 1 << 10, true}, {"size=64K", 64 << 10, false}}

func BenchmarkReader(b *testing.B) {
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			records := benchEntries(bm.size, bm.long)
			archive := write(b, false, true, records)
			b.SetBytes(int64(len(archive)))
			b.ReportAllocs()
			for b.Loop() {
				r := difftar.NewReader(bytes.NewReader(archive))
				n := 0
				for {
					_, err := r.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n++
					for err == nil {
						_, err = r.Chunk(difftar.PartSize)
					}
				}
				if n != len(records) {
					b.Fatalf("%d entries", n)
				}
			}
			perEntry(b, len(records))
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			records := benchEntries(bm.size, bm.long)
			b.SetBytes(int64(len(write(b, false, true, records))))
			b.ReportAllocs()
			data := make([]byte, bm.size)
			for b.Loop() {
				w := difftar.NewWriter(io.Discard)
				for i := range records {
					if err := w.WriteHeader(&records[i].Entry); err != nil {
						b.Fatal(err)
					}
					w.Write(data)
				}
				if err := w.Finish(); err != nil {
					b.Fatal(err)
				}
			}
			perEntry(b, len(records))
		})
	}
}

// perEntry reports the time for one of n entries.
func perEntry(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
}

func BenchmarkCompare(b *testing.B) {
	x, y := "customers/0001/htdocs/images/00000001.jpg", "customers/0001/htdocs/images/00000002.jpg"
	for b.Loop() {
		if difftar.Compare(x, y) >= 0 {
			b.Fatal("order")
		}
	}
}

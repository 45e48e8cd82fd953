package dirstore_test

import (
	"fmt"
	"io"
	"testing"

	"hindsight/chain/dirstore"
	"hindsight/chain/store"
)

func benchStore(b *testing.B) *dirstore.Store {
	s, _ := openDir(b)
	return s
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 20} {
		b.Run(fmt.Sprintf("size=%dK", size>>10), func(b *testing.B) {
			s := benchStore(b)
			data := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Put(b.Context(), "object", store.Bytes(data), store.PutOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := benchStore(b)
	if err := s.Put(b.Context(), "object", store.Bytes(make([]byte, 64<<20)), store.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 256<<10)
	for _, length := range []int64{256 << 10, 64 << 20} {
		b.Run(fmt.Sprintf("length=%dK", length>>10), func(b *testing.B) {
			b.SetBytes(length)
			b.ReportAllocs()
			for b.Loop() {
				rc, err := s.Get(b.Context(), "object", 0, length)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = rc.Read(buf)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				if err := rc.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	const n = 2000
	s := benchStore(b)
	for i := range n {
		put(b, s, fmt.Sprintf("object.%d", i), "")
	}
	b.ReportAllocs()
	for b.Loop() {
		seen := 0
		for _, err := range s.List(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			seen++
		}
		if seen != n {
			b.Fatalf("%d objects, want %d", seen, n)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}

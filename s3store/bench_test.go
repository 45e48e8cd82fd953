package s3store_test

import (
	"fmt"
	"io"
	"testing"

	"hindsight/chain/store"
	"hindsight/s3store/s3test"
)

// BenchmarkPut puts into a server of this process, whose own work is in it.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{64 << 10, store.PartSize - 1, 4 * store.PartSize} {
		b.Run(fmt.Sprintf("size=%dK", n>>10), func(b *testing.B) {
			fake := s3test.NewFake(b, s3test.Options{Buckets: []string{bucket}})
			s := open(b, config(fake.URL, "node"))
			defer s.Close()
			data := content(1, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Put(b.Context(), "object", store.Bytes(data), store.PutOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGet reads a whole object and a range of one.
func BenchmarkGet(b *testing.B) {
	fake := s3test.NewFake(b, s3test.Options{Buckets: []string{bucket}})
	s := open(b, config(fake.URL, "node"))
	defer s.Close()
	const size = 64 << 20
	if err := s.Put(b.Context(), "object", store.Bytes(content(1, size)), store.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	for _, length := range []int64{4 << 10, 256 << 10, size} {
		b.Run(fmt.Sprintf("length=%dK", length>>10), func(b *testing.B) {
			b.SetBytes(length)
			b.ReportAllocs()
			for b.Loop() {
				rc, err := s.Get(b.Context(), "object", size-length, length)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, rc); err != nil || n != length {
					b.Fatal(n, err)
				}
				if err := rc.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

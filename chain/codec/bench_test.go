package codec_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	"hindsight/chain/codec"
)

func BenchmarkWriter(b *testing.B) {
	data := sample(16<<20, 1)
	kr := keyring()
	s := session(b, kr)
	for _, f := range formats {
		for _, jobs := range []int{1, runtime.GOMAXPROCS(0)} {
			b.Run(fmt.Sprintf("format=%s/jobs=%d", f, jobs), func(b *testing.B) {
				pool := codec.NewPool(jobs, 0)
				defer pool.Close()
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					w, err := codec.NewWriter(b.Context(), io.Discard, f, codec.WriterOptions{Pool: pool, Session: s})
					if err != nil {
						b.Fatal(err)
					}
					for at := 0; at < len(data); at += 64 << 10 {
						w.Mark()
						w.Write(data[at : at+64<<10])
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkReader(b *testing.B) {
	data := sample(16<<20, 1)
	kr := keyring()
	s := session(b, kr)
	buf := make([]byte, 256<<10)
	for _, f := range formats {
		stored, _ := write(b, f, codec.WriterOptions{Session: s}, data, 5000)
		b.Run("format="+f.String(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := codec.NewReader(b.Context(), bytes.NewReader(stored), f, codec.ReaderOptions{Keyring: kr})
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = r.Read(buf)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				if err := r.Finish(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package toc_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/zeebo/blake3"

	"hindsight/chain/toc"
)

// FuzzEntryReader: what parses is written back the same, unless something was skipped.
func FuzzEntryReader(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 30 {
		g := generator{rng: rng}
		f.Add(writeEntries(f, g.entries(1+i)))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := toc.NewEntryReader(bytes.NewReader(data))
		got, err := readEntries(r)
		if err != nil {
			if !errors.Is(err, toc.ErrFormat) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		again := writeEntries(t, got)
		if !r.Skipped() && !bytes.Equal(again, data) {
			t.Fatalf("read\n%x, wrote\n%x", data, again)
		}
		twice, err := readEntries(toc.NewEntryReader(bytes.NewReader(again)))
		if err != nil {
			t.Fatal(err)
		}
		sameEntries(t, twice, got)
	})
}

// FuzzReader: what parses is written back the same, unless something was skipped. The
// digest, which would keep every change out, is put behind the data.
func FuzzReader(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 30 {
		g := generator{rng: rng}
		data := write(f, g.toc(i%4, 1+i))
		f.Add(data[:len(data)-32])
	}
	for _, name := range golden(f) {
		data := readFile(f, name)
		f.Add(data[:len(data)-32])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sum := blake3.Sum256(data)
		data = append(data, sum[:]...)
		c, r, err := read(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, toc.ErrFormat) && !errors.Is(err, toc.ErrVersion) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		again := write(t, c)
		if !r.Skipped() && !bytes.Equal(again, data) {
			t.Fatalf("read\n%x, wrote\n%x", data, again)
		}
		twice, _, err := read(bytes.NewReader(again))
		if err != nil {
			t.Fatal(err)
		}
		sameContent(t, twice, c)
	})
}

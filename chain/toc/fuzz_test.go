package toc_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

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

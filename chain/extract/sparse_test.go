package extract_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

// TestHoles leaves zeros out of large files, whichever way their bytes come: the
// content is the same, and what is on the disk is about what is not zero.
func TestHoles(t *testing.T) {
	rng := treetest.Rand(t, 62)
	noise := func(n int64) []byte { return treetest.Content(rng, n) }
	zeros := func(n int) []byte { return make([]byte, n) }
	for name, pieces := range map[string][][]byte{
		"nothing but zeros":  {zeros(3 << 20)},
		"zeros at the end":   {noise(200 << 10), zeros(1<<20 + 77)},
		"zeros at the start": {zeros(1<<20 + 123), noise(200 << 10)},
		"in between":         {noise(100<<10 + 1), zeros(500 << 10), noise(10), zeros(500 << 10), noise(100 << 10)},
		"short runs":         {noise(70 << 10), zeros(8 << 10), noise(70 << 10), zeros(3), noise(5)},
	} {
		data := bytes.Join(pieces, nil)
		var solid int64
		for _, p := range pieces {
			if p[0] != 0 || len(p) < 64<<10 {
				solid += int64(len(p))
			}
		}
		// The older version holds the last two thirds, the newer one the rest.
		cut := len(data) / 3
		old := append(noise(1000), data[cut:]...)
		st := state{stream: []byte("rs\x026")}
		h := &history{rng: rng}
		h.literalOp(&st, data[:cut])
		h.copyOp(&st, &state{data: old, origin: make([]uint8, len(old)), where: make([]int, len(old))}, 1000, len(data)-cut)
		st.stream = append(st.stream, 0)

		a := newArchive()
		m := difftar.Meta{Type: difftar.Regular, Mode: 0o644}
		a.writeSet(t, 0, historyOptions{Volume: 300 << 10}, func(w *chain.SetWriter) error { return addFile(w, "f", difftar.Snapshot, m, old) })
		a.writeSet(t, 1, historyOptions{Volume: 300 << 10}, func(w *chain.SetWriter) error { return addFile(w, "f", difftar.Diff, m, st.stream) })
		a.writeSet(t, 2, historyOptions{Volume: 300 << 10}, func(w *chain.SetWriter) error { return addFile(w, "f", difftar.Snapshot, m, data) })
		for last := 1; last <= 2; last++ {
			t.Run(fmt.Sprint(name, last), func(t *testing.T) {
				x := a.extractTo(t, filepath.Join(t.TempDir(), "target"), last, extract.Options{}, extract.DiskOptions{NoOwnership: true})
				got, err := os.ReadFile(filepath.Join(x.target, "f"))
				if x.err != nil || err != nil || !bytes.Equal(got, data) {
					t.Fatalf("error %v, %v, lost %v, %d bytes of %d", x.err, err, x.lost, len(got), len(data))
				}
				var fi unix.Stat_t
				if err := unix.Stat(filepath.Join(x.target, "f"), &fi); err != nil {
					t.Fatal(err)
				}
				if used := fi.Blocks * 512; used > solid+int64(len(data))/8+64<<10 {
					t.Errorf("%d bytes on disk for %d that are not zero", used, solid)
				}
			})
		}
	}
}

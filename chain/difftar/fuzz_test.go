package difftar_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/treetest"
)

// FuzzReader: nothing makes a Reader panic or give what a Writer would not write,
// and what it gives is read back the same once written.
func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add(raw{name: "snapshot/a", typeflag: '0', uid: binaryField(8, 1<<40)}.block())
	f.Add(append(pax("path", "snapshot/\xff", "mtime", "-1.5"), raw{name: "x", typeflag: '2', link: "l"}.block()...))
	f.Add(append(extension('L', "multivol_diff/a/7\x00"), raw{magic: "ustar  \x00", typeflag: '0'}.block()...))
	rnd := newRandom(3)
	for range 5 {
		f.Add(write(f, false, true, []record{rnd.record(false), rnd.record(false)}))
	}
	if _, err := os.Stat(filepath.Join(treetest.ModuleRoot(f), "..", "shared", "fixtures")); err == nil {
		for _, a := range golden(f) {
			if len(a.tar) < 16<<10 {
				f.Add(a.tar)
			}
		}
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		records, err := read(bytes.NewReader(archive))
		if err != nil && err != io.ErrUnexpectedEOF && !errors.Is(err, difftar.ErrFormat) {
			t.Fatalf("error of no kind: %v", err)
		}
		kept := records[:0]
		for _, r := range records {
			if err := difftar.CheckPath(r.Path); err != nil {
				t.Fatalf("read an unsafe path: %v", err)
			}
			if len(r.Uname)+len(r.Gname) > difftar.MaxPath || r.Major >= 1<<21 || r.Minor >= 1<<21 {
				continue // which a Writer refuses, being nothing that exists
			}
			r.MTime = max(r.MTime, 0)
			kept = append(kept, r)
		}
		again, err := read(bytes.NewReader(write(t, false, true, kept)))
		if err != nil || len(again) != len(kept) {
			t.Fatalf("wrote %d entries, read %d, error %v", len(kept), len(again), err)
		}
		for i := range kept {
			if again[i] != kept[i] {
				t.Fatalf("wrote %+v, read %+v", kept[i].Entry, again[i].Entry)
			}
		}
	})
}

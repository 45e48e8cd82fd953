package extract_test

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/extract"
	"hindsight/chain/toc"
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

// TestLargeTables reads a volume whole whose table would take more memory than it may,
// and by blocks where it does not.
func TestLargeTables(t *testing.T) {
	treetest.Sequential(t)
	tar := tarOf(t, rawFile("a", strings.Repeat("a", 540_000)), rawFile("b", "b"))
	for _, tt := range []struct {
		block int64 // bytes
		whole bool
	}{{1, true}, {64 << 10, false}} {
		a := newArchive()
		a.rawSet(t, 0, rawVolume{start: "a", end: "b", tar: tar})
		set := a.sets(t, 0)[0]
		err := a.repo.PutTOC(t.Context(), set, chain.TOCOptions{}, func(w io.Writer) error { return tocOf(w, tar, tt.block) })
		if err != nil {
			t.Fatal(err)
		}
		target := t.TempDir()
		err = errors.Join(os.WriteFile(filepath.Join(target, "a"), make([]byte, 540_000), 0o644),
			os.Chtimes(filepath.Join(target, "a"), time.Time{}, time.Unix(1e9, 0)))
		if err != nil {
			t.Fatal(err)
		}
		var progress extract.Progress
		x := a.extractTo(t, target, 0, extract.Options{InPlace: true, Progress: &progress}, extract.DiskOptions{Replace: true, NoOwnership: true})
		if data, err := os.ReadFile(filepath.Join(target, "b")); x.err != nil || len(x.lost) > 0 || string(data) != "b" {
			t.Errorf("%d bytes a block: error %v, lost %v; %q, %v", tt.block, x.err, x.lost, data, err)
		}
		if read := progress.StoredBytes.Load(); (read >= int64(len(tar))) != tt.whole {
			t.Errorf("%d bytes a block: %d bytes of the volume were read, which has %d", tt.block, read, len(tar))
		}
	}
}

// tocOf is the portable index of a full of one plain volume, in blocks of a length.
func tocOf(dst io.Writer, tar []byte, block int64) error {
	table := &codec.Table{}
	sums := make(map[string][32]byte)
	for at := int64(0); at < int64(len(tar)); at += block {
		p := tar[at:min(at+block, int64(len(tar)))]
		sum, ok := sums[string(p)]
		if !ok {
			sum = blake3.Sum256(p)
			sums[string(p)] = sum
		}
		table.Blocks = append(table.Blocks, codec.Block{TarOffset: at, StoredOffset: at, StoredLen: int32(len(p)), Len: int32(len(p)), Sum: sum})
	}
	id := setID(0)
	w := toc.NewWriter(dst, toc.Header{End: id.End})
	v := toc.Volume{Number: 1, Object: toc.Object{Size: int64(len(tar)), SHA1: sha1.Sum(tar), Table: table}}
	if err := w.Volume(&v); err != nil {
		return err
	}
	r := difftar.NewReader(bytes.NewReader(tar))
	for {
		en, err := r.Next()
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return err
		}
		err = w.Entry(&toc.Entry{
			Path: en.Path, Kind: en.Kind, Meta: en.Meta, Sec: en.MTime, Size: en.Size,
			Stream: []extent.Extent{{Len: en.Size, Place: extent.Place{Volume: 1, Tar: en.Offset}}},
		})
		if err != nil {
			return err
		}
	}
}

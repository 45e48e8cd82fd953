package extract_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// countSink only counts, so that bombs do not fill the disk.
type countSink struct{ files, bytes atomic.Int64 }

func (s *countSink) WriteFile(_ extract.Handle, _ string, _ *difftar.Meta, data []byte) error {
	s.files.Add(1)
	s.bytes.Add(int64(len(data)))
	return nil
}
func (s *countSink) WriteAt(_ extract.Handle, _ string, p []byte, _ int64) error {
	s.bytes.Add(int64(len(p)))
	return nil
}
func (s *countSink) Create(extract.Handle, string) error                { return nil }
func (s *countSink) Finish(extract.Handle, string, *difftar.Meta) error { s.files.Add(1); return nil }
func (s *countSink) Release(extract.Handle, string) error               { return nil }
func (s *countSink) Commit(extract.Handle, string) error                { return nil }
func (s *countSink) Discard(extract.Handle, string)                     {}
func (s *countSink) Object(string, *difftar.Meta) error                 { return nil }
func (s *countSink) Dir(string, *difftar.Meta) error                    { return nil }
func (s *countSink) DirMeta(string, *difftar.Meta, bool) error          { return nil }

// zeroVolume is a gzip volume that one byte in a thousand stores: one big file of
// zeros, or very many paths of 60 KiB.
func zeroVolume(t testing.TB, size int64, paths int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	w := difftar.NewWriter(z)
	part := make([]byte, difftar.PartSize)
	long := strings.Repeat(strings.Repeat("n", 100)+"/", 600)
	for i := range paths {
		e := rawFile(fmt.Sprintf("%s%09d", long, i), "").Entry
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; size > 0; i++ {
		e := rawPart(difftar.Snapshot, "x", i, "").Entry
		e.Size = min(size-1, difftar.PartSize)
		size -= difftar.PartSize
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		w.Write(part[:e.Size])
	}
	if err := errors.Join(w.Flush(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBombs extracts volumes that become a thousand times as large, within bounds
// of memory.
func TestBombs(t *testing.T) {
	treetest.Sequential(t)
	for name, data := range map[string][]byte{"zeros": zeroVolume(t, 128<<20, 0), "paths": zeroVolume(t, 0, 1500)} {
		a := newArchive()
		id := setID(0)
		a.rawSet(t, 0, rawVolume{end: "z", tar: data})
		key := naming.Scheme{}.Format(naming.Name{Kind: naming.Volume, End: id.End, Volume: 1})
		if err := errors.Join(a.mem.Put(t.Context(), key+".gz", store.Bytes(data), store.PutOptions{}), a.mem.Delete(t.Context(), key)); err != nil {
			t.Fatal(err)
		}
		sink := &peakSink{}
		before := heap()
		res, err := extract.Run(t.Context(), extract.Options{Repository: a.repo, Sets: a.sets(t, 0), Sink: sink, Jobs: 2, Memory: 1 << 20})
		if err != nil || res.Lost > 0 {
			t.Fatalf("%s: %+v, %v", name, res, err)
		}
		grown := int64(sink.peak.Load()) - int64(before)
		t.Logf("%s: %d stored bytes gave %d bytes in %d files; the heap grew by %d KiB", name, len(data), sink.bytes.Load(), sink.files.Load(), grown>>10)
		if sink.bytes.Load()+sink.files.Load() < 1500 || grown > 32<<20 {
			t.Errorf("%s: the heap grew by %d bytes", name, grown)
		}
	}
}

// peakSink watches the heap.
type peakSink struct {
	countSink
	calls atomic.Int64
	peak  atomic.Uint64
}

func (s *peakSink) look() {
	if s.calls.Add(1)%500 == 0 {
		h := heap()
		for old := s.peak.Load(); h > old && !s.peak.CompareAndSwap(old, h); old = s.peak.Load() {
		}
	}
}

func (s *peakSink) WriteAt(h extract.Handle, path string, p []byte, off int64) error {
	s.look()
	return s.countSink.WriteAt(h, path, p, off)
}

func (s *peakSink) WriteFile(h extract.Handle, path string, m *difftar.Meta, data []byte) error {
	s.look()
	return s.countSink.WriteFile(h, path, m, data)
}

// heap is the bytes of the heap that are in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

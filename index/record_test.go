package index_test

import (
	"bytes"
	"cmp"
	"testing"

	"hindsight/chain/extent"
	"hindsight/index"
)

// FuzzKey proves that keys are taken apart as they are put together.
func FuzzKey(f *testing.F) {
	f.Add(index.DirentKey(1, index.Root, "name"))
	f.Add(index.DirentKey(1<<32-1, 1<<40-1, "\x00\xff"))
	f.Add(index.DirentKey(7, 0, ""))
	f.Add([]byte("d"))
	f.Fuzz(func(t *testing.T, key []byte) {
		again, err := index.KeyAgain(key)
		if err == nil && !bytes.Equal(again, key) {
			t.Errorf("%x became %x", key, again)
		}
	})
}

// FuzzRecord proves that what is taken for a record can be written, and says the same
// then.
func FuzzRecord(f *testing.F) {
	for _, b := range index.SampleRecords() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again, what, err := index.RecordAgain(b, 7)
		if err != nil {
			return
		}
		last, still, err := index.RecordAgain(again, 7)
		if err != nil || still != what || !bytes.Equal(last, again) {
			t.Errorf("%x says %s, written again %x says %s, %v", b, what, again, still, err)
		}
	})
}

// FuzzExtents does the same for lists of extents.
func FuzzExtents(f *testing.F) {
	f.Add(index.EncodeExtents(9, []extent.Extent{
		{Len: 200_000, Place: extent.Place{Set: 9, Volume: 1, Tar: 512, Head: 65536, Gap: 1024}},
		{Off: 200_000, Len: 1, Place: extent.Place{Set: 2, Volume: 70_000, Tar: 1 << 40}},
	}))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := index.ExtentsAgain(b, 9)
		if err != nil {
			return
		}
		if last, err := index.ExtentsAgain(again, 9); err != nil || !bytes.Equal(last, again) {
			t.Errorf("%x became %x, and then %x, %v", b, again, last, err)
		}
	})
}

// FuzzMeta does it for the meta file.
func FuzzMeta(f *testing.F) {
	f.Add(index.SampleMeta())
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := index.MetaAgain(b)
		if err != nil {
			return
		}
		if last, err := index.MetaAgain(again); err != nil || !bytes.Equal(last, again) {
			t.Errorf("%s became %s, and then %s, %v", b, again, last, err)
		}
	})
}

// TestRecordsComeBack proves that samples are records as they are written.
func TestRecordsComeBack(t *testing.T) {
	for i, b := range index.SampleRecords() {
		again, what, err := index.RecordAgain(b, 7)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("record %d: %s written as %x, was %x, %v", i, what, again, b, err)
		}
		for n := range b {
			if _, what, err := index.RecordAgain(b[:n], 7); err == nil {
				t.Errorf("record %d cut to %d bytes of %d is taken for %s", i, n, len(b), what)
			}
		}
	}
	if b := index.SampleMeta(); len(b) > 0 {
		b[10] ^= 1
		if _, err := index.MetaAgain(b); err == nil {
			t.Error("a meta file with a flipped bit is taken")
		}
	}
}

func TestNode(t *testing.T) {
	for _, c := range []struct {
		number uint32
		id     index.ID
	}{{1, index.Root}, {index.MaxNumber, 1<<40 - 1}, {12345, 678910}} {
		node := index.Node(c.number, c.id)
		number, id := index.SplitNode(node)
		if number != c.number || id != c.id || node < 1<<40 || node >= 1<<62 {
			t.Errorf("Node(%d, %d) = %#x, taken apart %d, %d", c.number, c.id, node, number, id)
		}
	}
	if cmp.Compare(index.Node(1, 1<<40-1), index.Node(2, 1)) >= 0 {
		t.Error("nodes of a snapshot overlap the next one's")
	}
}

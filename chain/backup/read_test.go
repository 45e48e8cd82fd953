package backup_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zeebo/blake3"
	"golang.org/x/crypto/blake2b"

	"hindsight/chain/backup"
	"hindsight/chain/difftar"
	"hindsight/chain/librsync"
	"hindsight/chain/source"
	"hindsight/chain/treetest"
)

// fake is a file whose content is another at every look: states[i] is what is read
// after i rewinds.
type fake struct {
	states []fakeState
	pos    int64
}

type fakeState struct {
	said    int64 // size by stat
	content []byte
	endless bool  // the content goes on with zeros
	err     error // at the content's end
	changed bool  // at the end
	xattrs  []source.Xattr
}

func (f *fake) Item() *source.Item {
	it := &source.Item{Size: f.states[0].said}
	it.Type = difftar.Regular
	return it
}

func (f *fake) Read(p []byte) (int, error) {
	s := f.states[0]
	p = p[:min(len(p), 10_000)]
	switch n := copy(p, s.content[min(f.pos, int64(len(s.content))):]); {
	case n > 0:
		f.pos += int64(n)
		return n, nil
	case s.endless:
		clear(p)
		f.pos += int64(len(p))
		return len(p), nil
	case s.err != nil:
		return 0, s.err
	}
	return 0, io.EOF
}

func (f *fake) Changed() (bool, error) { return f.states[0].changed, nil }

func (f *fake) Xattrs() ([]source.Xattr, error) { return f.states[0].xattrs, nil }

func (f *fake) Rewind() error {
	f.pos = 0
	if len(f.states) > 1 {
		f.states = f.states[1:]
	}
	return nil
}

func signature(t *testing.T, content []byte, blockLen int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := librsync.NewSignatureWriter(&b, blockLen)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signatureIs checks a signature against a content, in the blocks it has.
func signatureIs(t *testing.T, got, content []byte) {
	t.Helper()
	if len(got) < 12 || !bytes.Equal(got, signature(t, content, int(binary.BigEndian.Uint32(got[4:])))) {
		t.Errorf("signature of %d bytes is not that of what was stored", len(got))
	}
}

// TestReadFile reads files that do not keep still, or cannot be read to the end.
func TestReadFile(t *testing.T) {
	errDisk := errors.New("input/output error")
	rng := treetest.Rand(t, 1)
	small, large := treetest.Content(rng, 5000), treetest.Content(rng, 200_000)
	still := func(b []byte) fakeState { return fakeState{said: int64(len(b)), content: b} }
	torn := func(b []byte) fakeState { return fakeState{said: int64(len(b)), content: b, changed: true} }
	for _, c := range []struct {
		name    string
		states  []fakeState
		want    []byte // nil: nothing
		warning bool
		err     bool
	}{
		{"small", []fakeState{still(small)}, small, false, false},
		{"a hole", []fakeState{{said: 1 << 62, content: small}}, nil, false, true},
		{"empty", []fakeState{still(nil)}, []byte{}, false, false},
		{"part", []fakeState{still(large[:1<<16])}, large[:1<<16], false, false},
		{"part less one", []fakeState{still(large[:1<<16-1])}, large[:1<<16-1], false, false},
		{"two parts", []fakeState{still(large[:1<<17])}, large[:1<<17], false, false},
		{"large", []fakeState{still(large)}, large, false, false},
		{"changed once", []fakeState{torn(small[:100]), still(small)}, small, false, false},
		{"changed always", []fakeState{torn(small[:9]), torn(small[:99]), torn(small[:999])}, small[:999], true, false},
		{"grew past a part", []fakeState{torn(small), still(large)}, large, false, false},
		{"grew slowly", []fakeState{torn(small[:10]), torn(small[:20]), torn(small[:30]), torn(small[:40])}, small[:30], true, false},
		{"shrank", []fakeState{{said: 5000, content: small[:7], changed: true}, still(small[:7])}, small[:7], false, false},
		{"shrank to nothing", []fakeState{{said: 5000, changed: true}, still(nil)}, []byte{}, false, false},
		{"less than said", []fakeState{{said: 4096, content: small[:7]}}, small[:7], false, false},
		{"more than said", []fakeState{{said: 0, content: large}}, large, false, false},
		{"large shrank", []fakeState{{said: 1 << 20, content: large, changed: true}}, large, true, false},
		{"large grew", []fakeState{{said: 70_000, content: large, changed: true}}, large, true, false},
		{"small unreadable", []fakeState{{said: 5000, content: small[:100], err: errDisk}}, nil, false, true},
		{"unreadable at once", []fakeState{{said: 0, err: errDisk}}, nil, false, true},
		{"large unreadable", []fakeState{{said: 1 << 20, content: large, err: errDisk}}, large, true, false},
		{"large unreadable at once", []fakeState{{said: 1 << 20, err: errDisk}}, nil, false, true},
		{"at a part's end unreadable", []fakeState{{said: 1 << 20, content: large[:1<<17], err: errDisk}}, large[:1<<17], true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{states: c.states}
			got := backup.ReadFile(t.Context(), f.Item(), f, nil, 64<<20)
			if (got.Warning != nil) != c.warning || (got.Err != nil) != c.err {
				t.Errorf("warning %v, error %v", got.Warning, got.Err)
			}
			if c.want == nil {
				if got.Parts != nil {
					t.Errorf("parts of %d bytes of an unreadable file", got.Parts)
				}
				return
			}
			if !bytes.Equal(got.Content, c.want) || got.Kind != difftar.Snapshot {
				t.Errorf("%v of %d bytes, want %d of the content", got.Kind, len(got.Content), len(c.want))
			}
			wantParts(t, got.Parts)
			signatureIs(t, got.Signature, got.Content)
			hashIs(t, got, c.want)
		})
	}
}

func hashIs(t *testing.T, got backup.Read, content []byte) {
	t.Helper()
	if got.Size != int64(len(content)) || got.Hash != blake3.Sum256(content) {
		t.Errorf("size %d, hash %x, want those of %d bytes", got.Size, got.Hash, len(content))
	}
}

// TestReadXattrs: attributes are kept with the content that they stand beside, unless
// they are long.
func TestReadXattrs(t *testing.T) {
	attrs := []source.Xattr{{Name: "user.a", Value: []byte("1")}, {Name: "user.b", Value: []byte{}}}
	long := []source.Xattr{{Name: "user.long", Value: make([]byte, 4096)}}
	for _, size := range []int{10, 200_000} {
		for _, c := range []struct{ have, want []source.Xattr }{{nil, nil}, {attrs, attrs}, {long, nil}} {
			f := &fake{states: []fakeState{{said: int64(size), content: make([]byte, size), xattrs: c.have}}}
			got := backup.ReadFile(t.Context(), f.Item(), f, nil, 64<<20)
			if diff := cmp.Diff(c.want, got.Xattrs); diff != "" {
				t.Errorf("%d bytes: attributes differ (-want +got):\n%s", size, diff)
			}
		}
	}
}

// wantParts checks the lengths of parts (duplicity-format.md §3.4).
func wantParts(t *testing.T, parts []int) {
	t.Helper()
	for i, n := range parts {
		if last := i == len(parts)-1; last == (n == difftar.PartSize) || n > difftar.PartSize {
			t.Errorf("parts of %d bytes: only the last is shorter than 64 KiB", parts)
			return
		}
	}
}

// TestEndlessFile: a file that never ends does not hold a backup up for ever.
func TestEndlessFile(t *testing.T) {
	treetest.Sequential(t)
	for _, said := range []int64{0, 10, 1 << 20} {
		f := &fake{states: []fakeState{{said: said, content: make([]byte, said), endless: true, changed: said > 0}}}
		got := backup.ReadFile(t.Context(), f.Item(), f, nil, 64<<20)
		if n := int64(len(got.Content)); got.Err != nil || n > said+backup.MaxGrowth || got.Warning == nil {
			t.Errorf("said to have %d bytes: stored %d, error %v, warning %v", said, n, got.Err, got.Warning)
		}
	}
}

// patched is the content that a delta makes of its basis.
func patched(t *testing.T, basis, delta []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := librsync.Patch(bytes.NewReader(basis), int64(len(basis)), bytes.NewReader(delta), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// foreign is a signature of content with another kind of sums, all of one block.
func foreign(t *testing.T, magic, strongLen uint32, content []byte) []byte {
	t.Helper()
	b := binary.BigEndian.AppendUint32(nil, magic)
	b = binary.BigEndian.AppendUint32(b, uint32(len(content)))
	b = binary.BigEndian.AppendUint32(b, strongLen)
	b = append(b, signature(t, content, len(content))[12:16]...)
	sum := blake2b.Sum256(content)
	return append(b, sum[:strongLen]...)
}

// TestReadDelta makes deltas by old signatures, the useless of which make it store
// the file whole.
func TestReadDelta(t *testing.T) {
	rng := treetest.Rand(t, 2)
	for _, size := range []int64{4000, 300_000} {
		old := treetest.Content(rng, size)
		now := slices.Concat(old[:size/2], []byte("something new"), old[size/2:])
		weak := signature(t, old, 512)
		binary.BigEndian.PutUint32(weak[8:], 4) // nonsense, but of a valid length
		for _, c := range []struct {
			name string
			sig  []byte
			want difftar.Kind
		}{
			{"good", signature(t, old, 512), difftar.Diff},
			{"other block length", signature(t, old, 777), difftar.Diff},
			{"of nothing", signature(t, nil, 512), difftar.Snapshot},
			{"weak", weak, difftar.Snapshot},
			{"blake2", foreign(t, 0x72730137, 32, now[:2000]), difftar.Diff},
			{"weak blake2", foreign(t, 0x72730137, 7, now[:2000]), difftar.Snapshot},
			{"huge blocks", foreign(t, 0x72730137, 32, make([]byte, 9<<20)), difftar.Snapshot},
			{"cut short", signature(t, old, 512)[:20], difftar.Snapshot},
			{"no signature", []byte("garbage that is long enough"), difftar.Snapshot},
			{"of no bytes", []byte{}, difftar.Snapshot},
		} {
			f := &fake{states: []fakeState{{said: int64(len(now)), content: now}}}
			got := backup.ReadFile(t.Context(), f.Item(), f, c.sig, 64<<20)
			if got.Kind != c.want || got.Err != nil || got.Warning != nil {
				t.Errorf("%d bytes, %s: %v, error %v, warning %v", size, c.name, got.Kind, got.Err, got.Warning)
				continue
			}
			content := got.Content
			if got.Kind == difftar.Diff {
				if len(content) >= len(now) {
					t.Errorf("%d bytes, %s: delta of %d bytes", size, c.name, len(content))
				}
				basis := old
				if c.name == "blake2" {
					basis = now[:2000]
				}
				content = patched(t, basis, content)
			}
			if !bytes.Equal(content, now) {
				t.Errorf("%d bytes, %s: stored is something else", size, c.name)
			}
			wantParts(t, got.Parts)
			signatureIs(t, got.Signature, now)
			hashIs(t, got, now)
		}
	}
}

// TestReadCanceled: a reader whose parts nobody takes ends with its context.
func TestReadCanceled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	big := make([]byte, 4<<20)
	f := &fake{states: []fakeState{{said: int64(len(big)), content: big}}}
	if got := backup.ReadFile(ctx, f.Item(), f, nil, 64<<20); !errors.Is(got.Err, stop) {
		t.Errorf("error %v, want the context's", got.Err)
	}
}

// TestDoubtfulTime: the time of a signature in doubt is never taken for the file's.
func TestDoubtfulTime(t *testing.T) {
	for _, mtime := range []int64{-5, 0, 1, 2, 3, treetest.BaseTime} {
		if got := backup.ChangeTime(mtime); got <= 0 || got == max(mtime, 0) {
			t.Errorf("for %d: %d", mtime, got)
		}
	}
}

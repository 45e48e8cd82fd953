package difftar_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/difftar"
)

var asRecords = cmp.AllowUnexported(record{})

// What a Writer writes a Reader reads, whatever the entries.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(60) {
		rnd := newRandom(seed)
		for _, sigtar := range []bool{false, true} {
			var want []record
			for range 40 {
				want = append(want, rnd.record(sigtar))
			}
			finish := rnd.IntN(2) == 0
			tar := write(t, sigtar, finish, want)
			var src io.Reader = bytes.NewReader(tar)
			switch rnd.IntN(4) {
			case 0:
				src = iotest.OneByteReader(src)
			case 1:
				src = iotest.DataErrReader(iotest.HalfReader(src))
			}
			got, err := read(src)
			if err != nil {
				t.Fatalf("seed %d, sigtar %v: %v", seed, sigtar, err)
			}
			if diff := cmp.Diff(want, got, asRecords); diff != "" {
				t.Fatalf("seed %d, sigtar %v (-written +read):\n%s", seed, sigtar, diff)
			}
			if finish && len(tar)%10240 != 0 {
				t.Errorf("seed %d: finished archive of %d bytes, no whole records", seed, len(tar))
			}
		}
	}
}

// Every length of name, link and owner around the fields' ends, with and without a
// byte that is not ASCII.
func TestEveryLength(t *testing.T) {
	var want []record
	for n := 1; n <= 300; n++ {
		for _, component := range []int{50, 99, 100, 101, 155, 156, 255} {
			p := []byte(strings.Repeat("n", n))
			for i := component; i < n-1; i += component + 1 {
				p[i] = '/'
			}
			dir := difftar.Entry{Path: string(p), Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Directory}}
			link := dir
			link.Type, link.Linkname = difftar.Symlink, string(p)
			file := dir
			file.Type, file.Uname, file.Gname = difftar.Regular, string(p), "\xff"+string(p)
			file.Kind = difftar.Diff
			want = append(want, record{Entry: dir}, record{Entry: link}, record{file, "x"})
		}
	}
	got, err := read(bytes.NewReader(write(t, false, false, want)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, asRecords); diff != "" {
		t.Fatal(diff)
	}
}

func TestLongestPath(t *testing.T) {
	p := strings.Repeat("d/", difftar.MaxPath/2-1) + "ee"
	want := []record{{Entry: difftar.Entry{Path: p, Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Symlink, Linkname: "\xff" + p[1:]}}}}
	got, err := read(bytes.NewReader(write(t, false, true, want)))
	if err != nil || len(p) != difftar.MaxPath || len(got) != 1 || got[0] != want[0] {
		t.Fatalf("%d entries, error %v", len(got), err)
	}
}

// A difftar of an unencrypted volume ends with its last entry, one of an encrypted
// volume with zeros up to a whole record, at least two blocks of them.
func TestEnds(t *testing.T) {
	if tar := write(t, false, false, nil); len(tar) != 0 {
		t.Errorf("empty volume of %d bytes", len(tar))
	}
	for n := range 45 {
		var want []record
		for range n {
			want = append(want, record{Entry: difftar.Entry{Path: "x", Kind: difftar.Deleted}})
		}
		tar := write(t, true, true, want)
		if zeros := len(tar) - 512*n; len(tar)%10240 != 0 || zeros < 1024 || zeros >= 1024+10240 {
			t.Errorf("%d headers: archive of %d bytes", n, len(tar))
		}
		got, err := read(bytes.NewReader(tar))
		if err != nil || len(got) != n {
			t.Errorf("%d headers: read %d, error %v", n, len(got), err)
		}
	}
}

// Names in the archive are those that duplicity gives (duplicity-format.md §3.3, §4.1).
func TestNames(t *testing.T) {
	meta := func(typ difftar.Type) difftar.Meta { return difftar.Meta{Type: typ} }
	for _, tt := range []struct {
		entry   difftar.Entry
		difftar string
		sigtar  string // empty: the same
	}{
		{difftar.Entry{Kind: difftar.Snapshot, Meta: meta(difftar.Directory)}, "snapshot/./", "snapshot/"},
		{difftar.Entry{Kind: difftar.Snapshot, Meta: meta(difftar.Regular)}, "snapshot/", ""},
		{difftar.Entry{Kind: difftar.Snapshot, Meta: meta(difftar.Regular), Part: 2}, "multivol_snapshot/./2", ""},
		{difftar.Entry{Path: "a/b", Kind: difftar.Snapshot, Meta: meta(difftar.Directory)}, "snapshot/a/b/", ""},
		{difftar.Entry{Path: "a/b", Kind: difftar.Snapshot, Meta: meta(difftar.Fifo)}, "snapshot/a/b", ""},
		{difftar.Entry{Path: "a/b", Kind: difftar.Diff, Meta: meta(difftar.Regular)}, "diff/a/b", ""},
		{difftar.Entry{Path: "a/1", Kind: difftar.Diff, Meta: meta(difftar.Regular), Part: 3}, "multivol_diff/a/1/3", ""},
		{difftar.Entry{Path: "a/b", Kind: difftar.Deleted, Meta: meta(difftar.Directory)}, "deleted/a/b", ""},
		{difftar.Entry{Path: "a", Kind: difftar.Signature, Meta: meta(difftar.Regular)}, "signature/a", ""},
	} {
		for _, sigtar := range []bool{false, true} {
			want := tt.difftar
			if sigtar && tt.sigtar != "" {
				want = tt.sigtar
			}
			tar := write(t, sigtar, false, []record{{Entry: tt.entry}})
			if name, _, _ := bytes.Cut(tar[:100], []byte{0}); string(name) != want {
				t.Errorf("%+v, sigtar %v: name %q, want %q", tt.entry, sigtar, name, want)
			}
		}
	}
}

// What is deleted has a header of zeros, whatever the entry says.
func TestDeletedHeader(t *testing.T) {
	full := difftar.Entry{Path: "p", Kind: difftar.Deleted, Meta: difftar.Meta{
		Type: difftar.Directory, Mode: 0o755, UID: 1, GID: 2, Uname: "u", Gname: "g", MTime: 3, Linkname: "l", Major: 4, Minor: 5,
	}}
	bare := difftar.Entry{Path: "p", Kind: difftar.Deleted}
	a, b := write(t, false, false, []record{{Entry: full}}), write(t, false, false, []record{{Entry: bare}})
	if !bytes.Equal(a, b) {
		t.Errorf("header of a deleted path depends on its metadata:\n%q\n%q", a, b)
	}
}

func TestOldTimesBecomeZero(t *testing.T) {
	e := difftar.Entry{Path: "p", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular, MTime: -86400}}
	got, err := read(bytes.NewReader(write(t, false, false, []record{{Entry: e}})))
	if err != nil || got[0].MTime != 0 {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestWriterRefuses(t *testing.T) {
	file := difftar.Meta{Type: difftar.Regular}
	long := strings.Repeat("x/", difftar.MaxPath/2) + "y"
	for name, e := range map[string]difftar.Entry{
		"parent":         {Path: "a/../b", Kind: difftar.Snapshot, Meta: file},
		"absolute":       {Path: "/etc", Kind: difftar.Snapshot, Meta: file},
		"trailing slash": {Path: "a/", Kind: difftar.Deleted},
		"empty":          {Path: "a//b", Kind: difftar.Deleted},
		"dot":            {Path: ".", Kind: difftar.Deleted},
		"NUL":            {Path: "a\x00b", Kind: difftar.Deleted},
		"long":           {Path: long, Kind: difftar.Deleted},
		"no kind":        {Path: "a", Meta: file},
		"no type":        {Path: "a", Kind: difftar.Snapshot},
		"kind":           {Path: "a", Kind: 9, Meta: file},
		"type":           {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: 7}},
		"size":           {Path: "a", Kind: difftar.Snapshot, Meta: file, Size: -1},
		"huge":           {Path: "a", Kind: difftar.Snapshot, Meta: file, Size: difftar.MaxSize + 1},
		"part":           {Path: "a", Kind: difftar.Snapshot, Meta: file, Part: -1},
		"huge part":      {Path: "a", Kind: difftar.Snapshot, Meta: file, Part: 1 << 46},
		"deleted part":   {Path: "a", Kind: difftar.Deleted, Part: 1},
		"signature part": {Path: "a", Kind: difftar.Signature, Meta: file, Part: 1},
		"diff of dir":    {Path: "a", Kind: difftar.Diff, Meta: difftar.Meta{Type: difftar.Directory}},
		"part of link":   {Path: "a", Kind: difftar.Snapshot, Part: 1, Meta: difftar.Meta{Type: difftar.Symlink}},
		"dir with data":  {Path: "a", Kind: difftar.Snapshot, Size: 1, Meta: difftar.Meta{Type: difftar.Directory}},
		"uid":            {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular, UID: -1}},
		"gid":            {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular, GID: -1}},
		"major":          {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.CharDevice, Major: 1 << 21}},
		"minor":          {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.CharDevice, Minor: 1 << 21}},
		"link":           {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Symlink, Linkname: long}},
		"NUL link":       {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Symlink, Linkname: "\x00"}},
		"NUL user":       {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular, Uname: "a\x00"}},
		"NUL group":      {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular, Gname: "a\x00"}},
		"long user":      {Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular, Uname: long}},
	} {
		var out bytes.Buffer
		w := difftar.NewWriter(&out)
		if err := w.WriteHeader(&e); err == nil || out.Len() > 0 {
			t.Errorf("%s: error %v, %d bytes written", name, err, out.Len())
		}
		if err := w.WriteHeader(&difftar.Entry{Path: "fine", Kind: difftar.Deleted}); err != nil || out.Len() != 512 {
			t.Errorf("%s: the entry after it: error %v, %d bytes", name, err, out.Len())
		}
	}
}

func TestWriterErrorSticks(t *testing.T) {
	broken := errors.New("broken")
	w := difftar.NewWriter(&limitedWriter{left: 700, err: broken})
	e := difftar.Entry{Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular}, Size: 400}
	if err := w.WriteHeader(&e); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 400)); err != broken {
		t.Errorf("write: %v", err)
	}
	for name, err := range map[string]error{"header": w.WriteHeader(&e), "flush": w.Flush(), "finish": w.Finish()} {
		if err != broken {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := w.Write(nil); n != 0 || err != broken {
		t.Errorf("write again: %d, %v", n, err)
	}
}

// limitedWriter takes so many bytes and then fails.
type limitedWriter struct {
	left int
	err  error
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) {
		return n, l.err
	}
	return n, nil
}

func TestPromises(t *testing.T) {
	e := difftar.Entry{Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular}, Size: 2}
	for name, broken := range map[string]func(*difftar.Writer){
		"more data":  func(w *difftar.Writer) { w.Write([]byte("abc")) },
		"less data":  func(w *difftar.Writer) { w.Write([]byte("a")); w.Flush() },
		"next entry": func(w *difftar.Writer) { w.WriteHeader(&e) },
	} {
		w := difftar.NewWriter(io.Discard)
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		if !panics(func() { broken(w) }) {
			t.Errorf("%s than promised: no panic", name)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// Between entries the next byte written is the first of a header.
func TestOffsets(t *testing.T) {
	var out bytes.Buffer
	w := difftar.NewWriter(&out)
	for i := range 1200 {
		if w.Offset()%512 != 0 || w.Offset() != int64(out.Len()) {
			t.Fatalf("entry %d begins at %d, %d bytes are written", i, w.Offset(), out.Len())
		}
		e := difftar.Entry{Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular}, Size: int64(i)}
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, i/2))
		w.Write(make([]byte, i-i/2))
	}
}

package difftar_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"hindsight/chain/difftar"
)

// raw is a tar header made by hand.
type raw struct {
	name, link, user string
	typeflag         byte
	magic            string // "": pax
	mode, uid, size  string // fields as they are; "" is zero
	mtime, minor     string
	prefix           string
}

// block is the header with its checksum.
func (h raw) block() []byte {
	b := make([]byte, 512)
	field := func(at int, text, otherwise string) {
		if text == "" {
			text = otherwise
		}
		copy(b[at:], text)
	}
	field(0, h.name, "")
	field(100, h.mode, "0000644\x00")
	field(108, h.uid, "0000000\x00")
	field(116, "", "0000000\x00")
	field(124, h.size, "00000000000\x00")
	field(136, h.mtime, "00000000001\x00")
	b[156] = h.typeflag
	field(157, h.link, "")
	field(257, h.magic, "ustar\x0000")
	field(265, h.user, "")
	field(337, h.minor, "")
	field(345, h.prefix, "")
	return seal(b)
}

// seal puts the checksum in.
func seal(b []byte) []byte {
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// binaryField is a number in GNU's base-256, in n bytes.
func binaryField(n int, v int64) string {
	b := bytes.Repeat([]byte{byte(v >> 63)}, n)
	binary.BigEndian.PutUint64(b[n-8:], uint64(v))
	b[0] |= 0x80
	return string(b)
}

// padded fills up to whole blocks.
func padded(s string) []byte { return append([]byte(s), make([]byte, -len(s)&511)...) }

// extension is an extended header with its data.
func extension(typeflag byte, data string) []byte {
	h := raw{name: "././@PaxHeader", typeflag: typeflag, size: fmt.Sprintf("%011o\x00", len(data))}
	return append(h.block(), padded(data)...)
}

// pax is an extended header of key, value pairs.
func pax(pairs ...string) []byte {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		body := " " + pairs[i] + "=" + pairs[i+1] + "\n"
		n := len(body) + 1
		for len(fmt.Sprint(n))+len(body) != n {
			n++
		}
		fmt.Fprintf(&b, "%d%s", n, body)
	}
	return extension('x', b.String())
}

func TestHostileNames(t *testing.T) {
	long := strings.Repeat("x/", difftar.MaxPath/2) + "y"
	for _, name := range []string{
		"..", "../x", "a/..", "a/../b", "/etc/passwd", "//", "/", "a//b", "a//", "./a", "a/./b", "a/.", ".//", "a\x00b", "\x00", long,
	} {
		for _, prefix := range []string{"snapshot/", "diff/", "deleted/", "signature/"} {
			archive := append(pax("path", prefix+name), raw{name: "x", typeflag: '0'}.block()...)
			wantBad(t, prefix+name, archive, !strings.HasPrefix(name, "x/"))
		}
		archive := append(pax("path", "multivol_snapshot/"+name+"/1"), raw{name: "x", typeflag: '0'}.block()...)
		if name != "/" && name != ".//" { // a root's parts, with too many slashes
			wantBad(t, "parts of "+name, archive, !strings.HasPrefix(name, "x/"))
		}
	}
	for _, name := range []string{
		"", "snapshot", "snapshots/a", "Snapshot/a", "/snapshot/a", "./snapshot/a", "multivol_snapshot/a", "multivol_diff/a/", "multivol_diff/a/0",
		"multivol_diff/a/-1", "multivol_diff/a/+1", "multivol_diff/a/1x", "multivol_diff/a/ 1", "multivol_diff/a/0x1", "multivol_diff/", "multivol_diff/x",
		"multivol_diff/a/70368744177664", "multivol_diff/a/" + strings.Repeat("0", 50) + "1", "multivol_deleted/a/1", "multivol_signature/a/1",
	} {
		wantBad(t, name, raw{name: name, typeflag: '0'}.block(), false)
	}
}

// wantBad checks that an archive is refused for what it says.
func wantBad(t *testing.T, what string, archive []byte, unsafe bool) {
	t.Helper()
	records, err := read(bytes.NewReader(archive))
	if !errors.Is(err, difftar.ErrFormat) || errors.Is(err, difftar.ErrUnsafePath) != unsafe || len(records) > 0 {
		t.Errorf("%.80q: %d entries, error %v", what, len(records), err)
	}
	if err != nil && len(err.Error()) > 2000 {
		t.Errorf("%.80q: an error of %d bytes", what, len(err.Error()))
	}
}

func TestTolerantNames(t *testing.T) {
	for name, want := range map[string]difftar.Entry{
		"snapshot/":                          {},
		"snapshot/.":                         {},
		"snapshot/./":                        {},
		"snapshot/a/":                        {Path: "a"},
		"snapshot/snapshot":                  {Path: "snapshot"},
		"multivol_snapshot/1":                {Part: 1},
		"multivol_snapshot//1":               {Part: 1},
		"multivol_snapshot/./1":              {Part: 1},
		"multivol_snapshot/1/2":              {Path: "1", Part: 2},
		"multivol_snapshot/a/1/02":           {Path: "a/1", Part: 2},
		"multivol_snapshot/a/70368744177663": {Path: "a", Part: 1<<46 - 1},
		"snapshot/\n\xff":                    {Path: "\n\xff"},
		"snapshot/...":                       {Path: "..."},
		"snapshot/..a/.b":                    {Path: "..a/.b"},
	} {
		want.Kind, want.Offset = difftar.Snapshot, 512
		want.Meta = difftar.Meta{Type: difftar.Regular, Mode: 0o644, MTime: 1}
		got, err := read(bytes.NewReader(raw{name: name, typeflag: '0'}.block()))
		if err != nil || len(got) != 1 || got[0].Entry != want {
			t.Errorf("%q: got %+v, error %v", name, got, err)
		}
	}
}

func TestFields(t *testing.T) {
	const name = "snapshot/a"
	file := difftar.Meta{Type: difftar.Regular, Mode: 0o644, MTime: 1}
	with := func(change func(*difftar.Meta)) difftar.Meta {
		m := file
		change(&m)
		return m
	}
	for what, tt := range map[string]struct {
		h    raw
		want difftar.Meta // zero: refused
	}{
		"spaces":         {raw{mode: "  644 \x00"}, file},
		"no end":         {raw{mode: "00000644"}, file},
		"after NUL":      {raw{mode: "0644\x00xyz"}, file},
		"blank":          {raw{uid: "        "}, file},
		"NUL":            {raw{uid: "\x00\x00\x00\x00\x00\x00\x00\x00"}, file},
		"type bits":      {raw{mode: "0104755\x00"}, with(func(m *difftar.Meta) { m.Mode = 0o4755 })},
		"letters":        {raw{mode: "00x0644\x00"}, difftar.Meta{}},
		"eight":          {raw{uid: "0000008\x00"}, difftar.Meta{}},
		"minus":          {raw{uid: "-000001\x00"}, difftar.Meta{}},
		"base-256":       {raw{uid: binaryField(8, 1<<40)}, with(func(m *difftar.Meta) { m.UID = 1 << 40 })},
		"largest":        {raw{uid: binaryField(8, 1<<62-1)}, with(func(m *difftar.Meta) { m.UID = 1<<62 - 1 })},
		"negative id":    {raw{uid: binaryField(8, -1)}, difftar.Meta{}},
		"far time":       {raw{mtime: binaryField(12, 1<<40)}, with(func(m *difftar.Meta) { m.MTime = 1 << 40 })},
		"early time":     {raw{mtime: binaryField(12, -5)}, with(func(m *difftar.Meta) { m.MTime = -5 })},
		"too far time":   {raw{mtime: "\x80\x00\x00\x01" + strings.Repeat("\x00", 8)}, difftar.Meta{}},
		"sign in number": {raw{mtime: "\x80\x00\x00\x00\x80" + strings.Repeat("\x00", 7)}, difftar.Meta{}},
		"negative size":  {raw{size: binaryField(12, -1)}, difftar.Meta{}},
		"huge size":      {raw{size: binaryField(12, 1<<63-1)}, difftar.Meta{}},
		"size":           {raw{size: binaryField(12, difftar.MaxSize+1)}, difftar.Meta{}},
		"hard link":      {raw{typeflag: '1'}, difftar.Meta{}},
		"sparse":         {raw{typeflag: 'S'}, difftar.Meta{}},
		"contiguous":     {raw{typeflag: '7'}, file},
		"V7":             {raw{typeflag: 1, magic: strings.Repeat("\x00", 8)}, difftar.Meta{}},
		"V7 dir":         {raw{name: name + "/", magic: strings.Repeat("\x00", 8)}, with(func(m *difftar.Meta) { m.Type = difftar.Directory })},
		"V7 no names":    {raw{user: "ghost", magic: "notustar", minor: "garbage"}, file},
		"bad minor":      {raw{minor: "garbage"}, difftar.Meta{}},
		"huge minor":     {raw{typeflag: '3', minor: binaryField(8, 1<<32)}, difftar.Meta{}},
		"minor":          {raw{typeflag: '3', minor: binaryField(8, 1<<32-1)}, with(func(m *difftar.Meta) { m.Type, m.Minor = difftar.CharDevice, 1<<32-1 })},
		"user":           {raw{user: strings.Repeat("u", 32)}, with(func(m *difftar.Meta) { m.Uname = strings.Repeat("u", 32) })},
		"GNU prefix":     {raw{magic: "ustar  \x00", prefix: "not a prefix"}, file},
	} {
		if tt.h.name == "" {
			tt.h.name = name
		}
		if tt.h.typeflag == 0 && tt.h.magic == "" {
			tt.h.typeflag = '0'
		}
		archive := tt.h.block()
		if tt.want == (difftar.Meta{}) {
			wantBad(t, what, archive, false)
			continue
		}
		got, err := read(bytes.NewReader(archive))
		if err != nil || len(got) != 1 || got[0].Meta != tt.want || got[0].Path != "a" {
			t.Errorf("%s: got %+v, error %v", what, got, err)
		}
	}
}

func TestPrefixField(t *testing.T) {
	p := strings.Repeat("p", 155-len("snapshot/"))
	n := strings.Repeat("n", 100)
	got, err := read(bytes.NewReader(raw{prefix: "snapshot/" + p, name: n, typeflag: '0'}.block()))
	if err != nil || got[0].Path != p+"/"+n {
		t.Errorf("got %+v, error %v", got, err)
	}
}

// Links, directories and devices have no data, whatever their size field says.
func TestHeaderOnly(t *testing.T) {
	for _, typeflag := range []byte("23456") {
		h := raw{name: "snapshot/a", typeflag: typeflag, size: "00000001234\x00"}
		archive := append(h.block(), raw{name: "snapshot/b", typeflag: '0'}.block()...)
		got, err := read(bytes.NewReader(archive))
		if err != nil || len(got) != 2 || got[0].Size != 0 || got[1].Path != "b" {
			t.Errorf("type %c: got %+v, error %v", typeflag, got, err)
		}
	}
	// What is deleted may have been stored with its type, or with data.
	archive := append(raw{name: "deleted/a", typeflag: '5', size: "00000001234\x00"}.block(), raw{name: "deleted/b", typeflag: '1', size: "00000001234\x00"}.block()...)
	archive = append(append(archive, raw{name: "deleted/c", typeflag: '0', size: "00000000001\x00"}.block()...), padded("x")...)
	got, err := read(bytes.NewReader(append(archive, raw{name: "deleted/d"}.block()...)))
	if err != nil || len(got) != 4 || got[0].Meta != (difftar.Meta{}) || got[0].Path != "a" || got[2].data != "x" {
		t.Errorf("deleted: got %+v, error %v", got, err)
	}
}

func TestExtensions(t *testing.T) {
	plain := raw{name: "snapshot/plain", link: "target", user: "u", typeflag: '2', uid: "0000007\x00"}.block()
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	link := difftar.Entry{Path: "plain", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Symlink, Mode: 0o644, UID: 7, Uname: "u", MTime: 1, Linkname: "target"}}
	with := func(change func(*difftar.Entry)) difftar.Entry {
		e := link
		change(&e)
		return e
	}
	for what, tt := range map[string]struct {
		archive []byte
		want    difftar.Entry
	}{
		"none":          {plain, link},
		"global":        {join(extension('g', "12 path=bad\n"), plain), link},
		"global after":  {join(pax("path", "snapshot/x"), extension('g', "12 path=bad\n"), plain), with(func(e *difftar.Entry) { e.Path = "x" })},
		"empty header":  {join(extension('x', ""), plain), link},
		"empty value":   {join(pax("path", "", "uid", "", "linkpath", ""), plain), link},
		"last wins":     {join(pax("path", "snapshot/x", "path", "snapshot/y"), plain), with(func(e *difftar.Entry) { e.Path = "y" })},
		"two headers":   {join(pax("path", "snapshot/x"), pax("linkpath", "y"), plain), with(func(e *difftar.Entry) { e.Path, e.Linkname = "x", "y" })},
		"GNU names":     {join(extension('K', "other\x00"), extension('L', "snapshot/x\x00junk"), plain), with(func(e *difftar.Entry) { e.Path, e.Linkname = "x", "other" })},
		"GNU no end":    {join(extension('L', "snapshot/x"), plain), with(func(e *difftar.Entry) { e.Path = "x" })},
		"raw":           {join(pax("hdrcharset", "BINARY", "path", "snapshot/\xff=\n", "linkpath", "\xfe", "uname", "\xfd"), plain), with(func(e *difftar.Entry) { e.Path, e.Linkname, e.Uname = "\xff=\n", "\xfe", "\xfd" })},
		"raw unmarked":  {join(pax("path", "snapshot/\xff"), plain), with(func(e *difftar.Entry) { e.Path = "\xff" })},
		"numbers":       {join(pax("uid", "9223372036854775807", "gid", "5", "mtime", "-12.75"), plain), with(func(e *difftar.Entry) { e.UID, e.GID, e.MTime = 1<<63-1, 5, -12 })},
		"size of link":  {join(pax("size", "99999999"), plain), link},
		"unknown":       {join(pax("SCHILY.xattr.user.x", "\x00\x01", "ctime", "x"), plain), link},
		"GNU then pax":  {join(extension('L', "snapshot/x\x00"), pax("path", "snapshot/y"), plain), with(func(e *difftar.Entry) { e.Path = "y" })},
		"almost a name": {join(pax("pat", "snapshot/x", "pathx", "snapshot/x"), plain), link},
	} {
		got, err := read(bytes.NewReader(tt.archive))
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %d entries, error %v", what, len(got), err)
			continue
		}
		tt.want.Offset = int64(len(tt.archive))
		if got[0].Entry != tt.want {
			t.Errorf("%s: got %+v, want %+v", what, got[0].Entry, tt.want)
		}
	}
}

func TestBadExtensions(t *testing.T) {
	plain := raw{name: "snapshot/plain", typeflag: '0'}.block()
	huge := raw{name: "x", typeflag: 'x', size: fmt.Sprintf("%011o\x00", difftar.MaxExtended+1)}.block()
	claim := raw{name: "x", typeflag: 'L', size: binaryField(12, 1<<62)}.block()
	half := extension('x', strings.Repeat("16 comment=12345\n", 0)+"524305 comment="+strings.Repeat("c", 524289)+"\n")
	for what, archive := range map[string][]byte{
		"no length":     append(extension('x', "path=x\n"), plain...),
		"short":         append(extension('x', "5 a=b\n"), plain...),
		"long":          append(extension('x', "99 a=b\n"), plain...),
		"zero":          append(extension('x', "0 a=b\n"), plain...),
		"huge length":   append(extension('x', "99999999999999999999 a=b\n"), plain...),
		"minus":         append(extension('x', "-6 a=b\n"), plain...),
		"no end":        append(extension('x', "6 a=bc"), plain...),
		"no key":        append(extension('x', "5 =b\n"), plain...),
		"no equals":     append(extension('x', "6 abc\n"), plain...),
		"bad uid":       append(pax("uid", "x"), plain...),
		"negative uid":  append(pax("uid", "-1"), plain...),
		"fraction":      append(pax("uid", "1.5"), plain...),
		"bad fraction":  append(pax("mtime", "1.x"), plain...),
		"big uid":       append(pax("uid", "9223372036854775808"), plain...),
		"many digits":   append(pax("uid", strings.Repeat("0", 100)+"1"), plain...),
		"size":          append(pax("size", fmt.Sprint(difftar.MaxSize+1)), plain...),
		"negative size": append(pax("size", "-1"), plain...),
		"huge size":     append(pax("size", "9223372036854775807"), plain...),
		"sparse":        append(pax("GNU.sparse.major", "1"), plain...),
		"NUL user":      append(pax("uname", "a\x00b"), plain...),
		"NUL group":     append(pax("gname", "a\x00b"), plain...),
		"NUL link":      append(pax("linkpath", "a\x00b"), raw{name: "snapshot/l", typeflag: '2'}.block()...),
		"long link":     append(pax("linkpath", strings.Repeat("l", difftar.MaxPath+1)), raw{name: "snapshot/l", typeflag: '2'}.block()...),
		"alone":         append(pax("path", "snapshot/x"), make([]byte, 1024)...),
		"too large":     huge,
		"claim":         claim,
		"bomb":          bytes.Repeat(half, 3),
	} {
		wantBad(t, what, archive, false)
	}
}

// endless yields the same bytes for ever.
type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

// However much there is of extended headers, memory stays bounded.
func TestExtensionsDoNotPileUp(t *testing.T) {
	for what, header := range map[string][]byte{
		"pax":    pax("path", "snapshot/"+strings.Repeat("p", 60_000)),
		"GNU":    extension('L', strings.Repeat("p", 60_000)),
		"global": extension('g', strings.Repeat("p", 60_000)),
	} {
		r := difftar.NewReader(io.LimitReader(&endless{data: header}, 64<<20))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := r.Next()
		runtime.ReadMemStats(&after)
		want := difftar.ErrFormat
		if what == "global" {
			want = io.ErrUnexpectedEOF // the limit cuts it
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: error %v", what, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
			t.Errorf("%s: %d bytes allocated", what, n)
		}
	}
}

// A header that claims a megabyte must not cost one before it comes.
func TestClaimsAreNotAllocated(t *testing.T) {
	claim := raw{name: "x", typeflag: 'x', size: fmt.Sprintf("%011o\x00", difftar.MaxExtended)}.block()
	n := testing.AllocsPerRun(5, func() { difftar.NewReader(bytes.NewReader(claim)).Next() })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	difftar.NewReader(bytes.NewReader(claim)).Next()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 300<<10 || n > 20 {
		t.Errorf("%d bytes, %v allocations", grown, n)
	}
}

// The archive ends at the first zero block; what follows is not looked at
// (duplicity-format.md §3.1).
func TestOneZeroBlock(t *testing.T) {
	want := []record{{Entry: difftar.Entry{Path: "a", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular}}, data: "abc"}}
	archive := write(t, false, false, want)
	archive = append(archive, make([]byte, 512)...)
	end := int64(len(archive))
	archive = append(archive, bytes.Repeat([]byte("garbage\xff"), 9000)...)
	r := difftar.NewReader(bytes.NewReader(archive))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("behind the last entry: %v, want io.EOF", err)
		}
	}
	if _, err := r.Chunk(10); err != io.EOF {
		t.Errorf("data behind the end: %v", err)
	}
	if r.Offset() != end {
		t.Errorf("the archive ends at %d, want %d", r.Offset(), end)
	}
	theirs := tar.NewReader(bytes.NewReader(archive))
	theirs.Next()
	if _, err := theirs.Next(); err == io.EOF {
		t.Error("archive/tar takes it too: the test shows nothing")
	}
}

// Cut at any place, an archive ends there or is said to be cut short.
func TestTruncation(t *testing.T) {
	records := []record{
		{Entry: difftar.Entry{Path: "", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Directory}}},
		{Entry: difftar.Entry{Path: strings.Repeat("é", 120), Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular}}, data: strings.Repeat("x", 700)},
		{Entry: difftar.Entry{Path: "z", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular, UID: 1 << 40}}, data: "y"},
		{Entry: difftar.Entry{Path: "zz", Kind: difftar.Deleted}},
	}
	archive := write(t, false, true, records)
	boundary := map[int]int{0: 0} // offset -> entries before it
	last := records[len(records)-1]
	for i, r := range records {
		boundary[int(r.Offset+(r.Size+511)&^511)] = i + 1
	}
	for n := range len(archive) + 1 {
		got, err := read(iotest.DataErrReader(bytes.NewReader(archive[:n])))
		count, clean := boundary[n]
		if n >= int(last.Offset)+512 {
			count, clean = len(records), true // the end has begun
		}
		switch {
		case clean && (err != nil || len(got) != count):
			t.Fatalf("cut at the boundary %d: %d entries, error %v", n, len(got), err)
		case !clean && err != io.ErrUnexpectedEOF:
			t.Fatalf("cut at %d: %d entries, error %v, want io.ErrUnexpectedEOF", n, len(got), err)
		}
		for i := range got {
			if got[i] != records[i] {
				t.Fatalf("cut at %d: entry %d is %+v", n, i, got[i].Entry)
			}
		}
	}
}

func TestSourceErrors(t *testing.T) {
	broken := errors.New("broken")
	archive := write(t, false, true, []record{{Entry: difftar.Entry{Path: "é", Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular}}, data: strings.Repeat("x", 700)}})
	for n := 0; n < len(archive)-10240; n += 100 {
		r := difftar.NewReader(io.MultiReader(bytes.NewReader(archive[:n]), iotest.ErrReader(broken)))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if err != broken {
			t.Fatalf("source broken at %d: %v", n, err)
		}
		if _, again := r.Next(); again != broken {
			t.Fatalf("source broken at %d: then %v", n, again)
		}
	}
	r := difftar.NewReader(lazy{})
	if _, err := r.Next(); err != io.ErrNoProgress {
		t.Errorf("source without progress: %v", err)
	}
}

// lazy gives nothing, for ever.
type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }

func TestFlippedBits(t *testing.T) {
	archive := raw{name: "snapshot/a", typeflag: '0'}.block()
	for i := range archive {
		for bit := range 8 {
			archive[i] ^= 1 << bit
			got, err := read(bytes.NewReader(archive))
			// The blanks around the checksum are the only bits without a meaning.
			if err == nil && (i < 148 || i >= 156) {
				t.Errorf("bit %d of byte %d flipped: read as %+v", bit, i, got)
			}
			archive[i] ^= 1 << bit
		}
	}
}

func TestSignedChecksum(t *testing.T) {
	b := raw{name: "snapshot/\xff\xfe", typeflag: '0'}.block()
	sum := int(8 * ' ')
	for i, c := range b {
		if i < 148 || i >= 156 {
			sum += int(int8(c))
		}
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	if got, err := read(bytes.NewReader(b)); err != nil || got[0].Path != "\xff\xfe" {
		t.Errorf("got %+v, error %v", got, err)
	}
}

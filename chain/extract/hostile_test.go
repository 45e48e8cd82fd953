package extract_test

import (
	stdtar "archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/extract"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

// rawVolume is a volume made by hand.
type rawVolume struct {
	number     int // 0: the next
	start, end string
	block      int // of the end
	tar        []byte
	gzip       bool
}

// rawSet stores a set of volumes made by hand, right as far as hashes go.
func (a *archive) rawSet(t testing.TB, set int, volumes ...rawVolume) {
	t.Helper()
	id := setID(set)
	put := func(kind naming.Kind, volume int, gz bool, data []byte) {
		n := naming.Name{Kind: kind, Inc: id.Inc, Start: id.Start, End: id.End, Volume: volume, Compressed: gz}
		if err := a.mem.Put(context.Background(), naming.Scheme{}.Format(n), store.Bytes(data), store.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	w := manifest.NewWriter(&text, "host", "/src")
	for i, v := range volumes {
		if v.number == 0 {
			v.number = i + 1
		}
		if v.gzip {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write(v.tar)
			z.Close()
			v.tar = b.Bytes()
		}
		put(naming.Volume, v.number, v.gzip, v.tar)
		sum := sha1.Sum(v.tar)
		err := w.Volume(manifest.Volume{
			Number: v.number, Start: manifest.Position{Path: v.start}, End: manifest.Position{Path: v.end, Block: v.block},
			Hashes: []manifest.Hash{{Algorithm: "SHA1", Hex: hex.EncodeToString(sum[:])}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(naming.Manifest, 0, false, text.Bytes())
}

// tarOf is an archive of entries, in whatever order.
func tarOf(t testing.TB, entries ...rawEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := difftar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.data))
		err := w.WriteHeader(&e.Entry)
		if err == nil {
			_, err = w.Write(e.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type rawEntry struct {
	difftar.Entry
	data []byte
}

func raw(kind difftar.Kind, typ difftar.Type, path, data string) rawEntry {
	return rawEntry{difftar.Entry{Path: path, Kind: kind, Meta: difftar.Meta{Type: typ, Mode: 0o644, MTime: 1e9}}, []byte(data)}
}

func rawFile(path, data string) rawEntry { return raw(difftar.Snapshot, difftar.Regular, path, data) }

func rawDir(path string) rawEntry {
	e := raw(difftar.Snapshot, difftar.Directory, path, "")
	e.Mode = 0o755
	return e
}

func rawDelta(path, ops string) rawEntry {
	return raw(difftar.Diff, difftar.Regular, path, "rs\x026"+ops)
}

func rawLink(path, to string) rawEntry {
	e := raw(difftar.Snapshot, difftar.Symlink, path, "")
	e.Linkname = to
	return e
}

func rawPart(kind difftar.Kind, path string, part int, data string) rawEntry {
	e := raw(kind, difftar.Regular, path, data)
	e.Part = part
	return e
}

func copyOp(from, n uint64) string {
	b := binary.BigEndian.AppendUint64([]byte{0x54}, from)
	return string(binary.BigEndian.AppendUint64(b, n))
}

func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		"snapshot/../evil", "snapshot//etc/passwd", "snapshot/a/../../evil", "snapshot/a/./b", "/snapshot/x", "snapshot/a//b",
		"multivol_snapshot/../evil/1", "diff/../evil", "deleted/../evil", "multivol_snapshot/x/99999999999999999999", "../evil", "evil", "snapshot/a\x00b",
	} {
		var b bytes.Buffer
		w := stdtar.NewWriter(&b)
		if err := w.WriteHeader(&stdtar.Header{Name: name, Mode: 0o644, Size: 4, Typeflag: stdtar.TypeReg, Format: stdtar.FormatGNU}); err != nil {
			t.Logf("%q cannot be written: %v", name, err)
			continue
		}
		w.Write([]byte("evil"))
		w.Flush()
		a := newArchive()
		a.rawSet(t, 0, rawVolume{end: "z", tar: b.Bytes()})
		dir := t.TempDir()
		x := a.extractTo(t, filepath.Join(dir, "sub", "target"), 0, extract.Options{}, extract.DiskOptions{Replace: true})
		if !strings.Contains(name, "\x00") && !errors.Is(x.err, difftar.ErrFormat) {
			t.Errorf("%q: error is %v", name, x.err)
		}
		if tree, _ := treetest.Scan(dir); len(tree) > 4 {
			t.Errorf("%q: left %v", name, tree)
		}
	}
}

// TestHostileLinks tries to be led out of the target.
func TestHostileLinks(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	treetest.Write(t, outside, treetest.File("passwd", "root"))
	before := treetest.Record(t, outside)
	link, file, under := rawLink("a", outside), rawFile("a/passwd", "evil"), rawFile("a/new", "evil")
	big := rawPart(difftar.Snapshot, "a/passwd", 1, strings.Repeat("x", difftar.PartSize))
	end := rawPart(difftar.Snapshot, "a/passwd", 2, "")
	all := func(e ...rawEntry) rawVolume { return rawVolume{end: "z", tar: tarOf(t, e...)} }
	for name, sets := range map[string][][]rawVolume{
		"one volume":  {{all(link, under, file)}},
		"big":         {{all(link, big, end)}},
		"two volumes": {{{end: "a", tar: tarOf(t, link)}, {start: "a/new", end: "z", tar: tarOf(t, under, file)}}},
		"older":       {{all(link)}, {all(under, file)}},
		"newer":       {{all(under, file)}, {all(link)}},
		"delta":       {{all(link, file)}, {all(rawDelta("a/passwd", copyOp(0, 4)+"\x00"))}},
		"directory":   {{all(link, rawDir("a/b"), rawFile("a/b/c", "evil"))}},
		"device":      {{all(link, raw(difftar.Snapshot, difftar.Fifo, "a/fifo", ""))}},
	} {
		for _, disk := range []extract.DiskOptions{{}, {Replace: true}} {
			for _, inTheWay := range []bool{false, true} {
				a := newArchive()
				for i, v := range sets {
					a.rawSet(t, i, v...)
				}
				target := filepath.Join(t.TempDir(), "target")
				if inTheWay {
					treetest.Write(t, target, treetest.Symlink("a", outside))
				}
				for _, jobs := range []int{1, 4} {
					x := a.extractTo(t, target, len(sets)-1, extract.Options{Jobs: jobs}, disk)
					if x.err != nil {
						t.Errorf("%s: %v", name, x.err)
					}
					if !treetest.Equal(t, treetest.Record(t, outside), before, treetest.Options{}) {
						t.Fatalf("%s, %+v, in the way %v: led out of the target", name, disk, inTheWay)
					}
				}
			}
		}
	}
}

// TestHostileOrder has entries and volumes that contradict each other.
func TestHostileOrder(t *testing.T) {
	all := func(e ...rawEntry) []rawVolume { return []rawVolume{{end: "z", tar: tarOf(t, e...)}} }
	full := strings.Repeat("x", difftar.PartSize)
	for name, volumes := range map[string][]rawVolume{
		"twice":            all(rawFile("x", "1"), rawFile("x", "2")),
		"twice, unwanted":  all(rawFile("x", "1"), raw(difftar.Deleted, 0, "x", "")),
		"file, then parts": all(rawFile("x", "1"), rawPart(difftar.Snapshot, "x", 1, "2")),
		"not in order":     all(rawFile("y", "1"), rawFile("x", "2")),
		"string order":     all(rawFile("a-b", "1"), rawFile("a/b", "2")),
		"overlap": {
			{start: "a", end: "m", tar: tarOf(t, rawFile("a", ""), rawFile("k", "1"), rawFile("m", ""))},
			{start: "c", end: "z", tar: tarOf(t, rawFile("c", ""), rawFile("k", "2"), rawFile("z", ""))},
		},
		"backwards": {
			{start: "n", end: "z", tar: tarOf(t, rawFile("n", ""))}, {start: "a", end: "c", tar: tarOf(t, rawFile("a", ""))},
		},
		"path twice at a border": {
			{end: "x", tar: tarOf(t, rawFile("x", "1"))}, {start: "x", end: "x", tar: tarOf(t, rawFile("x", "2"))},
		},
		"border visited again": {
			{end: "x", tar: tarOf(t, rawPart(difftar.Diff, "x", 1, full))}, {start: "x", end: "y", tar: tarOf(t, rawPart(difftar.Diff, "x", 2, "2"))},
			{start: "a", end: "b"}, {start: "c", end: "x", tar: tarOf(t, rawPart(difftar.Diff, "x", 3, full))},
			{start: "x", end: "y", tar: tarOf(t, rawPart(difftar.Diff, "x", 4, "2"))},
		},
	} {
		for _, jobs := range []int{1, 8} {
			a := newArchive()
			a.rawSet(t, 0, volumes...)
			if x := a.extract(t, 0, extract.Options{Jobs: jobs}); !errors.Is(x.err, difftar.ErrFormat) {
				t.Errorf("%s: error is %v", name, x.err)
			}
		}
	}
}

// TestHostileParts has files whose parts do not fit together. Each costs itself and
// nothing else.
func TestHostileParts(t *testing.T) {
	full := strings.Repeat("x", difftar.PartSize)
	s, d := difftar.Snapshot, difftar.Diff
	zeros := strings.Repeat("\x00", 0)
	for name, tt := range map[string]struct {
		volumes []rawVolume
		want    string // "" is lost
	}{
		"odd sizes":         {[]rawVolume{{end: "z", tar: tarOf(t, rawPart(s, "x", 1, "abc"), rawPart(s, "x", 2, "def"), rawPart(s, "x", 3, "g"), rawFile("z", "z"))}}, "abcdefg"},
		"no empty part":     {[]rawVolume{{end: "z", tar: tarOf(t, rawPart(s, "x", 1, full), rawFile("z", "z"))}}, full},
		"ends full":         {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, full))}, {start: "z", end: "z", tar: tarOf(t, rawFile("z", "z"))}}, ""},
		"begins at 2":       {[]rawVolume{{end: "z", tar: tarOf(t, rawPart(s, "x", 2, "b"), rawFile("z", "z"))}}, ""},
		"gap":               {[]rawVolume{{end: "z", tar: tarOf(t, rawPart(s, "x", 1, full), rawPart(s, "x", 3, "b"), rawFile("z", "z"))}}, ""},
		"part twice":        {[]rawVolume{{end: "z", tar: tarOf(t, rawPart(s, "x", 1, full), rawPart(s, "x", 1, "b"), rawFile("z", "z"))}}, ""},
		"kinds mixed":       {[]rawVolume{{end: "z", tar: tarOf(t, rawPart(s, "x", 1, full), rawPart(d, "x", 2, "b"), rawFile("z", "z"))}}, ""},
		"delta without end": {[]rawVolume{{end: "z", tar: tarOf(t, rawDelta("x", "\x01a"), rawFile("z", "z"))}}, ""},
		"delta garbage":     {[]rawVolume{{end: "z", tar: tarOf(t, rawDelta("x", "\xff"), rawFile("z", "z"))}}, ""},
		"delta of nothing":  {[]rawVolume{{end: "z", tar: tarOf(t, rawDelta("x", copyOp(0, 5)+"\x00"), rawFile("z", "z"))}}, ""},
		"straddle": {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, full))},
			{start: "x", end: "z", tar: tarOf(t, rawPart(s, "x", 2, "b"), rawFile("z", "z"))}}, full + "b"},
		"straddle, odd": {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, "a"), rawPart(s, "x", 2, full))},
			{start: "x", end: "z", tar: tarOf(t, rawPart(s, "x", 3, "b"), rawFile("z", "z"))}}, ""},
		"straddle, short": {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, "a"+zeros))},
			{start: "x", end: "z", tar: tarOf(t, rawPart(s, "x", 2, "b"), rawFile("z", "z"))}}, ""},
		"straddle, gap": {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, full))},
			{start: "x", end: "z", tar: tarOf(t, rawPart(s, "x", 3, "b"), rawFile("z", "z"))}}, ""},
		"straddle, overlap": {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, full), rawPart(s, "x", 2, full))},
			{start: "x", end: "z", tar: tarOf(t, rawPart(s, "x", 2, full), rawPart(s, "x", 3, full), rawPart(s, "x", 4, "b"), rawFile("z", "z"))}}, ""},
		"straddle, kinds mixed": {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, full))},
			{start: "x", end: "z", tar: tarOf(t, rawPart(d, "x", 2, "b"), rawFile("z", "z"))}}, ""},
		"straddle, no end": {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, full))},
			{start: "x", end: "x", tar: tarOf(t, rawPart(s, "x", 2, full))}, {start: "z", end: "z", tar: tarOf(t, rawFile("z", "z"))}}, ""},
		"straddle by the manifest alone": {[]rawVolume{{end: "x", tar: tarOf(t, rawPart(s, "x", 1, full), rawPart(s, "x", 2, "b"))},
			{start: "x", end: "z", tar: tarOf(t, rawFile("z", "z"))}}, full + "b"},
	} {
		for _, jobs := range []int{1, 8} {
			a := newArchive()
			a.rawSet(t, 0, tt.volumes...)
			x := a.extract(t, 0, extract.Options{Jobs: jobs})
			if x.err != nil {
				t.Errorf("%s: %v", name, x.err)
			}
			data, err := os.ReadFile(filepath.Join(x.target, "x"))
			switch {
			case tt.want == "" && (x.lost["x"] == nil || err == nil || len(x.lost) != 1):
				t.Errorf("%s: lost %v, got %d bytes", name, x.lost, len(data))
			case tt.want != "" && (string(data) != tt.want || len(x.lost) > 0):
				t.Errorf("%s: lost %v, got %d bytes", name, x.lost, len(data))
			}
			if z, _ := os.ReadFile(filepath.Join(x.target, "z")); string(z) != "z" {
				t.Errorf("%s: z is %q", name, z)
			}
		}
	}
}

// TestManifestGap leaves a volume out of a manifest: what it held is missing, not
// what an older set says of it.
func TestManifestGap(t *testing.T) {
	treetest.NeedRoot(t)
	h := newHistory(treetest.Rand(t, 9), historyOptions{Sets: 4, MaxSize: 100 << 10, Volume: 30 << 10})
	a := h.write(t)
	for i, s := range a.sets(t, 3) {
		m, contents, _ := a.contents(t, s)
		for v := range len(contents) - 1 { // that the last one is missing cannot be told
			l := loss{set: i, paths: make(map[string]bool), spanning: make(map[string]bool), signed: true}
			for _, p := range contents[v] {
				l.paths[p] = true
			}
			b := a.clone()
			b.replace(t, s.Manifest.Key, func([]byte) []byte {
				var text bytes.Buffer
				w := manifest.NewWriter(&text, "host", "/src")
				for k, vol := range m.Volumes {
					if k != v {
						if err := w.Volume(vol); err != nil {
							t.Fatal(err)
						}
					}
				}
				return text.Bytes()
			})
			if x := b.extract(t, 3, extract.Options{}); !errors.Is(x.err, chain.ErrMissingVolume) {
				t.Errorf("set %d, volume %d: error is %v", i, v+1, x.err)
			}
			h.checkSaved(t, b, &l)
		}
	}
}

func TestHostileDeltas(t *testing.T) {
	treetest.Sequential(t)
	basis := strings.Repeat("basis", 10)
	for name, tt := range map[string]struct {
		ops  string
		want error
	}{
		"beyond the basis":    {copyOp(0, 51) + "\x00", extent.ErrShort},
		"behind the basis":    {copyOp(50, 1) + "\x00", extent.ErrShort},
		"huge":                {copyOp(0, 1<<62) + "\x00", extent.ErrShort},
		"huge, far":           {copyOp(math.MaxInt64-5, 5) + "\x00", extent.ErrShort},
		"overflow":            {copyOp(math.MaxInt64, 5) + "\x00", nil},
		"negative":            {copyOp(math.MaxUint64, 5) + "\x00", nil},
		"sum overflows":       {copyOp(0, 1<<62) + copyOp(0, 1<<62) + copyOp(0, 1<<62) + "\x00", nil},
		"too many":            {strings.Repeat("\x45\x00\x01", extent.MaxDemands+1) + "\x00", extent.ErrTooMany},
		"bytes after the end": {"\x00\x00", nil},
	} {
		a := newArchive()
		a.rawSet(t, 0, rawVolume{end: "z", tar: tarOf(t, rawFile("x", basis))})
		a.rawSet(t, 1, rawVolume{start: "x", end: "x", tar: tarOf(t, partsOf("x", "rs\x026"+tt.ops)...)})
		x := a.extract(t, 1, extract.Options{})
		if x.err != nil || x.lost["x"] == nil || tt.want != nil && !errors.Is(x.lost["x"], tt.want) {
			t.Errorf("%s: %v, lost %v", name, x.err, x.lost)
		}
		if _, err := os.Stat(filepath.Join(x.target, "x")); err == nil {
			t.Errorf("%s: the file is there", name)
		}
	}
}

func partsOf(path, delta string) []rawEntry {
	if len(delta) < difftar.PartSize {
		return []rawEntry{raw(difftar.Diff, difftar.Regular, path, delta)}
	}
	var out []rawEntry
	for i := 1; ; i++ {
		p := delta[:min(len(delta), difftar.PartSize)]
		delta = delta[len(p):]
		out = append(out, rawPart(difftar.Diff, path, i, p))
		if len(p) < difftar.PartSize {
			return out
		}
	}
}

// TestHostileSizes has sizes that no file has.
func TestHostileSizes(t *testing.T) {
	block := tarOf(t, rawFile("x", "data"))
	for _, size := range []int64{math.MaxInt64, math.MaxInt64 - 511, 1 << 62, 1 << 51, -1} {
		tar := bytes.Clone(block)
		field := tar[124:136]
		clear(field)
		binary.BigEndian.PutUint64(field[4:], uint64(size))
		field[0] = 0x80
		if size < 0 {
			field[0], field[1], field[2], field[3] = 0xff, 0xff, 0xff, 0xff
		}
		copy(tar[148:156], "        ")
		sum := 0
		for _, c := range tar[:512] {
			sum += int(c)
		}
		copy(tar[148:156], fmt.Sprintf("%06o\x00 ", sum))
		a := newArchive()
		a.rawSet(t, 0, rawVolume{end: "z", tar: tar})
		if x := a.extract(t, 0, extract.Options{}); !errors.Is(x.err, difftar.ErrFormat) {
			t.Errorf("size %d: error is %v", size, x.err)
		}
	}
}

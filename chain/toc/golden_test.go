package toc_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
	"hindsight/chain/toc"
)

var update = flag.Bool("update", false, "write the golden objects of this version, if there are none")

// golden is the paths of all golden objects, of every version there was.
func golden(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "v*", "*.toc"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGolden reads objects that were written once and are never written again, and
// compares with what they were made of. Those of this version are also written
// back.
func TestGolden(t *testing.T) {
	version := filepath.Join("testdata", fmt.Sprintf("v%d", toc.Version))
	if _, err := os.Stat(version); *update && os.IsNotExist(err) {
		writeGolden(t, version)
	}
	names := golden(t)
	current := 0
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			data := readFile(t, name)
			c, _, err := read(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			want := readFile(t, strings.TrimSuffix(name, ".toc")+".json")
			if diff := cmp.Diff(string(want), string(dump(t, c))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if filepath.Dir(name) == version {
				current++
				if again := write(t, c); !bytes.Equal(again, data) {
					t.Error("it is written in another way today")
				}
			}
		})
	}
	if current < 3 {
		t.Errorf("%d golden objects of version %d", current, toc.Version)
	}
}

func writeGolden(t *testing.T, dir string) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	g := generator{rng: rand.New(rand.NewPCG(toc.Version, 0))}
	for name, c := range map[string]*content{
		"empty":  {Header: toc.Header{End: 1_700_000_000}},
		"full":   full(),
		"inc":    inc(),
		"random": g.toc(3, 40),
	} {
		for ext, data := range map[string][]byte{".toc": write(t, c), ".json": dump(t, c)} {
			if err := os.WriteFile(filepath.Join(dir, name+ext), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// full is a full backup of a few files with one of everything.
func full() *content {
	dir := difftar.Meta{Type: difftar.Directory, Mode: 0o755, UID: 1000, GID: 100, Uname: "kim", Gname: "users", MTime: 1_699_999_000}
	regular := func(path string, tar, size, sig int64) toc.Entry {
		e := file(path, 1, tar, size)
		e.HasHash, e.Hash, e.SigOffset, e.SigLen = true, [32]byte{byte(len(path)), 31: 9}, sig, 24
		return e
	}
	acl := regular("acl", 1024, 100, 1024)
	acl.Xattrs = []toc.Xattr{{Name: "system.posix_acl_access", Value: []byte{2, 0, 0, 0}}, {Name: "user.note", Value: nil}}
	before := regular("before-1970", 2048, 10, 2048)
	before.MTime, before.Sec, before.Nsec = 0, -86_400, 500_000_000
	large := regular("large", 5120, 200_000, 3072)
	large.Stream = []extent.Extent{
		{Len: 131_072, Place: extent.Place{Volume: 1, Tar: 5120, Head: extent.PartSize, Gap: 512}},
		{Off: 131_072, Len: 68_928, Place: extent.Place{Volume: 2, Tar: 512, Head: extent.PartSize, Gap: 512}},
	}
	empty := regular("empty", 0, 0, 2560)
	empty.Stream, empty.SigLen = nil, 12
	one, two := regular("link-1", 80_000, 7, 4096), regular("link-2", 81_408, 7, 5120)
	one.Link, two.Link = toc.Link{Dev: 2049, Ino: 123_456_789}, toc.Link{Dev: 2049, Ino: 123_456_789}
	link, device, fifo := dir, dir, dir
	link.Type, link.Linkname = difftar.Symlink, "../elsewhere"
	device.Type, device.Major, device.Minor = difftar.CharDevice, 1, 3
	fifo.Type = difftar.Fifo
	other := func(path string, m difftar.Meta) toc.Entry {
		return toc.Entry{Path: path, Kind: difftar.Snapshot, Meta: m, Sec: m.MTime}
	}
	return &content{
		Header: toc.Header{End: 1_700_000_000},
		Volumes: []toc.Volume{
			{Number: 1, Object: toc.Object{Size: 100_000, SHA1: [20]byte{1, 19: 1}, Table: &codec.Table{Deflated: true, Blocks: []codec.Block{
				{Len: 131_072, StoredLen: 60_000, Sum: [32]byte{1}},
				{TarOffset: 131_072, Len: 70_000, StoredOffset: 60_000, StoredLen: 40_000, Sum: [32]byte{2}},
			}}}},
			{Number: 2, Object: toc.Object{Size: 50_000, SHA1: [20]byte{2}}},
		},
		Signatures: &toc.Object{Size: 700},
		Entries: []toc.Entry{
			other("", dir), acl, before, other("dev", device), empty, other("fifo", fifo), large, one, two, other("symlink", link),
		},
	}
}

// inc is an incremental with changes and deletions.
func inc() *content {
	changed := file("changed", 1, 512, 300_000)
	changed.Kind = difftar.Diff
	changed.Stream[0].Len = 5000
	changed.Ops = []librsync.Op{{Copy: true, Len: 131_072}, {Pos: 9, Len: 4_900}, {Copy: true, Pos: 135_168, Len: 164_028}}
	unknown := file("unknown", 1, 6144, -1)
	unknown.Kind, unknown.OpsUnknown = difftar.Diff, true
	unknown.Stream[0].Len = 12
	c := full()
	return &content{
		Header:  toc.Header{Inc: true, Start: c.Header.End, End: 1_700_086_400},
		Volumes: c.Volumes[:1],
		Entries: []toc.Entry{changed, {Path: "gone", Kind: difftar.Deleted}, {Path: "gone/\xff\n", Kind: difftar.Deleted}, unknown},
	}
}

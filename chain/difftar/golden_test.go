package difftar_test

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/treetest"
)

// Every plain archive of the golden repositories is read to its end, in order, and
// says what Go's own reader of tar says.
func TestGolden(t *testing.T) {
	volumes, sigtars, gnu, pax := 0, 0, 0, 0
	for _, a := range golden(t) {
		got, err := read(bytes.NewReader(a.tar))
		if err != nil {
			t.Errorf("%s: %v", a.path, err)
			continue
		}
		inOrder(t, a.path, got)
		agree(t, a.path, a.tar, got)
		signatures := strings.Contains(filepath.Base(a.path), "sig") || strings.Contains(a.path, ".st")
		if signatures {
			sigtars++
		} else {
			volumes++
		}
		if bytes.Contains(a.tar, []byte("ustar  \x00")) {
			gnu++
		}
		if bytes.Contains(a.tar, []byte("././@PaxHeader\x00")) {
			pax++
		}
		for _, r := range got {
			if isSignature := r.Kind == difftar.Signature; isSignature && !signatures || !isSignature && signatures && r.Type == difftar.Regular && r.Kind != difftar.Deleted {
				t.Errorf("%s: %v entry %q of a %v", a.path, r.Kind, r.Path, r.Type)
			}
		}
	}
	t.Logf("%d volumes, %d signature archives; %d in the GNU dialect, %d with pax headers", volumes, sigtars, gnu, pax)
	if volumes < 100 || sigtars < 100 || gnu == 0 || pax == 0 {
		t.Error("too few of some kind")
	}
}

// inOrder checks that paths ascend, but for the parts of one file, which count up.
func inOrder(t *testing.T, name string, records []record) {
	t.Helper()
	for i := 1; i < len(records); i++ {
		a, b := &records[i-1], &records[i]
		switch c := difftar.Compare(a.Path, b.Path); {
		case c > 0 || c == 0 && b.Part == 0:
			t.Errorf("%s: %q after %q", name, b.Path, a.Path)
		case c == 0 && (b.Part != a.Part+1 || a.Kind != b.Kind || a.Meta != b.Meta || a.Size != difftar.PartSize):
			t.Errorf("%s: %q: part %d after part %d of %d bytes", name, b.Path, b.Part, a.Part, a.Size)
		}
	}
}

// agree compares with what Go's own reader makes of an archive that both accept.
func agree(t *testing.T, name string, archive []byte, records []record) {
	t.Helper()
	theirs := tar.NewReader(bytes.NewReader(archive))
	for i, r := range records {
		h, err := theirs.Next()
		if err != nil {
			t.Errorf("%s, entry %d: archive/tar: %v", name, i, err)
			return
		}
		data, err := io.ReadAll(theirs)
		if err != nil || string(data) != r.data {
			t.Errorf("%s: data of %q differ from archive/tar's; error %v", name, h.Name, err)
		}
		if want := tarName(r.Entry); strings.TrimSuffix(h.Name, "/") != want && (r.Path != "" || r.Part > 0) {
			t.Errorf("%s: name %q, archive/tar has %q", name, want, h.Name)
		}
		got := r.Meta
		theirs := difftar.Meta{
			Type: got.Type, Mode: uint32(h.Mode) & 0o7777, UID: int64(h.Uid), GID: int64(h.Gid), Uname: h.Uname, Gname: h.Gname,
			MTime: h.ModTime.Unix(), Linkname: h.Linkname, Major: uint32(h.Devmajor), Minor: uint32(h.Devminor),
		}
		if r.Kind != difftar.Deleted && (got != theirs || tarTypes[got.Type] != h.Typeflag) {
			t.Errorf("%s: %q: metadata %+v, archive/tar has %+v, type %c", name, r.Path, got, theirs, h.Typeflag)
		}
	}
	if h, err := theirs.Next(); err != io.EOF {
		t.Errorf("%s: archive/tar goes on with %v, error %v", name, h, err)
	}
}

var tarTypes = map[difftar.Type]byte{
	difftar.Regular: tar.TypeReg, difftar.Directory: tar.TypeDir, difftar.Symlink: tar.TypeSymlink,
	difftar.CharDevice: tar.TypeChar, difftar.BlockDevice: tar.TypeBlock, difftar.Fifo: tar.TypeFifo,
}

// What duplicity wrote is written again byte for byte, but for the end of a sigtar,
// and the pax headers that the prefix field saves us, whose reading must not differ.
func TestRewriteGolden(t *testing.T) {
	same, other := 0, 0
	for _, a := range golden(t) {
		records, err := read(bytes.NewReader(a.tar))
		if err != nil || len(records) == 0 || bytes.Contains(a.tar, []byte("ustar  \x00")) {
			continue
		}
		sigtar := strings.Contains(filepath.Base(a.path), "sig") || strings.Contains(a.path, ".st")
		ours := write(t, sigtar, false, records)
		if bytes.HasPrefix(a.tar, ours) {
			same++
			continue
		}
		other++
		again, err := read(bytes.NewReader(ours))
		if err != nil || len(again) != len(records) {
			t.Errorf("%s: %d entries, again %d, error %v", a.path, len(records), len(again), err)
			continue
		}
		for i := range again {
			again[i].Offset = records[i].Offset
			if again[i] != records[i] {
				t.Errorf("%s: wrote %+v, read %+v", a.path, records[i].Entry, again[i].Entry)
			}
		}
	}
	t.Logf("%d archives are the same, %d differ", same, other)
	if same < 150 {
		t.Error("too few archives are the same as duplicity's")
	}
}

// The names of a tree that was made of odd ones come out of its signatures.
func TestGoldenNames(t *testing.T) {
	archives := golden(t)
	for _, name := range []string{"names", "names-v3", "types", "gnu-tar", "metadata"} {
		c := treetest.LoadCase(t, name)
		found := map[string]bool{}
		for _, a := range archives {
			if !strings.HasPrefix(a.path, name+"/repo/") || !strings.Contains(a.path, "full-signatures") {
				continue
			}
			records, err := read(bytes.NewReader(a.tar))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				found[r.Path] = true
			}
		}
		if len(found) < 5 {
			t.Errorf("%s: %d entries", name, len(found))
		}
		for _, e := range c.Expected(t, c.Times[0]) {
			if !found[e.Path] {
				t.Errorf("%s: no signature of %q", name, e.Path)
			}
		}
	}
}

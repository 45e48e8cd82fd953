package difftar_test

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/treetest"
)

// interopRecords are random ones with what other programs can hold.
func interopRecords(t *testing.T, sigtar bool) ([]record, []byte) {
	rnd := newRandom(99)
	var records []record
	for range 300 {
		r := rnd.record(sigtar)
		// Python and GNU tar keep times in what their C library does.
		r.MTime = min(r.MTime, 1<<36)
		r.UID, r.GID = min(r.UID, 1<<31), min(r.GID, 1<<31)
		records = append(records, r)
	}
	return records, write(t, sigtar, true, records)
}

// tarName is the name in the archive, without a trailing slash.
func tarName(e difftar.Entry) string {
	name := e.Kind.String() + "/" + e.Path
	if e.Part > 0 {
		name = "multivol_" + name
		if e.Path == "" {
			name += "."
		}
		name += "/" + strconv.Itoa(e.Part)
	}
	return strings.TrimSuffix(name, "/")
}

func TestGoTar(t *testing.T) {
	for _, sigtar := range []bool{false, true} {
		records, archive := interopRecords(t, sigtar)
		agree(t, "random", archive, records)
	}
}

// script lists an archive as Python's tarfile, which is duplicity's, sees it.
const script = `
import sys, tarfile
for m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|"):
    raw = lambda s: s.encode("utf-8", "surrogateescape").hex() or "-"
    print(raw(m.name), m.type[0], m.size, m.mode, m.uid, m.gid, int(m.mtime), raw(m.uname), raw(m.gname), raw(m.linkname), m.devmajor, m.devminor)
`

func TestPython(t *testing.T) {
	python := treetest.NeedTool(t, "python3")
	for _, sigtar := range []bool{false, true} {
		records, archive := interopRecords(t, sigtar)
		cmd := exec.Command(python, "-c", script)
		cmd.Env = treetest.Environ("LC_ALL=C.UTF-8", "PYTHONUTF8=1")
		cmd.Stdin = bytes.NewReader(archive)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr.Bytes())
		}
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if len(lines) != len(records) {
			t.Fatalf("python has %d entries, want %d", len(lines), len(records))
		}
		for i, r := range records {
			if want := pythonLine(r, sigtar); lines[i] != want {
				t.Errorf("%+v:\npython %s\nwant   %s", r.Entry, lines[i], want)
			}
		}
	}
}

func pythonLine(r record, sigtar bool) string {
	raw := func(s string) string {
		if s == "" {
			return "-"
		}
		return hex.EncodeToString([]byte(s))
	}
	name := tarName(r.Entry)
	typ := byte(tar.TypeReg)
	if r.Kind != difftar.Deleted {
		typ = tarTypes[r.Type]
	}
	if r.Path == "" && r.Part == 0 {
		switch {
		case r.Kind != difftar.Deleted && r.Type == difftar.Directory && !sigtar:
			name += "/."
		case typ != tar.TypeDir: // tarfile takes the slash off directories alone
			name += "/"
		}
	}
	f := []string{raw(name), strconv.Itoa(int(typ))}
	for _, n := range []int64{r.Size, int64(r.Mode), r.UID, r.GID, r.MTime} {
		f = append(f, strconv.FormatInt(n, 10))
	}
	f = append(f, raw(r.Uname), raw(r.Gname), raw(r.Linkname))
	return strings.Join(append(f, strconv.Itoa(int(r.Major)), strconv.Itoa(int(r.Minor))), " ")
}

// GNU tar lists the names of what we write, and we read what it writes in each of
// its dialects.
func TestGNUTar(t *testing.T) {
	gnu := treetest.NeedTool(t, "tar")
	records, archive := interopRecords(t, false)
	name := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(name, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	env := treetest.Environ("LC_ALL=C.UTF-8", "TAR_OPTIONS")
	out := treetest.Run(t, env, "", gnu, "--list", "--absolute-names", "--quoting-style=escape", "--file="+name).OK(t)
	for line := range strings.Lines(out.Stderr) {
		if !strings.Contains(line, "unknown extended header keyword 'hdrcharset'") { // duplicity's own, too
			t.Errorf("tar complains: %s", line)
		}
	}
	lines := strings.Split(strings.TrimSuffix(out.Stdout, "\n"), "\n")
	if len(lines) != len(records) {
		t.Fatalf("tar has %d entries, want %d", len(lines), len(records))
	}
	for i, r := range records {
		got := unescape(t, lines[i])
		if r.Path == "" && r.Part == 0 {
			got = strings.TrimSuffix(strings.TrimRight(got, "/"), "/.")
		}
		if strings.TrimRight(got, "/") != tarName(r.Entry) {
			t.Errorf("tar lists %q, want %q", lines[i], tarName(r.Entry))
		}
	}
}

// unescape undoes GNU's quoting style.
func unescape(t *testing.T, s string) string {
	t.Helper()
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		if at := strings.IndexByte("abtnvfr", s[i]); at >= 0 {
			b = append(b, "\a\b\t\n\v\f\r"[at])
		} else if n, err := strconv.ParseUint(s[i:min(i+3, len(s))], 8, 8); err == nil && s[i] <= '3' {
			b = append(b, byte(n))
			i += 2
		} else {
			b = append(b, s[i])
		}
	}
	return string(b)
}

func TestDialects(t *testing.T) {
	gnu := treetest.NeedTool(t, "tar")
	dir := t.TempDir()
	long := strings.Repeat("d", 60)
	names := map[string][]string{
		"v7":    {"a", "b/c", "\xff\xfe"},
		"ustar": {"a", "b/c", "\xff\xfe", long + "/" + long + "/x"},
		"gnu":   {"a", "b/c", "\xff\xfe", long + "/" + long + "/" + long + "/" + long + "/" + long + "/x"},
		"pax":   {"a", "b/c", "é", long + "/" + long + "/" + long + "/" + long + "/" + long + "/x"},
	}
	for dialect, want := range names {
		root := filepath.Join(dir, dialect)
		for i, name := range want {
			p := filepath.Join(root, "snapshot", name)
			if err := os.MkdirAll(filepath.Dir(p), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, []byte(strings.Repeat("x", i*700)), 0o640); err != nil {
				t.Fatal(err)
			}
			if dialect == "gnu" || dialect == "pax" {
				if err := os.Symlink(strings.Repeat("t/", 100+i), p+".link"); err != nil {
					t.Fatal(err)
				}
			}
		}
		out := filepath.Join(dir, dialect+".tar")
		args := []string{"--create", "--format=" + dialect, "--sort=name", "--mtime=@1700000000", "--file=" + out}
		if dialect == "gnu" || dialect == "pax" {
			args = append(args, "--owner=someone:3000000", "--group=some:4000000")
		}
		treetest.Run(t, treetest.Environ("LC_ALL=C.UTF-8"), root, gnu, append(args, "snapshot")...).OK(t)
		archive, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		checkDialect(t, dialect, archive, want)
	}
}

func checkDialect(t *testing.T, dialect string, archive []byte, want []string) {
	t.Helper()
	found := map[string]record{}
	records, err := read(bytes.NewReader(archive))
	if err != nil {
		t.Fatalf("%s: %v", dialect, err)
	}
	for _, r := range records {
		found[r.Path] = r
	}
	for i, name := range want {
		r, ok := found[name]
		if !ok || r.Type != difftar.Regular || len(r.data) != i*700 || r.MTime != 1700000000 || r.Mode != 0o640 {
			t.Errorf("%s: %q: %+v", dialect, name, r.Entry)
		}
		if dialect != "gnu" && dialect != "pax" {
			continue
		}
		if l := found[name+".link"]; l.Type != difftar.Symlink || l.Linkname != strings.Repeat("t/", 100+i) {
			t.Errorf("%s: link of %q: %+v", dialect, name, l.Entry)
		}
		if r.UID != 3000000 || r.GID != 4000000 || r.Uname != "someone" || r.Gname != "some" {
			t.Errorf("%s: owner of %q: %+v", dialect, name, r.Meta)
		}
	}
	if r := found[""]; r.Type != difftar.Directory {
		t.Errorf("%s: root: %+v", dialect, r.Entry)
	}
}

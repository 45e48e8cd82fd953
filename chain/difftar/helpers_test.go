package difftar_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/treetest"
)

// record is an entry with its data.
type record struct {
	difftar.Entry
	data string
}

// write makes an archive of records and sets each one's size. The offsets that a
// Reader would give are put in, too.
func write(t testing.TB, sigtar, finish bool, records []record) []byte {
	t.Helper()
	var out bytes.Buffer
	w := difftar.NewWriter(&out)
	if sigtar {
		w = difftar.NewSigtarWriter(&out)
	}
	for i := range records {
		r := &records[i]
		r.Size = int64(len(r.data))
		if err := w.WriteHeader(&r.Entry); err != nil {
			t.Fatalf("write header of %+v: %v", r.Entry, err)
		}
		r.Offset = w.Offset()
		for rest := r.data; rest != ""; {
			n := min(len(rest), 40_000)
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	}
	end := w.Flush
	if finish {
		end = w.Finish
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if w.Offset() != int64(out.Len()) {
		t.Fatalf("offset %d after %d bytes", w.Offset(), out.Len())
	}
	return out.Bytes()
}

// read takes an archive apart to its end or an error, which is not io.EOF.
func read(archive io.Reader) (records []record, err error) {
	r := difftar.NewReader(archive)
	for {
		e, err := r.Next()
		if err == io.EOF {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		if e.Offset != r.Offset() {
			return records, fmt.Errorf("%q: offset %d, data at %d", e.Path, e.Offset, r.Offset())
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return records, err
		}
		if int64(len(data)) != e.Size {
			return records, fmt.Errorf("%q: %d bytes of %d", e.Path, len(data), e.Size)
		}
		records = append(records, record{*e, string(data)})
	}
}

// random makes records.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 1))} }

// bytes are n bytes without NUL and slash, of ASCII, UTF-8 or anything.
func (r random) bytes(n int) string {
	b := make([]byte, n)
	kind := r.IntN(3)
	for i := range b {
		switch kind {
		case 0:
			b[i] = 'a' + byte(r.IntN(26))
		case 1:
			b[i] = "é\n \"'\\\x01日"[r.IntN(10)]
		default:
			b[i] = 1 + byte(r.IntN(255))
		}
	}
	return strings.ReplaceAll(string(b), "/", "_")
}

// name is a component.
func (r random) name() string {
	odd := []string{"snapshot", "1", "multivol_diff", "...", "..x", "PaxHeader", "a b", "-", ".a", "\xff", "12", "deleted"}
	switch r.IntN(4) {
	case 0:
		return odd[r.IntN(len(odd))]
	case 1:
		return strings.TrimLeft(r.bytes(1+r.IntN(255)), ".") + "x"
	}
	return strings.TrimLeft(r.bytes(1+r.IntN(20)), ".") + "y"
}

// path has up to 255 components, few as a rule. Its length is often near the limits
// of the header's fields.
func (r random) path() string {
	var c []string
	for range 1 + r.IntN(1+r.IntN(12)) {
		c = append(c, r.name())
	}
	if r.IntN(40) == 0 {
		for len(c) < 255 {
			c = append(c, r.name())
		}
	}
	p := strings.Join(c, "/")
	if n := []int{0, 90, 91, 100, 145, 155, 240, 256}[r.IntN(8)]; n > 0 && len(p) > n {
		p = strings.Trim(p[:n], "/.")
		p = strings.ReplaceAll(strings.ReplaceAll(p, "/./", "/x/"), "/../", "/xx/")
	}
	if difftar.CheckPath(p) != nil || p == "" {
		return "fallback"
	}
	return p
}

// pick is one of the values, or any below the last.
func (r random) pick(values ...int64) int64 {
	if i := r.IntN(len(values) + 1); i < len(values) {
		return values[i]
	}
	return r.Int64N(values[len(values)-1])
}

func (r random) record(sigtar bool) record {
	e := difftar.Entry{Path: r.path(), Kind: difftar.Snapshot}
	if r.IntN(20) == 0 {
		e.Path = ""
	}
	if r.IntN(8) == 0 {
		e.Kind = difftar.Deleted
		return record{Entry: e}
	}
	e.Meta = difftar.Meta{
		Type: difftar.Regular + difftar.Type(r.IntN(6)), Mode: uint32(r.IntN(0o10000)),
		UID: r.pick(0, 1000, 1<<21-1, 1<<21, 1<<31, 1<<63-1), GID: r.pick(0, 1<<21-1, 1<<21, 1<<32, 1<<63-1),
		MTime: r.pick(0, 1, 1700000000, 1<<33-1, 1<<33, 1<<63-1),
	}
	if r.IntN(2) == 0 {
		e.Uname, e.Gname = r.bytes(r.IntN(40)), r.bytes(r.IntN(40))
	}
	switch e.Type {
	case difftar.Symlink:
		e.Linkname = []string{r.path(), "", "/", "../../" + r.path(), "a//b/", r.bytes(r.IntN(300))}[r.IntN(6)]
	case difftar.CharDevice, difftar.BlockDevice:
		e.Major, e.Minor = uint32(r.pick(0, 8, 1<<12-1)), uint32(r.pick(0, 1<<20-1, 1<<21-1))
	case difftar.Regular:
		return r.file(e, sigtar)
	}
	return record{Entry: e}
}

func (r random) file(e difftar.Entry, sigtar bool) record {
	sizes := []int{0, 1, 511, 512, 513, 5000}
	if r.IntN(20) == 0 {
		sizes = []int{difftar.PartSize - 1, difftar.PartSize, 200_000}
	}
	data := r.bytes(sizes[r.IntN(len(sizes))])
	switch {
	case sigtar:
		e.Kind = difftar.Signature
	case r.IntN(2) == 0:
		e.Kind = difftar.Diff
	}
	if !sigtar && r.IntN(3) == 0 {
		e.Part = int(r.pick(1, 2, 12345, 1<<46-1))
	}
	return record{e, data}
}

// archive is a real one, unpacked.
type archive struct {
	path string // below the folder of all golden repositories
	tar  []byte
}

// golden returns the volumes and signatures that duplicity wrote without encryption,
// but for those that were damaged on purpose.
func golden(t testing.TB) []archive {
	t.Helper()
	root := treetest.Fixtures(t)
	var all []archive
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		stem := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(d.Name(), ".gz"), ".z"), ".part")
		if isArchive := strings.HasSuffix(stem, "tar") || strings.HasSuffix(stem, ".dt") || strings.HasSuffix(stem, ".st"); !isArchive ||
			strings.HasPrefix(rel, "corrupt-") || strings.HasPrefix(rel, "truncated-") || strings.HasPrefix(rel, "stray-") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil && (strings.HasSuffix(path, ".gz") || strings.HasSuffix(path, ".z")) {
			data, err = gunzip(data)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && strings.HasPrefix(rel, "interrupted-") {
			return nil // the copy of it was killed
		}
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		all = append(all, archive{rel, data})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func gunzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(z)
	return plain, errors.Join(err, z.Close())
}

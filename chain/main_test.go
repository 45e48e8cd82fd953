package chain_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/dirstore"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// No test may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// day is the time of a set: noon of a day of November 2023.
func day(n int) naming.Time {
	t, ok := naming.ParseStamp(fmt.Sprintf("202311%02dT120000Z", n))
	if !ok {
		panic("no such day")
	}
	return t
}

func full(n int) chain.SetID       { return chain.SetID{End: day(n)} }
func inc(from, to int) chain.SetID { return chain.SetID{Inc: true, Start: day(from), End: day(to)} }

// keyOf is an object's name without prefix.
func keyOf(id chain.SetID, kind naming.Kind, volume int, f codec.Format) string {
	n := naming.Name{Kind: kind, Inc: id.Inc, Start: id.Start, End: id.End, Volume: volume}
	n.Encrypted, n.Compressed = f.Encrypted, f.Compressed && !f.Encrypted
	return naming.Scheme{}.Format(n)
}

var gz = codec.Format{Compressed: true}

// listing is a store of empty objects: the parts of sets, which are "m" for manifest,
// "s" for signatures, and digits for volumes.
func listing(t testing.TB, sets map[chain.SetID]string) *storetest.Mem {
	t.Helper()
	st := storetest.NewMem()
	for id, parts := range sets {
		for _, p := range parts {
			key := ""
			switch p {
			case 'm':
				key = keyOf(id, naming.Manifest, 0, codec.Format{})
			case 's':
				key = keyOf(id, naming.Signatures, 0, gz)
			default:
				key = keyOf(id, naming.Volume, int(p-'0'), gz)
			}
			put(t, st, key, nil)
		}
	}
	return st
}

func put(t testing.TB, st store.Store, key string, data []byte) {
	t.Helper()
	if err := st.Put(context.Background(), key, store.Bytes(data), store.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, st store.Store, key string) []byte {
	t.Helper()
	data, err := store.ReadAll(context.Background(), st, key, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func load(t testing.TB, st store.Store) *chain.Collection {
	t.Helper()
	col, err := chain.Load(t.Context(), st, naming.Scheme{})
	if err != nil {
		t.Fatal(err)
	}
	return col
}

// openCase opens a golden repository.
func openCase(t testing.TB, c *treetest.Case) (*chain.Repository, *chain.Collection) {
	t.Helper()
	st, err := dirstore.Open(c.Repo, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	var keys []string
	for _, k := range c.Keys {
		keys = append(keys, k.Secret)
	}
	r := &chain.Repository{
		Store: st,
		Scheme: naming.Scheme{
			Prefix: c.Option("--file-prefix"), Archive: c.Option("--file-prefix-archive"),
			Manifest: c.Option("--file-prefix-manifest"), Signature: c.Option("--file-prefix-signature"),
		},
		Keys: pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(c.Passphrase())), KeyFiles: keys, GnuPGHome: t.TempDir()}),
	}
	col, err := chain.Load(t.Context(), st, r.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	return r, col
}

// item is an entry to be written, or one that was read.
type item struct {
	difftar.Entry
	data string
}

func file(path, data string) item {
	return item{difftar.Entry{Path: path, Kind: difftar.Snapshot, Meta: fileMeta(), Size: int64(len(data))}, data}
}

func fileMeta() difftar.Meta {
	return difftar.Meta{Type: difftar.Regular, Mode: 0o644, MTime: 1700000000}
}

func deleted(path string) item { return item{Entry: difftar.Entry{Path: path, Kind: difftar.Deleted}} }

func dir(path string) item {
	return item{Entry: difftar.Entry{Path: path, Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Directory, Mode: 0o755}}}
}

// parts cuts a file as a backup does (duplicity-format.md §3.4).
func parts(path string, data string) []item {
	var items []item
	for n := 1; ; n++ {
		part := data[:min(len(data), difftar.PartSize)]
		data = data[len(part):]
		it := file(path, part)
		it.Part = n
		items = append(items, it)
		if len(part) < difftar.PartSize {
			return items
		}
	}
}

// writeItems feeds a set and its signatures; these hold the path as data.
func writeItems(w *chain.SetWriter, items []item) error {
	for i, it := range items {
		if err := w.Add(&it.Entry, []byte(it.data)); err != nil {
			return err
		}
		if i+1 < len(items) && it.Path == items[i+1].Path {
			continue
		}
		sig := it.Entry
		sig.Part, sig.Size = 0, 0
		var data string
		if sig.Kind != difftar.Deleted && sig.Type == difftar.Regular {
			sig.Kind, data = difftar.Signature, "signature of "+it.Path
			sig.Size = int64(len(data))
		}
		if err := w.AddSignature(&sig, []byte(data), new(chain.Details)); err != nil {
			return err
		}
		if it.Type != difftar.Regular {
			continue
		}
		if err := w.Changed(manifest.Change{Word: manifest.New, Path: it.Path}); err != nil {
			return err
		}
	}
	return nil
}

// backup writes a whole set.
func backup(r *chain.Repository, id chain.SetID, opt chain.SetOptions, items []item) error {
	w, err := r.NewSetWriter(context.Background(), id, opt)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := writeItems(w, items); err != nil {
		return err
	}
	return w.Commit()
}

func mustBackup(t testing.TB, r *chain.Repository, id chain.SetID, opt chain.SetOptions, items []item) {
	t.Helper()
	if err := backup(r, id, opt, items); err != nil {
		t.Fatalf("%v: %v", id, err)
	}
}

// newRepository is an empty one in memory.
func newRepository() (*chain.Repository, *storetest.Mem) {
	st := storetest.NewMem()
	return &chain.Repository{Store: st, Archive: storetest.NewMem()}, st
}

// newPool is closed with the test.
func newPool(t testing.TB) *codec.Pool {
	pool := codec.NewPool(2, 0)
	t.Cleanup(pool.Close)
	return pool
}

// readSet reads all volumes of a set.
func readSet(t testing.TB, r *chain.Repository, s *chain.Set) (items []item, m *manifest.Manifest) {
	t.Helper()
	m, err := r.Manifest(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range m.Volumes {
		got, err := readVolume(t.Context(), r, s, v)
		if err != nil {
			t.Fatalf("volume %d of %v: %v", v.Number, s.SetID, err)
		}
		items = append(items, got...)
	}
	return items, m
}

func readVolume(ctx context.Context, r *chain.Repository, s *chain.Set, v manifest.Volume) (items []item, err error) {
	vr, err := r.Volume(ctx, s, v)
	if err != nil {
		return nil, err
	}
	defer vr.Close()
	for {
		e, err := vr.Next()
		if err == io.EOF {
			return items, nil
		}
		if err != nil {
			return items, err
		}
		data, err := io.ReadAll(vr)
		if err != nil {
			return items, vr.Fail(err)
		}
		items = append(items, item{*e, string(data)})
	}
}

// entries is the reader of a set's signatures or of a merge.
type entries interface {
	Next() (*difftar.Entry, error)
	Read([]byte) (int, error)
}

// drain lists paths, and data after a colon.
func drain(r entries) (lines []string, err error) {
	for {
		e, err := r.Next()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		var b bytes.Buffer
		if _, err := io.Copy(&b, struct{ io.Reader }{r}); err != nil {
			return lines, err
		}
		lines = append(lines, strings.TrimSuffix(e.Path+":"+b.String(), ":"))
	}
}

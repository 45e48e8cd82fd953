package codec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"hindsight/chain/codec"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	gz        = codec.Format{Compressed: true}
	plain     = codec.Format{}
	gpg       = codec.Format{Encrypted: true, Compressed: true}
	gpgStored = codec.Format{Encrypted: true}
	formats   = []codec.Format{gz, plain, gpg, gpgStored}
)

const passphrase = "eleven percussive otters"

func keyring() *pgp.Keyring {
	return pgp.NewKeyring(pgp.Options{
		Passphrase: pgp.Passphrase([]byte(passphrase)), S2KCount: 1024, GPG: "/no/gpg",
	})
}

func session(t testing.TB, kr *pgp.Keyring) *pgp.Session {
	t.Helper()
	s, err := kr.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sample is n bytes that compress to about a third.
func sample(n int, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	words := make([][]byte, 500)
	for i := range words {
		words[i] = fmt.Appendf(nil, "%x ", rnd.Uint64()>>rnd.IntN(60))
	}
	p := make([]byte, 0, n+20)
	for len(p) < n {
		p = append(p, words[rnd.IntN(len(words))]...)
	}
	return p[:n]
}

// write makes an object, with a mark before every entry.
func write(t testing.TB, f codec.Format, opt codec.WriterOptions, data []byte, entry int) ([]byte, *codec.Writer) {
	t.Helper()
	var out bytes.Buffer
	w, err := codec.NewWriter(t.Context(), &out, f, opt)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := min(entry, len(data))
		w.Mark()
		if _, err := w.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), w
}

func read(t testing.TB, stored []byte, f codec.Format, kr *pgp.Keyring) ([]byte, error) {
	t.Helper()
	return readWith(t, stored, f, codec.ReaderOptions{Keyring: kr})
}

func readWith(t testing.TB, stored []byte, f codec.Format, opt codec.ReaderOptions) ([]byte, error) {
	t.Helper()
	r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), f, opt)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	pool := codec.NewPool(3, 0)
	defer pool.Close()
	kr := keyring()
	s := session(t, kr)
	sizes := []int{0, 1, 511, codec.MinBlock, codec.MinBlock + 1, codec.MaxBlock, codec.MaxBlock + 1, 1 << 20}
	for _, f := range formats {
		for _, n := range sizes {
			for name, p := range map[string]*codec.Pool{"serial": nil, "pool": pool} {
				if p == nil && treetest.Short() {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%s", f, n, name), func(t *testing.T) {
					data := sample(n, uint64(n))
					stored, w := write(t, f, codec.WriterOptions{Pool: p, Session: s}, data, 10000)
					got, err := read(t, stored, f, kr)
					if err != nil || !bytes.Equal(got, data) {
						t.Fatalf("got %d bytes, %v, want %d", len(got), err, n)
					}
					checkBlocks(t, f, stored, data, w, s)
				})
			}
		}
	}
}

// checkBlocks sees that the table covers the data, and reads every block by itself.
func checkBlocks(t *testing.T, f codec.Format, stored, data []byte, w *codec.Writer, s *pgp.Session) {
	t.Helper()
	table := w.Table()
	if table.Deflated != f.Compressed || (table.Message != nil) != f.Encrypted {
		t.Fatalf("table of %v is %+v", f, table)
	}
	for i, b := range table.Blocks {
		if b.Len > codec.MaxBlock || b.Resume != nil && (i > 0 || !f.Encrypted) {
			t.Fatalf("block %d is %+v", i, b)
		}
	}
	checkTable(t, table, stored, data, s.Key())
}

func TestPoolDoesNotChangeOutput(t *testing.T) {
	pool := codec.NewPool(4, 0)
	defer pool.Close()
	data := sample(2<<20, 3)
	for _, f := range []codec.Format{gz, plain} {
		want, _ := write(t, f, codec.WriterOptions{}, data, 7777)
		got, _ := write(t, f, codec.WriterOptions{Pool: pool}, data, 7777)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: pool wrote %d bytes, not the %d written without", f, len(got), len(want))
		}
	}
}

func TestBlocksBeginAtMarks(t *testing.T) {
	const entry = 512 + 64<<10
	_, w := write(t, gz, codec.WriterOptions{}, sample(20*entry+100, 5), entry)
	blocks := w.Table().Blocks
	for i, b := range blocks {
		if b.TarOffset%entry != 0 {
			t.Errorf("block %d begins %d bytes after a mark", i, b.TarOffset%entry)
		}
		if b.Len < codec.MinBlock && i < len(blocks)-1 {
			t.Errorf("block %d has only %d bytes", i, b.Len)
		}
	}
}

// failing fails after some bytes.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	f.left -= len(p)
	if f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestErrorsStick(t *testing.T) {
	pool := codec.NewPool(2, 1)
	defer pool.Close()
	s := session(t, keyring())
	full := errors.New("disk full")
	for _, f := range formats {
		for _, p := range []*codec.Pool{nil, pool} {
			w, err := codec.NewWriter(t.Context(), &failing{300 << 10, full}, f, codec.WriterOptions{Pool: p, Session: s})
			if err != nil {
				t.Fatal(err)
			}
			data := sample(1<<20, 9)
			for range 20 {
				w.Mark()
				if _, err = w.Write(data); err != nil {
					break
				}
			}
			if !errors.Is(err, full) {
				t.Errorf("%s: write gives %v", f, err)
			}
			if !w.Reaches(1 << 60) {
				t.Errorf("%s: a failed writer wants more", f)
			}
			if _, again := w.Write(data); !errors.Is(again, full) {
				t.Errorf("%s: next write gives %v", f, again)
			}
			for range 2 {
				if err := w.Close(); !errors.Is(err, full) {
					t.Errorf("%s: close gives %v", f, err)
				}
			}
		}
	}
}

func TestWriteAfterClose(t *testing.T) {
	_, w := write(t, gz, codec.WriterOptions{}, nil, 1)
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("write after close succeeds")
	}
	if err := w.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	w.Abort()
	if err := w.Close(); err != nil {
		t.Errorf("close after abort after close: %v", err)
	}
}

// stuck writes nothing until its context ends, as a store does.
type stuck struct{ ctx context.Context }

func (s stuck) Write([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func TestCancel(t *testing.T) {
	pool := codec.NewPool(2, 1)
	defer pool.Close()
	ctx, cancel := context.WithCancel(t.Context())
	w, err := codec.NewWriter(ctx, stuck{ctx}, gz, codec.WriterOptions{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	go cancel()
	data := sample(1<<20, 11)
	for err == nil {
		_, err = w.Write(data)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("write gives %v", err)
	}
	w.Abort()
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("close gives %v", err)
	}
}

func TestAbort(t *testing.T) {
	pool := codec.NewPool(2, 0)
	defer pool.Close()
	var out bytes.Buffer
	w, err := codec.NewWriter(t.Context(), &out, gz, codec.WriterOptions{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(sample(2<<20, 13)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	before := out.Len()
	if _, err := w.Write([]byte("x")); !errors.Is(err, codec.ErrAborted) {
		t.Errorf("write gives %v", err)
	}
	if err := w.Close(); !errors.Is(err, codec.ErrAborted) {
		t.Errorf("close gives %v", err)
	}
	if out.Len() != before {
		t.Error("written after abort")
	}
}

// volumes cuts data into objects of about limit bytes and returns where.
func volumes(t *testing.T, f codec.Format, opt codec.WriterOptions, data []byte, limit int64) (cuts []int) {
	t.Helper()
	for at := 0; at < len(data); {
		var out bytes.Buffer
		w, err := codec.NewWriter(t.Context(), &out, f, opt)
		if err != nil {
			t.Fatal(err)
		}
		for at < len(data) && !w.Reaches(limit) {
			w.Mark()
			n := min(3000, len(data)-at)
			if _, err := w.Write(data[at : at+n]); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if at < len(data) && int64(out.Len()) < limit-codec.MaxBlock {
			t.Errorf("%s: object of %d bytes, want about %d", f, out.Len(), limit)
		}
		cuts = append(cuts, at)
	}
	return cuts
}

func TestReachesIsDeterministic(t *testing.T) {
	pool := codec.NewPool(3, 0)
	defer pool.Close()
	s := session(t, keyring())
	data := append(sample(2<<20, 15), make([]byte, 1<<20)...)
	data = append(data, sample(1<<20, 16)...)
	formats, rounds := formats, 2
	if treetest.Short() {
		formats, rounds, data = []codec.Format{gpg}, 1, data[1<<20:]
	}
	for _, f := range formats {
		want := volumes(t, f, codec.WriterOptions{Session: s}, data, 400<<10)
		for range rounds {
			got := volumes(t, f, codec.WriterOptions{Session: s, Pool: pool}, data, 400<<10)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s: volumes end at %v, without a pool at %v", f, got, want)
			}
		}
	}
}

// Random data grow, but never past the bound that Reaches relies on.
func TestIncompressible(t *testing.T) {
	treetest.Sequential(t)
	data := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	stored, w := write(t, gz, codec.WriterOptions{}, data, 1000)
	if len(stored) > len(data)+len(data)>>10 {
		t.Errorf("%d random bytes stored as %d", len(data), len(stored))
	}
	for _, b := range w.Table().Blocks {
		if int(b.StoredLen) > int(b.Len)+200 {
			t.Errorf("block of %d random bytes stored as %d", b.Len, b.StoredLen)
		}
	}
}

// goSource is n bytes of the standard library's source, a sample of real data.
func goSource(t testing.TB, n int) (data []byte) {
	t.Helper()
	root := strings.TrimSpace(string(run(t, nil, "go", "env", "GOROOT")))
	done := errors.New("enough")
	err := fs.WalkDir(os.DirFS(root), "src/crypto", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		data = append(data, text...)
		if err == nil && len(data) > n {
			err = done
		}
		return err
	})
	if err != nil && err != done {
		t.Fatal(err)
	}
	return data[:min(n, len(data))]
}

func TestBadOptions(t *testing.T) {
	for _, level := range []int{-1, 10} {
		if _, err := codec.NewWriter(t.Context(), io.Discard, gz, codec.WriterOptions{Level: level}); err == nil {
			t.Errorf("level %d is accepted", level)
		}
	}
	if _, err := codec.NewWriter(t.Context(), io.Discard, gpg, codec.WriterOptions{}); err == nil {
		t.Error("an encrypted writer without session is accepted")
	}
	if _, err := codec.NewReader(t.Context(), iotest.ErrReader(io.EOF), gpg, codec.ReaderOptions{}); err == nil {
		t.Error("an encrypted reader without keyring is accepted")
	}
}

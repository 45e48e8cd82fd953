package pgp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// Every changed octet is noticed before the end is told, and so is every cut.
func TestTampering(t *testing.T) {
	treetest.Sequential(t)
	kr := symmetric(passphrase)
	s := session(t, kr, pgp.Recipients{Symmetric: true})
	for _, compress := range []bool{false, true} {
		data := sample(2000, 6)
		msg := seal(t, s, data, 700, compress)
		for i := range msg {
			bad := bytes.Clone(msg)
			bad[i] ^= 1 << (i % 8)
			if got, err := open(kr, bad, pgp.ReaderOptions{}); err == nil {
				t.Fatalf("octet %d of %d changed unnoticed, %d bytes read", i, len(msg), len(got))
			} else if !errors.Is(err, pgp.ErrDecrypt) {
				t.Fatalf("octet %d: error %v is no ErrDecrypt", i, err)
			}
			if err := finish(kr, bad); err == nil {
				t.Fatalf("octet %d of %d changed unnoticed by Finish", i, len(msg))
			}
		}
		for n := range msg {
			_, err := open(kr, msg[:n], pgp.ReaderOptions{})
			wantErr(t, err, pgp.ErrDecrypt)
			wantErr(t, finish(kr, msg[:n]), pgp.ErrDecrypt)
		}
		_, err := open(kr, append(bytes.Clone(msg), 0), pgp.ReaderOptions{})
		wantErr(t, err, pgp.ErrIntegrity)
	}
}

func finish(kr *pgp.Keyring, msg []byte) error {
	r, err := pgp.NewReader(context.Background(), bytes.NewReader(msg), kr, pgp.ReaderOptions{})
	if err != nil {
		return err
	}
	return r.Finish()
}

// A long message whose end is damaged gives bytes, then an error and no more.
func TestDamageInTheMiddleSticks(t *testing.T) {
	kr := symmetric(passphrase)
	msg := seal(t, session(t, kr, pgp.Recipients{Symmetric: true}), sample(1<<20, 7), 256<<10, false)
	msg[len(msg)/2] ^= 4
	r, err := pgp.NewReader(t.Context(), bytes.NewReader(msg), kr, pgp.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, first := io.Copy(io.Discard, r)
	wantErr(t, first, pgp.ErrIntegrity)
	if _, again := r.Read(make([]byte, 10)); again != first {
		t.Errorf("Read after error: %v, want %v", again, first)
	}
	if again := r.Finish(); again != first {
		t.Errorf("Finish after error: %v, want %v", again, first)
	}
}

func TestSourceErrorIsPassedOn(t *testing.T) {
	kr := symmetric(passphrase)
	msg := seal(t, session(t, kr, pgp.Recipients{Symmetric: true}), sample(300<<10, 8), 256<<10, true)
	broken := errors.New("connection lost")
	for _, at := range []int{0, 5, 40, 1000, len(msg) - 3} {
		src := io.MultiReader(bytes.NewReader(msg[:at]), iotest.ErrReader(broken))
		r, err := pgp.NewReader(t.Context(), src, kr, pgp.ReaderOptions{})
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		wantErr(t, err, broken)
		if errors.Is(err, pgp.ErrDecrypt) {
			t.Errorf("cut at %d: %v is an ErrDecrypt", at, err)
		}
	}
}

func TestFinishEarly(t *testing.T) {
	kr := symmetric(passphrase)
	data := sample(1<<20, 9)
	msg := seal(t, session(t, kr, pgp.Recipients{Symmetric: true}), data, 256<<10, true)
	src := bytes.NewReader(msg)
	r, err := pgp.NewReader(t.Context(), iotest.HalfReader(src), kr, pgp.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 100)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	same(t, head, data[:100])
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	if src.Len() != 0 {
		t.Errorf("Finish left %d stored bytes unread", src.Len())
	}
	if _, err := r.Read(head); err == nil || err == io.EOF {
		t.Errorf("Read after Finish: %v, want an error", err)
	}
	if err := r.Finish(); err != nil {
		t.Errorf("second Finish: %v", err)
	}
}

func TestFinishBoundsTail(t *testing.T) {
	kr := withFile(passphrase, keyFile)
	k := keys(t)
	s := session(t, kr, pgp.Recipients{Keys: []string{k.ecc}, SignKey: k.sign})
	msg := seal(t, s, make([]byte, 3<<20), 256<<10, true)
	r, err := pgp.NewReader(t.Context(), bytes.NewReader(msg), kr, pgp.ReaderOptions{SignKey: k.sign, MaxTail: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, r.Finish(), pgp.ErrIntegrity)
}

// A signature over other data is refused, though the encryption is in order.
func TestForgedSignature(t *testing.T) {
	kr := withFile(passphrase, keyFile)
	k := keys(t)
	s := session(t, kr, pgp.Recipients{Keys: []string{k.ecc}, SignKey: k.sign})
	var out bytes.Buffer
	body, err := s.NewWriter(&out, pgp.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := s.NewSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	body.Write(signer.OnePass())
	pgp.WriteLiteral(body, []byte("pay 9"), true, true)
	io.WriteString(signer, "pay 1")
	sig, err := signer.Finish()
	if err != nil {
		t.Fatal(err)
	}
	body.Write(sig)
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = open(kr, out.Bytes(), pgp.ReaderOptions{SignKey: k.sign})
	wantErr(t, err, pgp.ErrSignature)
	if errors.Is(err, pgp.ErrDecrypt) {
		t.Errorf("%v is an ErrDecrypt", err)
	}
}

// What is written reads back, for sizes around every boundary.
func TestRoundTrip(t *testing.T) {
	treetest.Sequential(t)
	kr := symmetric(passphrase)
	s := session(t, kr, pgp.Recipients{Symmetric: true})
	rnd := rand.New(rand.NewPCG(10, 10))
	sizes := []int{0, 1, 15, 16, 17, 184, 185, 65485, 65486, 65487, 65508, 65509, 65536, 131072}
	for range 40 {
		sizes = append(sizes, rnd.IntN(300<<10))
	}
	for i, n := range sizes {
		data := sample(n, uint64(i))
		msg := seal(t, s, data, pgp.MinFirstBlock+rnd.IntN(200<<10), i%2 == 0)
		r, err := pgp.NewReader(t.Context(), iotest.DataErrReader(bytes.NewReader(msg)), kr, pgp.ReaderOptions{})
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		same(t, got, data)
	}
}

// Many readers of one set share one derivation and do not disturb each other.
func TestConcurrentReaders(t *testing.T) {
	kr := symmetric(passphrase)
	s := session(t, kr, pgp.Recipients{Symmetric: true})
	data := sample(100<<10, 11)
	msg := seal(t, s, data, 1<<20, true)
	fresh := symmetric(passphrase)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			m := msg
			if i%4 == 3 { // a damaged prefix must not spoil the others' key
				m = bytes.Clone(msg)
				m[len(s.ESK())+10] ^= 1
			}
			got, err := open(fresh, m, pgp.ReaderOptions{})
			if (err != nil) != (i%4 == 3) {
				t.Errorf("reader %d: %v", i, err)
			}
			if err == nil && !bytes.Equal(got, data) {
				t.Errorf("reader %d: other bytes", i)
			}
		})
	}
	wg.Wait()
}

func TestUnsupported(t *testing.T) {
	for name, msg := range map[string]string{
		"SEIPD version 2":      "\xC3\x04\x04\x09\x00\x08\xD2\x05\x02\x09\x02\x10\x00",
		"not encrypted":        "\xCB\x08b\x00\x00\x00\x00\x00hi",
		"passphrase version 6": "\xC3\x05\x06\x09\x02\x00\x08\xD2\x30\x01" + strings.Repeat("x", 47),
		"no session key":       "\xD2\x30\x01" + strings.Repeat("x", 47),
	} {
		_, err := open(symmetric(passphrase), []byte(msg), pgp.ReaderOptions{})
		if !errors.Is(err, pgp.ErrUnsupported) {
			t.Errorf("%s: %v, want %v", name, err, pgp.ErrUnsupported)
		}
	}
}

// fixture is what a golden repository says of itself.
type fixture struct {
	Environment map[string]string
	Keys        map[string]struct{ Secret, Fingerprint string }
}

// fixtureKeyring opens the golden repository in dir with its key files.
func fixtureKeyring(t testing.TB, dir string) (*pgp.Keyring, fixture) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	opt := pgp.Options{GPG: "/no/gpg", Passphrase: pgp.Passphrase([]byte(f.Environment["PASSPHRASE"]))}
	if p, ok := f.Environment["SIGN_PASSPHRASE"]; ok {
		opt.SignPassphrase = pgp.Passphrase([]byte(p))
	}
	for _, k := range f.Keys {
		opt.KeyFiles = append(opt.KeyFiles, filepath.Join(dir, k.Secret))
	}
	return pgp.NewKeyring(opt), f
}

// All encrypted files of the golden repositories are read to the end.
func TestFixtures(t *testing.T) {
	treetest.Sequential(t)
	root := treetest.Fixtures(t)
	for _, name := range []string{
		"gpg-hidden", "gpg-hidden-v3", "gpg-pubkey-sign", "gpg-pubkey-sign-v3", "gpg-symmetric",
		"gpg-symmetric-nocompress-v3", "gpg-symmetric-sign", "gpg-symmetric-v3",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(root, name)
			kr, f := fixtureKeyring(t, dir)
			files, err := filepath.Glob(filepath.Join(dir, "repo", "*.gpg"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no files: %v", err)
			}
			opt := pgp.ReaderOptions{SignKey: f.Keys["sign"].Fingerprint}
			if testing.Short() {
				files = files[:2]
			}
			for _, file := range files {
				msg, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				got, err := open(kr, msg, opt)
				if err != nil {
					t.Fatalf("%s: %v", filepath.Base(file), err)
				}
				if strings.HasSuffix(file, ".manifest.gpg") && !bytes.HasPrefix(got, []byte("Hostname fxhost\n")) {
					t.Errorf("%s: begins %.40q", filepath.Base(file), got)
				}
				if strings.HasSuffix(file, "tar.gpg") && (len(got) < 1024 || len(got)%512 != 0) {
					t.Errorf("%s: %d bytes are no tar", filepath.Base(file), len(got))
				}
			}
		})
	}
}

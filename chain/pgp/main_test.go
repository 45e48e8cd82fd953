package pgp_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/pgp"
	"hindsight/chain/treetest"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// weakCount makes key derivation cheap in tests that do not look at its cost.
const weakCount = 1024

const passphrase = "correct horse ünd"

// symmetric is a Keyring with the passphrase alone; it must not run gpg.
func symmetric(p string) *pgp.Keyring {
	return pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(p)), S2KCount: weakCount, GPG: "/no/gpg"})
}

// sample is n bytes of half compressible data.
func sample(n int, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 7))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rnd.Uint32())
		if i%2 == 0 {
			p[i] = byte(i >> 8)
		}
	}
	return p
}

// seal writes data as one message, in blocks of the given size.
func seal(t testing.TB, s *pgp.Session, data []byte, block int, compress bool) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := sealTo(t.Context(), &out, s, data, block, compress); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sealTo(ctx context.Context, out io.Writer, s *pgp.Session, data []byte, block int, compress bool) error {
	body, err := s.NewWriter(out, pgp.WriterOptions{Compressed: compress})
	if err != nil {
		return err
	}
	signer, err := s.NewSigner(ctx)
	if err != nil {
		return err
	}
	defer signer.Close()
	var w io.Writer = body
	if compress {
		w, _ = flate.NewWriter(body, 5)
	}
	if _, err := w.Write(signer.OnePass()); err != nil {
		return err
	}
	signer.Write(data)
	for first := true; first || len(data) > 0; first = false {
		n := min(block, len(data))
		if err := pgp.WriteLiteral(w, data[:n], first, n == len(data)); err != nil {
			return err
		}
		data = data[n:]
	}
	sig, err := signer.Finish()
	if err != nil {
		return err
	}
	if _, err := w.Write(sig); err != nil {
		return err
	}
	if c, ok := w.(*flate.Writer); ok {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return body.Close()
}

// open reads a whole message.
func open(kr *pgp.Keyring, msg []byte, opt pgp.ReaderOptions) ([]byte, error) {
	r, err := pgp.NewReader(context.Background(), bytes.NewReader(msg), kr, opt)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func session(t testing.TB, kr *pgp.Keyring, rcpt pgp.Recipients) *pgp.Session {
	t.Helper()
	s, err := kr.NewSession(t.Context(), rcpt, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// home is a GnuPG home directory of the test's own.
type home struct {
	t    testing.TB
	dir  string
	pass string
}

// newHome makes an empty home; its keys are locked with pass.
func newHome(t testing.TB, pass string) *home {
	treetest.NeedTool(t, "gpg")
	// A socket's path is short: t.TempDir may be too long for the agent.
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	// The agent need not find out how much key derivation takes a tenth of a second.
	if err := os.WriteFile(filepath.Join(dir, "gpg-agent.conf"), []byte("s2k-count 65536\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &home{t, dir, pass}
	t.Cleanup(func() {
		kill := exec.Command("gpgconf", "--homedir", dir, "--kill", "gpg-agent")
		kill.Run() // there may be none
		os.RemoveAll(dir)
	})
	return h
}

// gpg runs gpg with the home's passphrase and returns its output.
func (h *home) gpg(stdin []byte, args ...string) []byte {
	h.t.Helper()
	out, stderr, err := h.try(stdin, args...)
	if err != nil {
		h.t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return out
}

func (h *home) try(stdin []byte, args ...string) (out []byte, stderr string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.WriteString(w, h.pass+"\n"); err != nil {
		h.t.Fatal(err)
	}
	w.Close()
	all := []string{"--homedir", h.dir, "--batch", "--no-tty", "--yes", "--trust-model", "always",
		"--pinentry-mode", "loopback", "--passphrase-fd", "3"}
	cmd := exec.Command("gpg", append(all, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.ExtraFiles = []*os.File{r}
	cmd.Stdin = bytes.NewReader(stdin)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.Bytes(), e.String(), err
}

// testKeys are the fingerprints of testdata/keys.asc; see keys.sh there.
type testKeys struct{ rsa, ecc, sign, sub string }

// keys reads the fingerprints, which needs no gpg.
func keys(t testing.TB) testKeys {
	t.Helper()
	f, err := os.Open(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := openpgp.ReadArmoredKeyRing(f)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	for _, e := range list {
		for name := range e.Identities {
			byName[name] = fmt.Sprintf("%X", e.PrimaryKey.Fingerprint)
		}
	}
	return testKeys{byName["rsa"], byName["ecc"], byName["sign"], byName["sub"]}
}

// newHomeWithKeys is a home with the keys of testdata.
func newHomeWithKeys(t testing.TB) (*home, testKeys) {
	h := newHome(t, passphrase)
	h.gpg(nil, "--import", keyFile)
	return h, keys(t)
}

// keyFile holds the locked secret keys, armored.
const keyFile = "testdata/keys.asc"

// binaryKeyFile exports the home's secret keys, still locked.
func (h *home) binaryKeyFile() string {
	h.t.Helper()
	name := h.t.TempDir() + "/keys"
	if err := os.WriteFile(name, h.gpg(nil, "--export-secret-keys"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return name
}

// withFile is a Keyring that has key files and no gpg.
func withFile(p string, names ...string) *pgp.Keyring {
	return pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(p)), KeyFiles: names, GPG: "/no/gpg", S2KCount: weakCount})
}

// forget makes the agent drop cached passphrases.
func (h *home) forget() {
	exec.Command("gpgconf", "--homedir", h.dir, "--kill", "gpg-agent").Run()
}

func (h *home) keyring(opt pgp.Options) *pgp.Keyring {
	opt.GnuPGHome = h.dir
	if opt.Passphrase == nil {
		opt.Passphrase = pgp.Passphrase([]byte(h.pass))
	}
	if opt.S2KCount == 0 {
		opt.S2KCount = weakCount
	}
	return pgp.NewKeyring(opt)
}

// same fails the test unless got is want.
func same(t testing.TB, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, want %d, or they differ", len(got), len(want))
	}
}

// wantErr fails the test unless err is of the kind.
func wantErr(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want %v", err, kind)
	}
}

// secretFree fails the test if the error shows a passphrase.
func secretFree(t testing.TB, err error, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), s) {
			t.Errorf("error shows the passphrase: %v", err)
		}
	}
}

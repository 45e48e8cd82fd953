package codec_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hindsight/chain/codec"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// run feeds a command and returns its output.
func run(t testing.TB, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(treetest.NeedTool(t, name), args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.Bytes())
	}
	return out
}

const pythonGunzip = "import gzip, sys; sys.stdout.buffer.write(gzip.GzipFile(fileobj=sys.stdin.buffer).read())"

func TestGzipTools(t *testing.T) {
	treetest.Sequential(t)
	for _, n := range []int{0, 1, codec.MinBlock, 2 << 20} {
		data := sample(n, uint64(n)+30)
		stored, _ := write(t, gz, codec.WriterOptions{}, data, 3000)
		for name, args := range map[string][]string{
			"gzip": {"-dc"}, "pigz": {"-dc"}, "python3": {"-c", pythonGunzip},
		} {
			t.Run(name, func(t *testing.T) {
				if name != "python3" {
					run(t, stored, name, "-t")
				}
				if got := run(t, stored, name, args...); !bytes.Equal(got, data) {
					t.Errorf("got %d bytes, want %d", len(got), n)
				}
			})
		}
	}
}

func TestReadsGzipTools(t *testing.T) {
	treetest.Sequential(t)
	data := sample(1<<20, 40)
	for name, args := range map[string][]string{
		"gzip": {"-c"}, "pigz": {"-c", "-b", "128"},
		"python3": {"-c", "import gzip, sys; gzip.GzipFile(fileobj=sys.stdout.buffer, mode='wb').write(sys.stdin.buffer.read())"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(t, run(t, data, name, args...), gz, nil)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestGPGDecrypts(t *testing.T) {
	treetest.Sequential(t)
	treetest.NeedTool(t, "gpg")
	home := gpgHome(t)
	s := session(t, keyring())
	for _, f := range []codec.Format{gpg, gpgStored} {
		for _, n := range []int{0, 1, codec.MaxBlock, 2 << 20} {
			data := sample(n, uint64(n)+50)
			stored, _ := write(t, f, codec.WriterOptions{Session: s}, data, 3000)
			got := run(t, stored, "gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback",
				"--passphrase-file", filepath.Join(home, "passphrase"), "-d")
			if !bytes.Equal(got, data) {
				t.Errorf("%s: gpg decrypts %d bytes, want %d", f, len(got), n)
			}
		}
	}
}

func gpgHome(t *testing.T) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "gnupg")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "passphrase"), []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	return home
}

// Signed objects: gpg makes the key and verifies; the Reader demands the signature.
func TestSigned(t *testing.T) {
	treetest.Sequential(t)
	treetest.NeedTool(t, "gpg")
	home := gpgHome(t)
	user := "codec@example.org"
	pass := []string{"--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase-file", filepath.Join(home, "passphrase")}
	run(t, nil, "gpg", append(pass, "--quick-gen-key", user, "rsa2048", "sign", "never")...)
	secret := run(t, nil, "gpg", append(pass, "--export-secret-keys", user)...)
	file := filepath.Join(home, "secret.key")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	id := keyID(t, run(t, nil, "gpg", "--homedir", home, "--with-colons", "-k", user))
	kr := pgp.NewKeyring(pgp.Options{
		Passphrase: pgp.Passphrase([]byte(passphrase)), S2KCount: 1024, KeyFiles: []string{file}, GnuPGHome: home,
	})
	s, err := kr.NewSession(t.Context(), pgp.Recipients{Symmetric: true, SignKey: id}, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []codec.Format{gpg, gpgStored} {
		for _, n := range []int{0, 1000, 1 << 20} {
			data := sample(n, 60)
			stored, w := write(t, f, codec.WriterOptions{Session: s}, data, 3000)
			checkBlocks(t, f, stored, data, w, s)
			if got := run(t, stored, "gpg", append(pass, "-d")...); !bytes.Equal(got, data) {
				t.Errorf("%s: gpg decrypts %d bytes, want %d", f, len(got), n)
			}
			r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), f, codec.ReaderOptions{Keyring: kr, SignKey: id})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: read %d bytes, %v, want %d", f, len(got), err, n)
			}
			r.Close()
		}
	}
}

// keyID is the key id in a listing with colons.
func keyID(t *testing.T, list []byte) string {
	t.Helper()
	for line := range bytes.Lines(list) {
		if fields := bytes.Split(line, []byte(":")); string(fields[0]) == "pub" {
			return string(fields[4])
		}
	}
	t.Fatalf("no key in %s", list)
	return ""
}

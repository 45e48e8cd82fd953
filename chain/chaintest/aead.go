package chaintest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// AEAD makes of an OpenPGP message one with the same packets within, as AEAD encrypted
// data for a passphrase.
func AEAD(t testing.TB, keys *pgp.Keyring, message []byte, how treetest.AEAD, passphrase string) []byte {
	t.Helper()
	r, err := pgp.NewReader(t.Context(), bytes.NewReader(message), keys, pgp.ReaderOptions{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return sealAEAD(t, content, how, passphrase)
}

func sealAEAD(t testing.TB, content []byte, how treetest.AEAD, passphrase string) []byte {
	key := make([]byte, how.KeySize())
	rand.Read(key)
	return append(how.Passphrase5(t, passphrase, key), how.Packet(t, key, content)...)
}

// AEADFolder makes all objects of a folder, which a passphrase opens, AEAD encrypted
// data, in chunks as gpg makes them, and tells the manifests the hashes of the new volumes.
func AEADFolder(t testing.TB, dir, passphrase string) {
	t.Helper()
	how := treetest.AEAD{Cipher: 9, Mode: 2, Octet: 16}
	keys := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(passphrase)), GnuPGHome: t.TempDir()})
	names, err := filepath.Glob(filepath.Join(dir, "*.gpg"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%d objects in %s, %v", len(names), dir, err)
	}
	var hashes []string // old, new
	manifests := map[string][]byte{}
	for _, name := range names {
		message, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".manifest.gpg") {
			manifests[name] = message
			continue
		}
		sealed := AEAD(t, keys, message, how, passphrase)
		hashes = append(hashes, hexSHA1(message), hexSHA1(sealed))
		rewrite(t, name, sealed)
	}
	renew := strings.NewReplacer(hashes...)
	for name, message := range manifests {
		r, err := pgp.NewReader(t.Context(), bytes.NewReader(message), keys, pgp.ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		var literal bytes.Buffer
		if err := pgp.WriteLiteral(&literal, []byte(renew.Replace(string(text))), true, true); err != nil {
			t.Fatal(err)
		}
		rewrite(t, name, sealAEAD(t, literal.Bytes(), how, passphrase))
	}
}

func hexSHA1(p []byte) string {
	sum := sha1.Sum(p)
	return hex.EncodeToString(sum[:])
}

func rewrite(t testing.TB, name string, p []byte) {
	t.Helper()
	if err := os.WriteFile(name, p, 0o600); err != nil {
		t.Fatal(err)
	}
}

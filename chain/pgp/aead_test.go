package pgp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"hindsight/chain/inflate"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// literal is one literal data packet of n bytes in all, and the data in it.
func literal(t testing.TB, n int, seed uint64) (content, data []byte) {
	t.Helper()
	for size := max(n-20, 0); ; size++ {
		var b bytes.Buffer
		data = sample(size, seed)
		if err := pgp.WriteLiteral(&b, data, true, true); err != nil {
			t.Fatal(err)
		}
		if b.Len() >= n {
			return b.Bytes(), data
		}
	}
}

// recipient wraps a session key to a key of the key file.
func recipient(t testing.TB, a treetest.AEAD, id string, key []byte) []byte {
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
	i := slices.IndexFunc(list, func(e *openpgp.Entity) bool { return fmt.Sprintf("%X", e.PrimaryKey.Fingerprint) == id })
	var b bytes.Buffer
	if err := packet.SerializeEncryptedKey(&b, list[i].Subkeys[0].PublicKey, packet.CipherFunction(a.Cipher), key, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// heads are the ways to a session key: packets that lead to it, and the key.
func heads(t testing.TB, a treetest.AEAD) map[string]func() (esk, key []byte) {
	random := func() []byte { return sample(a.KeySize(), 77) }
	return map[string]func() (esk, key []byte){
		"passphrase 4": func() ([]byte, []byte) { return a.Passphrase4(passphrase) },
		"passphrase 5": func() ([]byte, []byte) { return a.Passphrase5(t, passphrase, random()), random() },
		"rsa":          func() ([]byte, []byte) { return recipient(t, a, keys(t).rsa, random()), random() },
		"ecc":          func() ([]byte, []byte) { return recipient(t, a, keys(t).ecc, random()), random() },
		"ecc and passphrase 5": func() ([]byte, []byte) {
			return append(recipient(t, a, keys(t).ecc, random()), a.Passphrase5(t, passphrase, random())...), random()
		},
	}
}

// What is written as LibrePGP has it reads back, by each way to the session key, and gpg
// reads it too.
func TestAEAD(t *testing.T) {
	h, _ := newHomeWithKeys(t)
	keyrings := map[string]*pgp.Keyring{"key file": withFile(passphrase, keyFile), "gpg-agent": h.keyring(pgp.Options{})}
	small := treetest.AEAD{Cipher: 9, Mode: 2, Octet: 0}
	usual := treetest.AEAD{Cipher: 9, Mode: 2, Octet: 16}
	cases := []struct {
		a       treetest.AEAD
		n       int
		allWays bool
	}{
		{small, 1, false}, {small, 63, false}, {small, 64, false}, {small, 65, false}, {small, 128, true}, {small, 129, false},
		{usual, 100, false}, {usual, 70_000, true}, {usual, 4 << 20, false}, {usual, 4<<20 + 1, false}, {usual, 9 << 20, false},
		{treetest.AEAD{Cipher: 7, Mode: 2, Octet: 10}, 300_000, true},
		{treetest.AEAD{Cipher: 8, Mode: 1, Octet: 10}, 300_000, true},
		{treetest.AEAD{Cipher: 9, Mode: 1, Octet: 0}, 128, false},
		{treetest.AEAD{Cipher: 10, Mode: 2, Octet: 6}, 50_000, false},
	}
	for _, c := range cases {
		content, data := literal(t, c.n, 3)
		for way, head := range heads(t, c.a) {
			if (testing.Short() || !c.allWays) && way != "passphrase 5" {
				continue
			}
			esk, key := head()
			msg := append(esk, c.a.Packet(t, key, content)...)
			name := fmt.Sprintf("%v, %d bytes, %s", c.a, len(content), way)
			for who, kr := range keyrings {
				got, err := open(kr, msg, pgp.ReaderOptions{})
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s, %s: %d bytes of %d, %v", name, who, len(got), len(data), err)
				}
			}
			if err := finish(keyrings["key file"], msg); err != nil {
				t.Errorf("%s: Finish: %v", name, err)
			}
			out, stderr, err := h.try(msg, "--decrypt")
			if err != nil || !bytes.Equal(out, data) {
				t.Errorf("%s: gpg: %d bytes of %d, %v\n%s", name, len(out), len(data), err, stderr)
			}
		}
	}
}

// An agent that knows the passphrase tells the session key of all packets.
func TestAEADByAgent(t *testing.T) {
	treetest.Sequential(t)
	h, k := newHomeWithKeys(t)
	a := treetest.AEAD{Cipher: 9, Mode: 2, Octet: 16}
	content, data := literal(t, 1000, 4)
	key := sample(a.KeySize(), 78)
	public := append(recipient(t, a, k.rsa, key), a.Packet(t, key, content)...)
	h.gpg(public, "--decrypt") // the agent learns the passphrase
	never := func() ([]byte, error) { t.Error("asked for the passphrase"); return nil, nil }
	got, err := open(h.keyring(pgp.Options{Passphrase: never, UseAgent: true}), public, pgp.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, data)

	// Of symmetric messages it asks through a pinentry; here gpg is told instead.
	program, _ := wrapGPG(t, `exec 4<<EOF
`+passphrase+`
EOF
set -- --pinentry-mode loopback --passphrase-fd 4 "$@"`)
	kr := h.keyring(pgp.Options{GPG: program, Passphrase: pgp.Passphrase(nil), UseAgent: true})
	esk4, direct := a.Passphrase4(passphrase)
	for name, msg := range map[string][]byte{
		"version 4": append(esk4, a.Packet(t, direct, content)...),
		"version 5": append(a.Passphrase5(t, passphrase, key), a.Packet(t, key, content)...),
	} {
		got, err := open(kr, msg, pgp.ReaderOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, got, data)
	}
}

// aeadMessage is a message in a few chunks, its session key packets and its data.
func aeadMessage(t testing.TB, a treetest.AEAD, n int) (msg, esk, data []byte) {
	t.Helper()
	content, data := literal(t, n, 5)
	key := sample(a.KeySize(), 79)
	esk = a.Passphrase5(t, passphrase, key)
	return append(bytes.Clone(esk), a.Packet(t, key, content)...), esk, data
}

// Whatever is changed, cut off, left out or moved is noticed, and no byte is given that
// was not encrypted there.
func TestAEADTampering(t *testing.T) {
	treetest.Sequential(t)
	for _, a := range []treetest.AEAD{{Cipher: 9, Mode: 2}, {Cipher: 7, Mode: 1}} {
		for _, n := range []int{100, 128, 200} {
			msg, esk, data := aeadMessage(t, a, n)
			kr := symmetric(passphrase)
			if _, err := open(kr, msg, pgp.ReaderOptions{}); err != nil {
				t.Fatal(err)
			}
			check := func(what string, bad []byte, body bool) {
				t.Helper()
				got, err := open(kr, bad, pgp.ReaderOptions{})
				if err == nil || !errors.Is(err, pgp.ErrDecrypt) || body && !errors.Is(err, pgp.ErrIntegrity) {
					t.Errorf("%v, %d bytes, %s: %d bytes, error %v", a, n, what, len(got), err)
				}
				if body && errors.Is(err, pgp.ErrLocked) {
					t.Errorf("%s: %v asks for another passphrase", what, err)
				}
				if !bytes.HasPrefix(data, got) {
					t.Errorf("%v, %d bytes, %s: other bytes", a, n, what)
				}
				if finish(kr, bad) == nil {
					t.Errorf("%v, %d bytes, %s: Finish notices nothing", a, n, what)
				}
			}
			start := len(esk) + 1 + 5 // of the packet's body
			iv := start + 4
			for i := range msg {
				bad := bytes.Clone(msg)
				bad[i] ^= 1 << (i % 8)
				check(fmt.Sprintf("octet %d", i), bad, i >= iv)
			}
			for i := range msg {
				check(fmt.Sprintf("cut at %d", i), msg[:i], i > iv)
			}
			body := msg[start:]
			for i := 4; i < len(body); i++ { // shorter, but the packet is whole
				check(fmt.Sprintf("shortened to %d", i), append(bytes.Clone(esk), treetest.Packet(20, body[:i])...), true)
			}
			size, at := 64+16, iv-start+map[byte]int{1: 16, 2: 15}[a.Mode]
			first, rest := body[at:at+size], body[at+size:]
			final := rest[len(rest)-16:]
			for what, chunks := range map[string][][]byte{
				"first chunk left out": {rest},
				"first chunk twice":    {first, first, rest},
				"last chunk left out":  {first, final},
				"final tag twice":      {first, rest, final},
				"final tag alone":      {final},
				"an octet more":        {first, rest, {0}},
				"reversed":             {rest[:len(rest)-16], first, final},
			} {
				bad := append(bytes.Clone(body[:at]), bytes.Join(chunks, nil)...)
				check(what, append(bytes.Clone(esk), treetest.Packet(20, bad)...), true)
			}
			check("data behind it", append(bytes.Clone(msg), 0), true)
		}
	}
}

// A wrong passphrase is told as such where it can be, and damage where it is proved.
func TestAEADWrongPassphrase(t *testing.T) {
	treetest.Sequential(t)
	a := treetest.AEAD{Cipher: 9, Mode: 2, Octet: 4}
	msg, _, _ := aeadMessage(t, a, 3000)
	_, err := open(symmetric("tr0ub4dor"), msg, pgp.ReaderOptions{})
	wantErr(t, err, pgp.ErrWrongPassphrase)
	secretFree(t, err, "tr0ub4dor")
	bad := bytes.Clone(msg)
	bad[len(bad)-2000] ^= 1
	kr := symmetric(passphrase)
	for range 2 { // the second time it knows the session key
		_, err := open(kr, bad, pgp.ReaderOptions{})
		wantErr(t, err, pgp.ErrIntegrity)
		if errors.Is(err, pgp.ErrLocked) {
			t.Errorf("%v asks for another passphrase", err)
		}
	}
	_, err = open(withFile("", keyFile), msg, pgp.ReaderOptions{})
	wantErr(t, err, pgp.ErrNoPassphrase)

	content, _ := literal(t, 3000, 6)
	esk, key := a.Passphrase4(passphrase)
	msg = append(esk, a.Packet(t, key, content)...)
	_, err = open(symmetric("tr0ub4dor"), msg, pgp.ReaderOptions{})
	wantErr(t, err, pgp.ErrWrongPassphrase)
}

// Variants that would take too much, or that nobody writes, are refused.
func TestAEADUnsupported(t *testing.T) {
	treetest.Sequential(t)
	esk := "\xC3\x0D\x04\x09\x03\x08saltsalt\x00"
	for name, head := range map[string]string{
		"version 2":       "\x02\x09\x02\x10",
		"mode 3":          "\x01\x09\x03\x10",
		"mode 0":          "\x01\x09\x00\x10",
		"chunks of 8 MiB": "\x01\x09\x02\x11",
		"chunk octet 255": "\x01\x09\x02\xFF",
		"CAST5":           "\x01\x03\x02\x10",
		"3DES":            "\x01\x02\x01\x10",
		"cipher 99":       "\x01\x63\x02\x10",
	} {
		msg := esk + string(treetest.Packet(20, []byte(head+strings.Repeat("x", 100))))
		_, err := open(symmetric(passphrase), []byte(msg), pgp.ReaderOptions{})
		wantErr(t, err, pgp.ErrUnsupported)
		t.Logf("%s: %v", name, err)
	}
}

// An AEAD message is protected, and has no Layout: its ranges are not those of CFB.
func TestAEADHasNoLayout(t *testing.T) {
	msg, _, data := aeadMessage(t, treetest.AEAD{Cipher: 9, Mode: 2, Octet: 2}, 10_000)
	heard := func(*inflate.Reader, inflate.Checkpoint) {}
	r, err := pgp.NewReader(t.Context(), iotest.OneByteReader(bytes.NewReader(msg)), symmetric(passphrase), pgp.ReaderOptions{OnBlock: heard})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, data)
	if _, traceable := r.Deflated(); traceable || r.Unprotected() || len(r.Prefix()) > 0 {
		t.Errorf("traceable %v, unprotected %v, prefix %x", traceable, r.Unprotected(), r.Prefix())
	}
	if l, ok := r.Layout(); ok {
		t.Errorf("layout %+v", l)
	}
}

// An error of the store in the middle of a chunk is the store's.
func TestAEADSourceError(t *testing.T) {
	msg, esk, _ := aeadMessage(t, treetest.AEAD{Cipher: 9, Mode: 2, Octet: 4}, 10_000)
	broken := errors.New("connection lost")
	for _, at := range []int{len(esk) + 3, len(esk) + 40, 2000, len(msg) - 5} {
		src := io.MultiReader(bytes.NewReader(msg[:at]), iotest.ErrReader(broken))
		r, err := pgp.NewReader(context.Background(), src, symmetric(passphrase), pgp.ReaderOptions{})
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if wantErr(t, err, broken); errors.Is(err, pgp.ErrDecrypt) {
			t.Errorf("cut at %d: %v is an ErrDecrypt", at, err)
		}
	}
}

// A short message takes a short buffer, whatever chunks it claims.
func TestAEADMemory(t *testing.T) {
	treetest.Sequential(t)
	msg, _, _ := aeadMessage(t, treetest.AEAD{Cipher: 9, Mode: 2, Octet: 16}, 1000)
	kr := symmetric(passphrase)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 10
	for range rounds {
		if err := finish(kr, msg); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / rounds; n > 1<<20 {
		t.Errorf("a message of %d bytes takes %d", len(msg), n)
	}
}

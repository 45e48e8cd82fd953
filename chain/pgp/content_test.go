package pgp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"hindsight/chain/pgp"
)

// wrap seals content that WriteLiteral did not make.
func wrap(t testing.TB, s *pgp.Session, content string) []byte {
	t.Helper()
	var msg bytes.Buffer
	w, err := s.NewWriter(&msg, pgp.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return msg.Bytes()
}

// Packets that other writers make, in sound encryption.
func TestContent(t *testing.T) {
	const literal = "\xCB\x08b\x00\x00\x00\x00\x00hi"
	bz, err := hex.DecodeString(bzip2Literal)
	if err != nil {
		t.Fatal(err)
	}
	kr := symmetric(passphrase)
	s := session(t, kr, pgp.Recipients{Symmetric: true})
	cases := []struct {
		name, content string
		want          error // nil: the literal is read
	}{
		{"plain", literal, nil},
		{"old format, one octet", "\xAC\x08b\x00\x00\x00\x00\x00hi", nil},
		{"old format, two octets", "\xAD\x00\x08b\x00\x00\x00\x00\x00hi", nil},
		{"old format, four octets", "\xAE\x00\x00\x00\x08b\x00\x00\x00\x00\x00hi", nil},
		{"old format, indeterminate", "\xAFb\x00\x00\x00\x00\x00hi", nil},
		{"five octets", "\xCB\xFF\x00\x00\x00\x08b\x00\x00\x00\x00\x00hi", nil},
		{"file name", "\xCB\x0Bb\x03abc\x00\x00\x00\x00hi", nil},
		{"marker", "\xCA\x03PGP" + literal, nil},
		{"signature before", "\xC2\x01x" + literal, nil},
		{"garbage after", literal + "\x14\x14", nil},
		{"bzip2", "\xA3\x03" + string(bz), nil},
		{"uncompressed", "\xA3\x00" + literal, nil},
		{"nested", strings.Repeat("\xA3\x00", 4) + literal, nil},
		{"nested too deep", strings.Repeat("\xA3\x00", 5) + literal, pgp.ErrIntegrity},
		{"compression 4", "\xA3\x04" + literal, pgp.ErrUnsupported},
		{"empty compressed", "\xC8\x00", pgp.ErrIntegrity},
		{"bad zlib", "\xA3\x02xxxxxx", pgp.ErrIntegrity},
		{"bad deflate", "\xA3\x01\xFF\xFF\xFF", pgp.ErrIntegrity},
		{"bad bzip2", "\xA3\x03BZh9xxxxxxxxxxx", pgp.ErrIntegrity},
		{"no packet", "text", pgp.ErrIntegrity},
		{"nothing", "", pgp.ErrIntegrity},
		{"encrypted again", "\xD2\x01\x01", pgp.ErrIntegrity},
		{"short literal", "\xCB\x03b\x00\x00", pgp.ErrIntegrity},
		{"literal cut short", "\xCB\x20b\x00\x00\x00\x00\x00hi", pgp.ErrIntegrity},
		{"partial cut short", "\xCB\xE9b\x00\x00\x00\x00\x00hi", pgp.ErrIntegrity},
		{"only markers", strings.Repeat("\xCA\x03PGP", 70), pgp.ErrIntegrity},
		{"long marker", "\xCA\xFF\x7F\xFF\xFF\xFFPGP", pgp.ErrIntegrity},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := open(kr, wrap(t, s, c.content), pgp.ReaderOptions{})
			if !errors.Is(err, c.want) {
				t.Fatalf("got error %v, want %v", err, c.want)
			}
			if err == nil {
				same(t, got, []byte("hi"))
			}
		})
	}
}

// What claims to be signed and is not, is refused.
func TestSignatureContent(t *testing.T) {
	kr := withFile(passphrase, keyFile)
	k := keys(t)
	s := session(t, kr, pgp.Recipients{Symmetric: true, SignKey: k.sign})
	signer, err := s.NewSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	onePass := string(signer.OnePass())
	sig, err := signer.Finish() // of no data
	if err != nil {
		t.Fatal(err)
	}
	const literal, empty = "\xCB\x08b\x00\x00\x00\x00\x00hi", "\xCB\x06b\x00\x00\x00\x00\x00"
	swap := func(at int, v byte) string { return onePass[:at] + string(v) + onePass[at+1:] }
	cases := []struct{ name, content string }{
		{"no signature", literal},
		{"no signature packet", onePass + literal},
		{"other packet", onePass + literal + "\xCA\x03PGP"},
		{"unreadable signature", onePass + literal + "\xC2\x03xyz"},
		{"other data", onePass + literal + string(sig)},
		{"other hash", swap(4, 8) + empty + string(sig)},
		{"text signature", swap(3, 1) + empty + string(sig)},
		{"other key", swap(8, 0) + empty + string(sig)},
		{"version 4", swap(2, 4) + empty + string(sig)},
	}
	for _, c := range cases {
		if _, err := open(kr, wrap(t, s, c.content), pgp.ReaderOptions{SignKey: k.sign}); !errors.Is(err, pgp.ErrSignature) {
			t.Errorf("%s: got error %v, want %v", c.name, err, pgp.ErrSignature)
		}
	}
	good := wrap(t, s, onePass+empty+string(sig))
	if _, err := open(kr, good, pgp.ReaderOptions{SignKey: k.sign}); err != nil {
		t.Errorf("good signature: %v", err)
	}
	for _, id := range []string{"", "1234567", "me@example.org", "0x" + strings.Repeat("A", 65)} {
		if _, err := open(kr, good, pgp.ReaderOptions{SignKey: id}); (err == nil) != (id == "") {
			t.Errorf("sign key %q: %v", id, err)
		}
	}
}

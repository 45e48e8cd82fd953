package pgp_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"io"
	"testing"

	"hindsight/chain/pgp"
	"hindsight/chain/treetest"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
)

const benchSize = 16 << 20

func BenchmarkCFB(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	p := sample(64<<10, 1)
	for name, f := range map[string]func([]byte){
		"decrypt": pgp.NewCFB(block, nil).Decrypt,
		"encrypt": pgp.NewCFB(block, nil).Encrypt,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				f(p)
			}
		})
	}
}

// BenchmarkAEAD reads AEAD encrypted data in chunks as gpg writes them, and beside them
// what we write.
func BenchmarkAEAD(b *testing.B) {
	kr := symmetric(passphrase)
	content, data := literal(b, benchSize, 2)
	messages := map[string][]byte{"MDC": seal(b, session(b, kr, pgp.Recipients{Symmetric: true}), data, 256<<10, false)}
	for name, mode := range map[string]byte{"EAX": 1, "OCB": 2} {
		a := treetest.AEAD{Cipher: 9, Mode: mode, Octet: 16}
		esk, key := a.Passphrase4(passphrase)
		messages[name] = append(esk, a.Packet(b, key, content)...)
	}
	for name, msg := range messages {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := open(kr, msg, pgp.ReaderOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReader reads one message, with ours and with go-crypto.
func BenchmarkReader(b *testing.B) {
	kr := symmetric(passphrase)
	s := session(b, kr, pgp.Recipients{Symmetric: true})
	for name, compress := range map[string]bool{"none": false, "zip": true} {
		msg := seal(b, s, sample(benchSize, 2), 256<<10, compress)
		b.Run("by=own/compress="+name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				r, err := pgp.NewReader(b.Context(), bytes.NewReader(msg), kr, pgp.ReaderOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("by=go-crypto/compress="+name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			prompt := func([]openpgp.Key, bool) ([]byte, error) { return []byte(passphrase), nil }
			for b.Loop() {
				md, err := openpgp.ReadMessage(bytes.NewReader(msg), nil, prompt, &packet.Config{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, md.UnverifiedBody); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFinish passes over a message after its first bytes.
func BenchmarkFinish(b *testing.B) {
	kr := symmetric(passphrase)
	msg := seal(b, session(b, kr, pgp.Recipients{Symmetric: true}), sample(benchSize, 2), 256<<10, true)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		if err := finish(kr, msg); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBodyWriter encrypts without compression.
func BenchmarkBodyWriter(b *testing.B) {
	s := session(b, symmetric(passphrase), pgp.Recipients{Symmetric: true})
	data := sample(benchSize, 3)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		w, err := s.NewWriter(io.Discard, pgp.WriterOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadRange(b *testing.B) {
	kr := symmetric(passphrase)
	s := session(b, kr, pgp.Recipients{Symmetric: true})
	var out bytes.Buffer
	w, err := s.NewWriter(&out, pgp.WriterOptions{})
	if err != nil {
		b.Fatal(err)
	}
	w.Write(sample(benchSize, 4))
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	const from, size = 5 << 20, 256 << 10
	at, length, err := w.Layout().Range(from, size)
	if err != nil {
		b.Fatal(err)
	}
	raw := make([]byte, length)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		copy(raw, out.Bytes()[at:])
		if _, err := w.Layout().ReadRange(s.Key(), raw, from, size); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkS2K is gpg 2.2's default derivation.
func BenchmarkS2K(b *testing.B) {
	const count = 65011712
	salt := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	b.Run("by=own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := pgp.S2K(3, 2, salt, count, []byte(passphrase), 32); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by=go-crypto", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s2k.Iterated(make([]byte, 32), crypto.SHA1.New(), []byte(passphrase), salt[:], count)
		}
	})
}

package treetest

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/ProtonMail/go-crypto/eax"
	"github.com/ProtonMail/go-crypto/ocb"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
	"golang.org/x/crypto/twofish" //lint:ignore SA1019 what is written is for tests alone
)

// AEAD writes OpenPGP packets as gpg does from version 2.3 on to keys that ask for it:
// AEAD encrypted data (tag 20, RFC 4880bis §5.16), and session key packets of version 5.
type AEAD struct {
	Cipher byte // 7, 8, 9: AES; 10: Twofish
	Mode   byte // 1: EAX, 2: OCB
	Octet  byte // chunks are of 1<<(Octet+6) bytes
}

// KeySize is the length of a session key in bytes.
func (a AEAD) KeySize() int { return map[byte]int{7: 16, 8: 24, 9: 32, 10: 32}[a.Cipher] }

func (a AEAD) under(t testing.TB, key []byte) cipher.AEAD {
	t.Helper()
	var block cipher.Block
	var err error
	if a.Cipher == 10 {
		block, err = twofish.NewCipher(key)
	} else {
		block, err = aes.NewCipher(key)
	}
	var mode cipher.AEAD
	switch {
	case err != nil:
	case a.Mode == 1:
		mode, err = eax.NewEAX(block)
	default:
		mode, err = ocb.NewOCB(block)
	}
	if err != nil {
		t.Fatal(err)
	}
	return mode
}

// Packet encrypts content, the packets within, in chunks with partial lengths of 8 KiB.
func (a AEAD) Packet(t testing.TB, key, content []byte) []byte {
	t.Helper()
	mode := a.under(t, key)
	iv := make([]byte, mode.NonceSize())
	rand.Read(iv)
	body := append([]byte{1, a.Cipher, a.Mode, a.Octet}, iv...)
	index, total := uint64(0), uint64(len(content))
	nonce := func() []byte {
		n := append([]byte(nil), iv...)
		low := n[len(n)-8:]
		binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^index)
		return n
	}
	data := func() []byte {
		return binary.BigEndian.AppendUint64([]byte{0xD4, 1, a.Cipher, a.Mode, a.Octet}, index)
	}
	for ; len(content) > 0; index++ {
		n := min(len(content), 1<<(a.Octet+6))
		body = mode.Seal(body, nonce(), content[:n], data())
		content = content[n:]
	}
	body = mode.Seal(body, nonce(), nil, binary.BigEndian.AppendUint64(data(), total))
	return Packet(20, body)
}

// Passphrase5 is a session key packet of version 5 for a passphrase.
func (a AEAD) Passphrase5(t testing.TB, passphrase string, key []byte) []byte {
	t.Helper()
	body, derived := specifier([]byte{5, a.Cipher, a.Mode}, passphrase, a.KeySize())
	mode := a.under(t, derived)
	iv := make([]byte, mode.NonceSize())
	rand.Read(iv)
	body = append(body, iv...)
	return Packet(3, mode.Seal(body, iv, key, []byte{0xC3, 5, a.Cipher, a.Mode}))
}

// Passphrase4 is one of version 4, by which the passphrase makes the session key.
func (a AEAD) Passphrase4(passphrase string) (packet, key []byte) {
	body, key := specifier([]byte{4, a.Cipher}, passphrase, a.KeySize())
	return Packet(3, body), key
}

// specifier appends an iterated one of 1024 bytes of SHA-256 and makes the key.
func specifier(b []byte, passphrase string, size int) (body, key []byte) {
	salt := make([]byte, 8)
	rand.Read(salt)
	key = make([]byte, size)
	s2k.Iterated(key, crypto.SHA256.New(), []byte(passphrase), salt, 1024)
	return append(append(append(b, 3, 8), salt...), 0), key
}

// Packet puts the header before a packet's body, which is cut into chunks of 8 KiB.
func Packet(tag byte, body []byte) []byte {
	const bits = 13
	b := []byte{0xC0 | tag}
	for len(body) > 1<<bits {
		b = append(append(b, 0xE0|bits), body[:1<<bits]...)
		body = body[1<<bits:]
	}
	b = append(b, 0xFF)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// String names a variant in a test.
func (a AEAD) String() string {
	return fmt.Sprintf("cipher %d, mode %d, chunks of %d", a.Cipher, a.Mode, 1<<(a.Octet+6))
}

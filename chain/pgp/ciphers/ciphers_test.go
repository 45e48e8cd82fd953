package ciphers_test

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"testing"

	"hindsight/chain/pgp/ciphers"
	"hindsight/chain/treetest"
)

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of RFC 3713, appendix A, and of the paper that presents IDEA.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name             string
		make             func([]byte) (cipher.Block, error)
		key, plain, want string
	}{
		{"Camellia-128", ciphers.NewCamellia, "0123456789abcdeffedcba9876543210", "0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43"},
		{"Camellia-192", ciphers.NewCamellia, "0123456789abcdeffedcba98765432100011223344556677", "0123456789abcdeffedcba9876543210", "b4993401b3e996f84ee5cee7d79b09b9"},
		{"Camellia-256", ciphers.NewCamellia, "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", "0123456789abcdeffedcba9876543210", "9acc237dff16d76c20ef7c919e3a7509"},
		{"IDEA", ciphers.NewIDEA, "00010002000300040005000600070008", "0000000100020003", "11fbed2b01986de5"},
	} {
		block, err := c.make(unhex(t, c.key))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, block.BlockSize())
		block.Encrypt(got, unhex(t, c.plain))
		if hex.EncodeToString(got) != c.want {
			t.Errorf("%s: %x, want %s", c.name, got, c.want)
		}
		block.Decrypt(got, got)
		if hex.EncodeToString(got) != c.plain {
			t.Errorf("%s backwards: %x, want %s", c.name, got, c.plain)
		}
	}
}

// Decryption undoes encryption under any key; of IDEA also where 0 stands for 65536.
func TestBackwards(t *testing.T) {
	rng := treetest.Rand(t, 1)
	for _, size := range []int{16, 24, 32} {
		for n := range 2000 {
			key, plain := make([]byte, size), make([]byte, 16)
			for i := range key {
				key[i] = byte(rng.Uint32())
			}
			for i := range plain {
				plain[i] = byte(rng.Uint32())
			}
			if n%4 == 0 { // many zero words
				clear(key[n%12 : n%12+4])
				clear(plain[n%12 : n%12+4])
			}
			blocks := []func([]byte) (cipher.Block, error){ciphers.NewCamellia}
			if size == 16 {
				blocks = append(blocks, ciphers.NewIDEA)
			}
			for _, f := range blocks {
				block, err := f(key)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 16)
				block.Encrypt(got, plain)
				if want := plain[:block.BlockSize()]; bytes.Equal(got[:len(want)], want) {
					t.Fatalf("key %x leaves %x as it is", key, want)
				}
				block.Decrypt(got, got)
				if want := plain[:block.BlockSize()]; !bytes.Equal(got[:len(want)], want) {
					t.Fatalf("key %x: %x came back as %x", key, want, got)
				}
			}
		}
	}
}

func TestKeySizes(t *testing.T) {
	for n := range 40 {
		_, err := ciphers.NewCamellia(make([]byte, n))
		if ok := n == 16 || n == 24 || n == 32; (err == nil) != ok {
			t.Errorf("Camellia, %d bytes: %v", n, err)
		}
		_, err = ciphers.NewIDEA(make([]byte, n))
		if (err == nil) != (n == 16) {
			t.Errorf("IDEA, %d bytes: %v", n, err)
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	camellia, err := ciphers.NewCamellia(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	idea, err := ciphers.NewIDEA(make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	for name, block := range map[string]cipher.Block{"camellia-256": camellia, "idea": idea} {
		b.Run(name, func(b *testing.B) {
			p := make([]byte, block.BlockSize())
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				block.Encrypt(p, p)
			}
		})
	}
}

package pgp_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"math/rand/v2"
	"testing"

	"hindsight/chain/pgp"
	"hindsight/chain/treetest"

	"github.com/ProtonMail/go-crypto/openpgp/s2k"
)

// plainCFB is the definition, octet by octet: the oracle.
func plainCFB(b cipher.Block, iv, p []byte, encrypt bool) []byte {
	size := b.BlockSize()
	prev := append(make([]byte, 0, size), iv...)
	ks := make([]byte, size)
	var out, ct []byte
	for i, v := range p {
		if i%size == 0 {
			if len(ct) > 0 {
				prev = ct[len(ct)-size:]
			}
			b.Encrypt(ks, prev)
		}
		out = append(out, v^ks[i%size])
		if encrypt {
			ct = out
		} else {
			ct = p[:i+1]
		}
	}
	return out
}

func TestCFB(t *testing.T) {
	treetest.Sequential(t)
	rnd := rand.New(rand.NewPCG(13, 13))
	aes256, err := aes.NewCipher(sample(32, 1))
	if err != nil {
		t.Fatal(err)
	}
	des3, err := des.NewTripleDESCipher(sample(24, 2))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []cipher.Block{aes256, des3} {
		for range 100 {
			iv := sample(b.BlockSize(), rnd.Uint64())
			plain := sample(rnd.IntN(20000), rnd.Uint64())
			want := plainCFB(b, iv, plain, true)
			got := bytes.Clone(plain)
			inPieces(rnd, got, pgp.NewCFB(b, iv).Encrypt)
			same(t, got, want)
			inPieces(rnd, got, pgp.NewCFB(b, iv).Decrypt)
			same(t, got, plain)
			same(t, plainCFB(b, iv, want, false), plain)
		}
	}
}

// inPieces applies f to p, cut at random.
func inPieces(rnd *rand.Rand, p []byte, f func([]byte)) {
	for len(p) > 0 {
		n := 1 + rnd.IntN(min(len(p), 1+rnd.IntN(9000)))
		f(p[:n])
		p = p[n:]
	}
}

func TestS2K(t *testing.T) {
	treetest.Sequential(t)
	salt := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	hashes := map[byte]crypto.Hash{1: crypto.MD5, 2: crypto.SHA1, 8: crypto.SHA256, 10: crypto.SHA512}
	for id, h := range hashes {
		for _, pass := range []string{"", "x", passphrase, string(sample(300, 3))} {
			for _, size := range []int{16, 24, 32} {
				want := make([]byte, size)
				for _, count := range []int{1024, 65536, 1 << 20} {
					s2k.Iterated(want, h.New(), []byte(pass), salt[:], count)
					got, err := pgp.S2K(3, id, salt, count, []byte(pass), size)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("hash %d, count %d, size %d: %v or another key", id, count, size, err)
					}
				}
				s2k.Salted(want, h.New(), []byte(pass), salt[:])
				if got, _ := pgp.S2K(1, id, salt, 0, []byte(pass), size); !bytes.Equal(got, want) {
					t.Errorf("salted, hash %d, size %d: another key", id, size)
				}
				s2k.Simple(want, h.New(), []byte(pass))
				if got, _ := pgp.S2K(0, id, [8]byte{}, 0, []byte(pass), size); !bytes.Equal(got, want) {
					t.Errorf("simple, hash %d, size %d: another key", id, size)
				}
			}
		}
	}
}

func TestCountOctet(t *testing.T) {
	for c := range 256 {
		n := pgp.DecodeCount(byte(c))
		if got := pgp.EncodeCount(n); got != byte(c) {
			t.Errorf("EncodeCount(%d) = %d, want %d", n, got, c)
		}
		if c > 0 && pgp.EncodeCount(pgp.DecodeCount(byte(c-1))+1) != byte(c) {
			t.Errorf("count is not rounded up to octet %d", c)
		}
	}
	if pgp.DecodeCount(255) != 65011712 || pgp.EncodeCount(1<<40) != 255 {
		t.Error("the highest count is not gpg's")
	}
}

package librsync_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"hindsight/chain/librsync"
)

func signatureOf(t *testing.T, data []byte, blockLen int) []byte {
	t.Helper()
	var sig bytes.Buffer
	w := librsync.NewSignatureWriter(&sig, blockLen)
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return sig.Bytes()
}

// TestFingerprint makes the fingerprint of files from their signatures and from their
// blocks in random order: they are equal, and every change of one byte of either shows.
func TestFingerprint(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))
	for range 200 {
		blockLen := 1 + rng.IntN(700)
		data := make([]byte, rng.IntN(5000))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		sig := signatureOf(t, data, blockLen)
		want, err := librsync.ReadFingerprint(bytes.NewReader(sig))
		if err != nil {
			t.Fatal(err)
		}
		again, err := librsync.DecodeFingerprint(want.Append(nil))
		if err != nil || again != want {
			t.Fatalf("decoded %v, %v, want %v", again, err, want)
		}
		if got := inRandomOrder(rng, want, data); got != want {
			t.Fatalf("%d bytes in blocks of %d: %v, want %v", len(data), blockLen, got, want)
		}
		if len(data) == 0 {
			continue
		}
		data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		if inRandomOrder(rng, want, data) == want {
			t.Fatal("a changed byte does not show")
		}
		sig[12+rng.IntN(len(sig)-12)] ^= 1 << rng.IntN(8)
		if other, err := librsync.ReadFingerprint(bytes.NewReader(sig)); err != nil || other == want {
			t.Fatalf("a changed signature does not show: %v", err)
		}
		if _, err := librsync.ReadFingerprint(bytes.NewReader(sig[:len(sig)-1])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("a signature cut short: %v", err)
		}
	}
}

// inRandomOrder makes a fingerprint of blocks, now and then of two at once.
func inRandomOrder(rng *rand.Rand, like librsync.Fingerprint, data []byte) librsync.Fingerprint {
	n := int(like.BlockLen())
	sum := like.Empty()
	blocks := (len(data) + n - 1) / n
	done := make([]bool, blocks)
	for _, i := range rng.Perm(blocks) {
		if done[i] {
			continue
		}
		part := like.Empty()
		if done[i] = true; (i+2)*n <= len(data) && !done[i+1] {
			part.AddPair(int64(i), data[i*n:(i+2)*n])
			done[i+1] = true
		} else {
			part.Add(int64(i), data[i*n:min((i+1)*n, len(data))])
		}
		sum.Merge(&part)
	}
	return sum
}

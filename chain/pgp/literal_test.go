package pgp_test

import (
	"bytes"
	"testing"

	"hindsight/chain/pgp"
)

// Each block reads back alone.
func TestLiteralBlocks(t *testing.T) {
	for _, n := range []int{0, 1, 191, 192, 505, 506, 507, 512, 8383, 8384, 100000, 1 << 18} {
		data := sample(n, uint64(n))
		for _, pos := range []struct{ first, last bool }{{true, true}, {true, false}, {false, false}, {false, true}} {
			if pos.first && !pos.last && n < pgp.MinFirstBlock {
				continue
			}
			var b bytes.Buffer
			if err := pgp.WriteLiteral(&b, data, pos.first, pos.last); err != nil {
				t.Fatal(err)
			}
			got, err := pgp.UnframeLiteral(nil, b.Bytes(), pos.first)
			if err != nil {
				t.Fatalf("%d bytes, %v: %v", n, pos, err)
			}
			same(t, got, data)
			for cut := range min(b.Len(), 20) {
				if got, err := pgp.UnframeLiteral(nil, b.Bytes()[:cut], pos.first); err == nil && pos.last && n > 0 && len(got) == n {
					t.Fatalf("%d bytes cut to %d: no error", n, cut)
				}
			}
		}
	}
}

func TestUnframeSkipsOnePass(t *testing.T) {
	s := session(t, withFile(passphrase, keyFile), pgp.Recipients{Symmetric: true, SignKey: keys(t).sign})
	signer, err := s.NewSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.NewBuffer(signer.OnePass())
	data := sample(1000, 1)
	if err := pgp.WriteLiteral(b, data, true, false); err != nil {
		t.Fatal(err)
	}
	got, err := pgp.UnframeLiteral([]byte("x"), b.Bytes(), true)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, append([]byte("x"), data...))
}

func TestWriteLiteralShortFirst(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	pgp.WriteLiteral(new(bytes.Buffer), make([]byte, pgp.MinFirstBlock-1), true, false)
}

func FuzzUnframeLiteral(f *testing.F) {
	for _, n := range []int{0, 10, 600, 70000} {
		var b bytes.Buffer
		pgp.WriteLiteral(&b, sample(n, 1), true, n < 600)
		f.Add(b.Bytes(), true)
		f.Add(b.Bytes(), false)
	}
	f.Fuzz(func(t *testing.T, framed []byte, first bool) {
		got, err := pgp.UnframeLiteral(nil, framed, first)
		if len(got) > len(framed) {
			t.Fatalf("%d bytes out of %d", len(got), len(framed))
		}
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := pgp.WriteLiteral(&b, got, first, true); err != nil {
			t.Fatal(err)
		}
		again, err := pgp.UnframeLiteral(nil, b.Bytes(), first)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("written again: %v, %d bytes, want %d", err, len(again), len(got))
		}
	})
}

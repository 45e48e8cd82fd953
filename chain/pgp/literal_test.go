package pgp_test

import (
	"bytes"
	"math/rand/v2"
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
			same(t, unframe(t, b.Bytes(), n, pos.first, pos.last), data)
		}
	}
}

// unframe reads back a block of n bytes that WriteLiteral wrote, in pieces.
func unframe(t testing.TB, framed []byte, n int, first, last bool) []byte {
	t.Helper()
	var u pgp.Unframer
	if first {
		octets, chunk := pgp.LiteralHead(n, last)
		framed = framed[octets:]
		u.Resume(chunk)
	}
	var got []byte
	rnd := rand.New(rand.NewPCG(uint64(n), 1))
	for len(framed) > 0 {
		k := min(1+rnd.IntN(1+len(framed)/3), len(framed))
		var err error
		if got, err = u.Unframe(got, framed[:k], n-len(got)); err != nil {
			t.Fatal(err)
		}
		framed = framed[k:]
	}
	return got
}

// What follows the end of the packet is not taken for data.
func TestUnframeEnd(t *testing.T) {
	var b bytes.Buffer
	if err := pgp.WriteLiteral(&b, sample(300, 1), false, true); err != nil {
		t.Fatal(err)
	}
	b.WriteString("more")
	var u pgp.Unframer
	got, err := u.Unframe(nil, b.Bytes(), 304)
	wantErr(t, err, pgp.ErrIntegrity)
	same(t, got, sample(300, 1))
}

func TestWriteLiteralShortFirst(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	pgp.WriteLiteral(new(bytes.Buffer), make([]byte, pgp.MinFirstBlock-1), true, false)
}

func FuzzUnframer(f *testing.F) {
	for _, n := range []int{1, 10, 600, 70000} {
		var b bytes.Buffer
		pgp.WriteLiteral(&b, sample(n, 1), false, n < 600)
		f.Add(b.Bytes(), int64(0), uint16(n))
		f.Add(b.Bytes(), int64(n/2), uint16(n))
	}
	f.Fuzz(func(t *testing.T, framed []byte, chunk int64, cut uint16) {
		if chunk < 0 {
			return
		}
		limit := len(framed) / 2
		var whole, pieces pgp.Unframer
		whole.Resume(chunk)
		pieces.Resume(chunk)
		want, wantErr := whole.Unframe(nil, framed, limit)
		at := min(int(cut), len(framed))
		got, err := pieces.Unframe(nil, framed[:at], limit)
		if err == nil {
			got, err = pieces.Unframe(got, framed[at:], limit-len(got))
		}
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) || len(got) > limit {
			t.Fatalf("in two pieces %d bytes, %v; at once %d, %v", len(got), err, len(want), wantErr)
		}
	})
}

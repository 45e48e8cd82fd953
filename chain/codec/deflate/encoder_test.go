package deflate_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	kflate "github.com/klauspost/compress/flate"

	"hindsight/chain/codec/deflate"
)

// mixed is n bytes of text, noise, repeats and runs.
func mixed(n int, rnd *rand.Rand) []byte {
	p := make([]byte, 0, n+4096)
	for len(p) < n {
		switch k := rnd.IntN(10); {
		case k < 4 && len(p) > 0:
			at := rnd.IntN(len(p))
			p = append(p, p[at:min(len(p), at+rnd.IntN(600))]...)
		case k < 7:
			letters := 1 + rnd.IntN(256)
			for range rnd.IntN(3000) {
				p = append(p, byte(rnd.IntN(letters)))
			}
		default:
			p = append(p, bytes.Repeat([]byte{byte(k)}, rnd.IntN(1000))...)
		}
	}
	return p[:n]
}

func newEncoder(t testing.TB, level int) *deflate.Encoder {
	t.Helper()
	e, err := deflate.NewEncoder(level)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// checkRoundTrip reads back what Append makes of src, with two decoders.
func checkRoundTrip(t *testing.T, e *deflate.Encoder, src []byte) {
	t.Helper()
	for _, last := range []bool{true, false} {
		out := e.Append([]byte("head"), src, last)
		if string(out[:4]) != "head" {
			t.Fatalf("dst is now %q", out[:4])
		}
		if n := len(out) - 4; n > len(src)+len(src)>>10+16 {
			t.Errorf("%d bytes became %d", len(src), n)
		}
		if !last {
			out = append(out, 3, 0)
		}
		for i, open := range []func(io.Reader) io.ReadCloser{flate.NewReader, kflate.NewReader} {
			in := bytes.NewReader(out[4:])
			got, err := io.ReadAll(open(in))
			if err != nil || !bytes.Equal(got, src) || in.Len() > 0 {
				t.Fatalf("decoder %d: %d bytes: got %d, %v, %d left", i, len(src), len(got), err, in.Len())
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for level := 1; level <= 9; level++ {
		e := newEncoder(t, level)
		for n := range 40 {
			checkRoundTrip(t, e, mixed(n, rnd))
		}
		for range 8 {
			checkRoundTrip(t, e, mixed(rnd.IntN(1<<(8+rnd.IntN(10))), rnd))
		}
	}
}

func TestExtremes(t *testing.T) {
	noise := make([]byte, 200<<10)
	rand.NewChaCha8([32]byte{}).Read(noise)
	far := append(bytes.Clone(noise[:40000]), noise...)
	e := newEncoder(t, 6)
	for _, src := range [][]byte{nil, noise, far, make([]byte, 1<<20), bytes.Repeat([]byte("ab"), 70000)} {
		checkRoundTrip(t, e, src)
	}
	if out := e.Append(nil, make([]byte, 1<<20), true); len(out) > 1200 {
		t.Errorf("1 MiB of zeros became %d bytes", len(out))
	}
}

// What an encoder did before must not show.
func TestIndependence(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	used := newEncoder(t, 6)
	for range 30 {
		src := mixed(rnd.IntN(100000), rnd)
		got := used.Append(nil, src, true)
		if want := newEncoder(t, 6).Append(nil, src, true); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes became %d, with a new encoder %d", len(src), len(got), len(want))
		}
	}
}

// Positions must survive the day the tables are cleared, after 1 GiB.
func TestManyBlocks(t *testing.T) {
	e := newEncoder(t, 6)
	rnd := rand.New(rand.NewPCG(5, 6))
	e.Age(1<<30 - 200000)
	for range 6 {
		checkRoundTrip(t, e, mixed(60000, rnd))
	}
}

func TestLevels(t *testing.T) {
	for _, level := range []int{-1, 0, 10} {
		if _, err := deflate.NewEncoder(level); err == nil {
			t.Errorf("level %d is accepted", level)
		}
	}
	src := mixed(1<<18, rand.New(rand.NewPCG(7, 8)))
	last := len(src)
	for level := 1; level <= 9; level++ {
		n := len(newEncoder(t, level).Append(nil, src, true))
		if n > last+last>>7 {
			t.Errorf("level %d makes %d bytes, the one before %d", level, n, last)
		}
		last = n
	}
}

func FuzzAppend(f *testing.F) {
	rnd := rand.New(rand.NewPCG(9, 9))
	for level := range 9 {
		f.Add(mixed(3000, rnd), uint8(level))
	}
	encoders := map[int]*deflate.Encoder{}
	f.Fuzz(func(t *testing.T, src []byte, level uint8) {
		l := 1 + int(level)%9
		if encoders[l] == nil {
			encoders[l] = newEncoder(t, l)
		}
		checkRoundTrip(t, encoders[l], src)
	})
}

func BenchmarkAppend(b *testing.B) {
	src := mixed(256<<10, rand.New(rand.NewPCG(7, 8)))
	for _, level := range []int{1, 4, 6, 9} {
		b.Run(fmt.Sprintf("level=%d", level), func(b *testing.B) {
			e := newEncoder(b, level)
			out := e.Append(nil, src, true)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				out = e.Append(out[:0], src, true)
			}
			b.ReportMetric(float64(len(out))/float64(len(src)), "ratio")
		})
	}
}

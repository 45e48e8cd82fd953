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
	"hindsight/chain/inflate"
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

// checkRoundTrip reads back what Append makes of src, with three decoders.
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
		got := make([]byte, len(src))
		n, used, err := inflate.Inflate(got, out[4:])
		if err != nil || !bytes.Equal(got[:n], src) || used != len(out)-4 {
			t.Fatalf("inflate: %d bytes: got %d, %v, used %d of %d", len(src), n, err, used, len(out)-4)
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
	for level := 1; level <= 9; level++ {
		e := newEncoder(t, level)
		for _, src := range [][]byte{nil, noise, far, make([]byte, 1<<20), bytes.Repeat([]byte("ab"), 70000)} {
			checkRoundTrip(t, e, src)
		}
		if out := e.Append(nil, make([]byte, 1<<20), true); len(out) > 1300 {
			t.Errorf("level %d: 1 MiB of zeros became %d bytes", level, len(out))
		}
	}
}

// A match may be 32768 bytes back and no farther. What lies between is noise without a
// match; what repeats is long enough to be found where noise is searched sparsely.
func TestWindow(t *testing.T) {
	noise := make([]byte, 64<<10)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	const repeat = 2000
	for level := 1; level <= 9; level++ {
		e := newEncoder(t, level)
		for _, at := range []int{0, 1, 7, 3000} {
			for _, dist := range []int{32760, 32767, 32768, 32769, 32775} {
				src := append(bytes.Clone(noise[:at+dist]), noise[at:at+repeat]...)
				checkRoundTrip(t, e, src)
				n := len(e.Append(nil, src, true))
				if found := n < len(src)-repeat/2; found != (dist <= 32768) {
					t.Errorf("level %d: repeat of %d at %d, %d back: %d bytes of %d", level, repeat, at, dist, n, len(src))
				}
			}
		}
	}
}

// What an encoder did before must not show.
func TestIndependence(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for level := 1; level <= 9; level++ {
		used := newEncoder(t, level)
		for range 8 {
			src := mixed(rnd.IntN(100000), rnd)
			got := used.Append(nil, src, true)
			if want := newEncoder(t, level).Append(nil, src, true); !bytes.Equal(got, want) {
				t.Fatalf("level %d: %d bytes became %d, with a new encoder %d", level, len(src), len(got), len(want))
			}
		}
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
	for _, level := range []int{1, 3, 6, 9} {
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

package librsync_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"hindsight/chain/librsync"
)

// delta is what makes p, written in chunks of random length.
func delta(t testing.TB, sig *librsync.Signature, p []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := librsync.NewDeltaWriter(sig, &out)
	writeChunks(t, w, p, 1+len(p)/3)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// checkDelta makes a delta, applies it, and returns the bytes its literals hold and
// its ops.
func checkDelta(t testing.TB, sig, basis, p []byte) (literal int, ops []librsync.Op) {
	t.Helper()
	d := delta(t, read(t, sig), p)
	var out bytes.Buffer
	if err := librsync.Patch(bytes.NewReader(basis), int64(len(basis)), bytes.NewReader(d), &out); err != nil {
		t.Fatalf("patch: %v", err)
	}
	if !bytes.Equal(out.Bytes(), p) {
		t.Fatalf("patched file differs (basis of %d bytes, new file of %d)", len(basis), len(p))
	}
	ops, lits, err := decode(d, len(d))
	if err != nil {
		t.Fatal(err)
	}
	return len(lits), ops
}

// signAs is a signature of any kind, made with the slow sums.
func signAs(p []byte, blockLen int, magic uint32, strong int) []byte {
	out := binary.BigEndian.AppendUint32(nil, magic)
	out = binary.BigEndian.AppendUint32(out, uint32(blockLen))
	out = binary.BigEndian.AppendUint32(out, uint32(strong))
	for len(p) > 0 {
		block := p[:min(blockLen, len(p))]
		p = p[len(block):]
		weak := slowRollsum(block)
		if magic&0x40 != 0 {
			weak = slowRabinKarp(block)
		}
		out = binary.BigEndian.AppendUint32(out, weak)
		if magic&1 != 0 {
			sum := blake2b.Sum256(block)
			out = append(out, sum[:strong]...)
		} else {
			sum := slowMD4(block)
			out = append(out, sum[:strong]...)
		}
	}
	return out
}

func TestDeltaKinds(t *testing.T) {
	basis := random(4, 20000)
	p := bytes.Join([][]byte{[]byte("start"), basis[:7000], []byte("middle"), basis[9000:]}, nil)
	for _, kind := range []struct {
		magic  uint32
		strong int
	}{{0x72730136, 8}, {0x72730136, 16}, {0x72730137, 32}, {0x72730137, 5}, {0x72730146, 16}, {0x72730147, 32}, {0x72730147, 8}} {
		t.Run(fmt.Sprintf("%x-%d", kind.magic, kind.strong), func(t *testing.T) {
			literal, ops := checkDelta(t, signAs(basis, 300, kind.magic, kind.strong), basis, p)
			if literal > 11+3*300 || len(ops) != 4 {
				t.Errorf("%d literal bytes in ops %+v", literal, ops)
			}
		})
	}
}

func TestDeltaShapes(t *testing.T) {
	basis := random(5, 10*1000+345)
	zeros := make([]byte, 50*1000+77)
	join := func(p ...[]byte) []byte { return bytes.Join(p, nil) }
	for name, c := range map[string]struct {
		basis, file  []byte
		literal, ops int // at most
	}{
		"same":                 {basis, basis, 0, 1},
		"empty file":           {basis, nil, 0, 0},
		"empty basis":          {nil, basis, len(basis), 1},
		"both empty":           {nil, nil, 0, 0},
		"appended":             {basis, join(basis, []byte("more")), 4, 2},
		"prepended":            {basis, join([]byte("less"), basis), 4, 2},
		"doubled":              {basis, join(basis, basis), 0, 2},
		"inserted":             {basis, join(basis[:4500], []byte("in"), basis[4500:]), 1002, 3},
		"cut at block":         {basis, basis[:7000], 0, 1},
		"cut in block":         {basis, basis[:7300], 300, 2},
		"short block at end":   {basis, join([]byte("new"), basis[10000:]), 3, 2},
		"short block alone":    {basis, basis[10000:], 0, 1},
		"one short block":      {basis[:345], basis[:345], 0, 1},
		"short block grown":    {basis[:345], join(basis[:345], []byte("xy")), 2, 2},
		"short block and more": {basis[:345], join(basis[:345], random(6, 5000)), 5000, 2},
		"swapped":              {basis, join(basis[5000:], basis[:5000]), 0, 2},
		"zeros":                {zeros, zeros, 0, 1},
		"fewer zeros":          {zeros, zeros[:30000], 0, 1},
		"more zeros":           {zeros, make([]byte, 110*1000), 0, 3},
		"zeros with a hole":    {zeros, join(zeros[:5000], []byte("hole"), zeros[5000:]), 4, 3},
		"zeros edited":         {zeros, join(zeros[:5000], random(7, 1000), zeros[6000:]), 1000, 3},
	} {
		t.Run(name, func(t *testing.T) {
			literal, ops := checkDelta(t, sign(t, c.basis, 1000), c.basis, c.file)
			if literal > c.literal || len(ops) > c.ops {
				t.Errorf("%d literal bytes, %d ops; want at most %d, %d: %+v", literal, len(ops), c.literal, c.ops, ops)
			}
		})
	}
}

// TestDeltaLiterals checks that literals are cut as librsync cuts them, and that
// the buffer is used again and again.
func TestDeltaLiterals(t *testing.T) {
	p := random(8, 1<<20)
	for _, basis := range [][]byte{nil, random(9, 300000)} {
		var longest int64
		var dec librsync.OpDecoder
		err := dec.Decode(delta(t, read(t, sign(t, basis, 512)), p), func(op librsync.Op, _ []byte) error {
			longest = max(longest, op.Len)
			return nil
		})
		if err != nil || longest != librsync.MaxLiteral {
			t.Errorf("longest literal %d (error %v), want %d", longest, err, librsync.MaxLiteral)
		}
		checkDelta(t, sign(t, basis, 512), basis, p)
	}
}

// edit changes p at random, with pieces of itself, of basis and of noise.
func edit(rnd *rand.Rand, basis []byte) []byte {
	p := bytes.Clone(basis)
	for range rnd.IntN(6) {
		at := rnd.IntN(len(p) + 1)
		end := min(len(p), at+rnd.IntN(200))
		var piece []byte
		switch rnd.IntN(4) {
		case 0:
			piece = random(rnd.Uint64(), rnd.IntN(300))
		case 1:
			from := rnd.IntN(len(basis) + 1)
			piece = basis[from:min(len(basis), from+rnd.IntN(1000))]
		case 2:
			piece = make([]byte, rnd.IntN(300))
		}
		p = bytes.Join([][]byte{p[:at], piece, p[end:]}, nil)
	}
	return p
}

func TestRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		basis := random(rnd.Uint64(), rnd.IntN(4000))
		if rnd.IntN(3) == 0 {
			for i := range basis {
				basis[i] &= 1 // few values: weak sums collide, blocks repeat
			}
		}
		blockLen := 1 + rnd.IntN(1+rnd.IntN(300))
		magic := uint32(0x72730136)
		if rnd.IntN(2) == 0 {
			magic = 0x72730147
		}
		checkDelta(t, signAs(basis, blockLen, magic, 8), basis, edit(rnd, basis))
	}
}

func TestDeltaWriterReset(t *testing.T) {
	basis := random(1, 5000)
	sig := read(t, sign(t, basis, 100))
	w := librsync.NewDeltaWriter(sig, io.Discard)
	writeChunks(t, w, random(2, 300000), 5000)
	var out bytes.Buffer
	w.Reset(sig, &out)
	writeChunks(t, w, basis, 700)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if want := delta(t, sig, basis); !bytes.Equal(out.Bytes(), want) {
		t.Errorf("delta after Reset %x, want %x", out.Bytes(), want)
	}
	if _, err := w.Write([]byte{1}); err == nil {
		t.Error("Write after Close succeeded")
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestSharedSignature has writers search one signature at once, for -race.
func TestSharedSignature(t *testing.T) {
	basis := random(1, 100000)
	sig := read(t, sign(t, basis, 512))
	want := delta(t, sig, basis[1000:])
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			if got := delta(t, sig, basis[1000:]); !bytes.Equal(got, want) {
				t.Errorf("delta %x, want %x", got, want)
			}
		})
	}
}

func TestDeltaWriterError(t *testing.T) {
	want := errors.New("disk full")
	w := librsync.NewDeltaWriter(read(t, sign(t, nil, 512)), &failAfter{100000, want})
	var err error
	for i := 0; i < 1000 && err == nil; i++ {
		_, err = w.Write(make([]byte, 1024))
	}
	if cerr := w.Close(); !errors.Is(err, want) || !errors.Is(cerr, want) {
		t.Errorf("Write = %v, Close = %v, want %v from both", err, cerr, want)
	}
	w.Reset(read(t, sign(t, nil, 512)), &failAfter{0, want})
	if err := w.Close(); !errors.Is(err, want) {
		t.Errorf("Close = %v, want %v", err, want)
	}
}

// TestCraftedSignature has weak sums that match at each byte of the file and strong
// sums that never do: the work has to stay linear.
func TestCraftedSignature(t *testing.T) {
	p := make([]byte, 2<<20)
	const blockLen = 64 << 10
	sig := bytes.Clone(sign(t, p[:2*blockLen], blockLen))
	for i := 12 + 4; i < len(sig); i++ {
		if (i-12)%12 >= 4 {
			sig[i] ^= byte(i)
		}
	}
	start := time.Now()
	literal, _ := checkDelta(t, sig, nil, p)
	if literal != len(p) {
		t.Errorf("%d of %d bytes literal", literal, len(p))
	}
	// Unbounded it sums 128 GiB, which takes minutes.
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

// TestManyEqualWeakSums builds a table of one weak sum, which probing must survive.
func TestManyEqualWeakSums(t *testing.T) {
	sig := []byte("rs\x01\x36\x00\x00\x02\x00\x00\x00\x00\x08")
	for i := range uint64(200000) {
		sig = append(sig, 0, 0, 0, 0)
		sig = binary.BigEndian.AppendUint64(sig, i)
	}
	p := random(1, 1<<20)
	if literal, _ := checkDelta(t, sig, nil, p); literal != len(p) {
		t.Errorf("%d of %d bytes literal", literal, len(p))
	}
}

func FuzzRoundTrip(f *testing.F) {
	basis := random(1, 500)
	f.Add(basis, append(basis[20:300:300], basis[100:]...), 16, false)
	f.Add([]byte("aaaaaaaabbbbbbbb"), []byte("bbbbaaaaaab"), 3, true)
	f.Add(make([]byte, 100), make([]byte, 90), 7, false)
	f.Add([]byte{}, []byte{}, 1, true)
	f.Fuzz(func(t *testing.T, basis, file []byte, blockLen int, poly bool) {
		if blockLen < 1 || blockLen > 1<<16 {
			return
		}
		magic := uint32(0x72730136)
		if poly {
			magic = 0x72730146
		}
		sig := signAs(basis, blockLen, magic, 8)
		if !poly && !bytes.Equal(sig, sign(t, basis, blockLen)) {
			t.Fatal("signature differs from the slow one")
		}
		checkDelta(t, sig, basis, file)
	})
}

func BenchmarkDelta(b *testing.B) {
	const size, block = 64 << 20, 2048
	basis := random(1, size)
	scattered := bytes.Clone(basis)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range size / block / 20 {
		scattered[rnd.IntN(size)]++
	}
	for _, c := range []struct {
		name  string
		magic uint32
		file  []byte
	}{
		{"edit=tail", 0x72730136, append(basis[:size-100000:size-100000], random(2, 100000)...)},
		{"edit=insert", 0x72730136, append(append(basis[:1000:1000], 'x'), basis[1000:]...)},
		{"edit=scattered", 0x72730136, scattered},
		{"edit=none-matching", 0x72730136, random(3, size)},
		{"edit=none-matching-rabinkarp", 0x72730146, random(3, size)},
		{"edit=zeros", 0x72730136, make([]byte, size)},
	} {
		b.Run(c.name, func(b *testing.B) {
			sig := read(b, signAs(basis, block, c.magic, 8))
			b.SetBytes(int64(len(c.file)))
			b.ReportAllocs()
			defer reportCPU(b, len(c.file))()
			for b.Loop() {
				w := librsync.NewDeltaWriter(sig, io.Discard)
				for p := c.file; len(p) > 0; {
					n := min(len(p), 32<<10)
					if _, err := w.Write(p[:n]); err != nil {
						b.Fatal(err)
					}
					p = p[n:]
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package librsync_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"hindsight/chain/librsync"
)

const noLimit = 1 << 40

func TestBlockLen(t *testing.T) {
	for _, c := range []struct {
		size     int64
		maxBlock int
		want     int
	}{
		{-1, 0, 512}, {0, 0, 512}, {1, 0, 512}, {512 * 512, 0, 512},
		{512*512 + 1, 0, 512}, {513 * 513, 0, 1024}, {513*513 - 1, 0, 512},
		{1024000, 0, 1024}, {1100000, 0, 1536}, {2457600, 0, 2048},
		{2457600, 1024, 1024}, {2457600, 513, 1024}, {2457600, 1, 512}, {2457600, 1 << 20, 2048},
		{1 << 40, 0, 1 << 20}, {1 << 40, 2048, 2048},
		{1<<60 - 1, 0, librsync.MaxBlockLen}, {1<<63 - 1, 0, librsync.MaxBlockLen},
		{1<<63 - 1, 1<<63 - 1, librsync.MaxBlockLen},
	} {
		if got := librsync.BlockLen(c.size, c.maxBlock); got != c.want {
			t.Errorf("BlockLen(%d, %d) = %d, want %d", c.size, c.maxBlock, got, c.want)
		}
	}
}

// sign is the signature of p, written in chunks of random length.
func sign(t testing.TB, p []byte, blockLen int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := librsync.NewSignatureWriter(&out, blockLen)
	writeChunks(t, w, p, 1+len(p)/3)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func writeChunks(t testing.TB, w io.Writer, p []byte, longest int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(len(p)), uint64(longest)))
	for len(p) > 0 {
		n := min(len(p), 1+rnd.IntN(longest))
		if got, err := w.Write(p[:n]); err != nil || got != n {
			t.Fatalf("Write of %d bytes = %d, %v", n, got, err)
		}
		p = p[n:]
	}
}

func read(t testing.TB, sig []byte) *librsync.Signature {
	t.Helper()
	s, err := librsync.ReadSignature(bytes.NewReader(sig), noLimit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignatureWriter(t *testing.T) {
	for _, blockLen := range []int{1, 7, 64, 512, 1536} {
		for _, size := range []int{0, 1, blockLen - 1, blockLen, blockLen + 1, 2*blockLen - 1, 2 * blockLen, 7*blockLen + 3} {
			p := random(uint64(size), size)
			want := []byte{0x72, 0x73, 0x01, 0x36, 0, 0, byte(blockLen >> 8), byte(blockLen), 0, 0, 0, 8}
			for rest := p; len(rest) > 0; {
				block := rest[:min(blockLen, len(rest))]
				weak, strong := slowRollsum(block), slowMD4(block)
				want = append(want, byte(weak>>24), byte(weak>>16), byte(weak>>8), byte(weak))
				want = append(want, strong[:8]...)
				rest = rest[len(block):]
			}
			if got := sign(t, p, blockLen); !bytes.Equal(got, want) {
				t.Errorf("block %d, size %d: signature\n%x, want\n%x", blockLen, size, got, want)
			}
			if got := librsync.SignatureSize(int64(size), blockLen); got != int64(len(want)) {
				t.Errorf("SignatureSize(%d, %d) = %d, want %d", size, blockLen, got, len(want))
			}
		}
	}
}

func TestSignatureWriterReset(t *testing.T) {
	var first, second bytes.Buffer
	w := librsync.NewSignatureWriter(&first, 100)
	writeChunks(t, w, random(1, 1050), 300)
	w.Reset(&second, 50) // with bytes carried and sums not yet written
	p := random(2, 333)
	writeChunks(t, w, p, 40)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if want := sign(t, p, 50); !bytes.Equal(second.Bytes(), want) {
		t.Errorf("signature after Reset\n%x, want\n%x", second.Bytes(), want)
	}
	if _, err := w.Write([]byte{1}); err == nil {
		t.Error("Write after Close succeeded")
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// failAfter fails with err once n bytes went through.
type failAfter struct {
	n   int
	err error
}

func (f *failAfter) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestSignatureWriterError(t *testing.T) {
	want := errors.New("disk full")
	w := librsync.NewSignatureWriter(&failAfter{10000, want}, 16)
	var err error
	for range 1000 {
		if _, err = w.Write(make([]byte, 1024)); err != nil {
			break
		}
	}
	if !errors.Is(err, want) || !errors.Is(w.Close(), want) {
		t.Errorf("Write = %v, Close = %v, want %v from both", err, w.Close(), want)
	}
}

func TestReadSignature(t *testing.T) {
	for _, size := range []int{0, 1, 512, 513, 32 * 512, 33 * 512, 4096 * 512, 4096*512 + 1, 9000*512 + 5} {
		p := random(9, size)
		sig := sign(t, p, 512)
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(sig),
			"bytes": iotest.OneByteReader(bytes.NewReader(sig)),
			"eof":   iotest.DataErrReader(bytes.NewReader(sig)),
		} {
			s, err := librsync.ReadSignature(r, noLimit)
			if err != nil {
				t.Fatalf("size %d, %s: %v", size, name, err)
			}
			if s.Blocks() != (size+511)/512 || s.BlockLen() != 512 || s.StrongLen() != 8 {
				t.Errorf("size %d, %s: %d blocks of %d, strong %d", size, name, s.Blocks(), s.BlockLen(), s.StrongLen())
			}
		}
	}
}

func TestReadSignatureErrors(t *testing.T) {
	good := string(sign(t, random(1, 5000), 512))
	reading := errors.New("connection reset")
	var corrupt *librsync.CorruptError
	for name, c := range map[string]struct {
		in   string
		then error // instead of the end
		is   error // nil: a CorruptError
	}{
		"empty":             {"", nil, io.ErrUnexpectedEOF},
		"header cut":        {good[:11], nil, io.ErrUnexpectedEOF},
		"block cut":         {good[:30], nil, io.ErrUnexpectedEOF},
		"reader cut":        {good[:36], io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		"reader fails":      {good[:36], reading, reading},
		"reader fails soon": {good[:4], reading, reading},
		"magic":             {"rs\x026" + good[4:], nil, nil},
		"block length 0":    {good[:4] + "\x00\x00\x00\x00" + good[8:], nil, nil},
		"block length high": {good[:4] + "\x40\x00\x00\x01" + good[8:], nil, nil},
		"strong 0":          {good[:8] + "\x00\x00\x00\x00" + good[12:], nil, nil},
		"strong 17":         {good[:8] + "\x00\x00\x00\x11" + good[12:], nil, nil},
		"strong negative":   {good[:8] + "\xff\xff\xff\xff" + good[12:], nil, nil},
		"blake2 strong 33":  {"rs\x01\x37" + good[4:8] + "\x00\x00\x00\x21" + good[12:], nil, nil},
	} {
		var r io.Reader = strings.NewReader(c.in)
		if c.then != nil {
			r = io.MultiReader(r, iotest.ErrReader(c.then))
		}
		_, err := librsync.ReadSignature(r, noLimit)
		if c.is != nil && !errors.Is(err, c.is) || c.is == nil && !errors.As(err, &corrupt) {
			t.Errorf("%s: got error %v, want %v", name, err, c.is)
		}
	}
}

// endless is a signature that does not end.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read += int64(len(p))
	return len(p), nil
}

func TestReadSignatureLimit(t *testing.T) {
	p := random(1, 100000)
	sig := sign(t, p, 512)
	blocks := int64((len(p) + 511) / 512)
	enough := 2*512 + 21*blocks
	if _, err := librsync.ReadSignature(bytes.NewReader(sig), enough); err != nil {
		t.Errorf("limit of %d bytes: %v", enough, err)
	}
	for _, limit := range []int64{-1, 0, 1023, enough - 1} {
		if _, err := librsync.ReadSignature(bytes.NewReader(sig), limit); !errors.Is(err, librsync.ErrTooLarge) {
			t.Errorf("limit of %d bytes: error %v, want ErrTooLarge", limit, err)
		}
	}
	var more endless
	_, err := librsync.ReadSignature(io.MultiReader(bytes.NewReader(sig), &more), 1<<20)
	if !errors.Is(err, librsync.ErrTooLarge) || more.read > 2<<20 {
		t.Errorf("endless signature: error %v after %d bytes", err, more.read)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add(sign(f, random(1, 3000), 512), []byte("some new file"))
	f.Add(sign(f, make([]byte, 100), 7), make([]byte, 50))
	f.Add([]byte("rs\x01\x46\x00\x00\x00\x02\x00\x00\x00\x01aaaabaaaac"), []byte("abababab"))
	f.Add([]byte("rs\x01\x37\x00\x00\x00\x01\x00\x00\x00\x01aaaabaaaab"), []byte{0, 0, 1})
	seeds(f, "*.sigtar.gz", "signature/", func(p []byte) { f.Add(p, random(1, 100)) })
	f.Fuzz(func(t *testing.T, sig, data []byte) {
		s, err := librsync.ReadSignature(bytes.NewReader(sig), 1<<22)
		if err != nil {
			return
		}
		if got := 12 + s.Blocks()*(4+s.StrongLen()); got != len(sig) {
			t.Fatalf("%d blocks read from %d bytes", s.Blocks(), len(sig))
		}
		w := librsync.NewDeltaWriter(s, io.Discard)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkSignature(b *testing.B) {
	p := random(1, 64<<20)
	for _, c := range []struct {
		name         string
		block, chunk int
	}{
		{"block=2K/chunk=32K", 2048, 32 << 10},
		{"block=512/chunk=32K", 512, 32 << 10},
		{"block=1536/chunk=32K", 1536, 32 << 10},
		{"block=64K/chunk=32K", 64 << 10, 32 << 10},
		{"block=2K/chunk=1M", 2048, 1 << 20},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			defer reportCPU(b, len(p))()
			w := librsync.NewSignatureWriter(io.Discard, c.block)
			for b.Loop() {
				w.Reset(io.Discard, c.block)
				for i := 0; i < len(p); i += c.chunk {
					if _, err := w.Write(p[i : i+c.chunk]); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadSignature(b *testing.B) {
	sig := sign(b, random(1, 64<<20), 512)
	b.SetBytes(int64(len(sig)))
	b.ReportAllocs()
	for b.Loop() {
		read(b, sig)
	}
}

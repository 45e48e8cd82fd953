package inflate_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	kpflate "github.com/klauspost/compress/flate"

	"hindsight/chain/treetest"
)

// stream is raw DEFLATE data and what it decodes to.
type stream struct {
	name       string
	plain, raw []byte
}

// oracle decodes a stream the slow way, with the standard library. used counts the
// bytes of raw up to the end of the stream.
func oracle(raw []byte) (plain []byte, used int, err error) {
	src := bytes.NewReader(raw)
	plain, err = io.ReadAll(flate.NewReader(src))
	return plain, len(raw) - src.Len(), err
}

// plains are inputs of the kinds that reach different paths of the decoder.
var plains = sync.OnceValue(makePlains)

func makePlains() []stream {
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 80_000)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	var text, words []byte
	for range 2000 {
		w := make([]byte, 1+rng.IntN(9))
		for i := range w {
			w[i] = 'a' + byte(rng.IntN(26)*rng.IntN(26)/26)
		}
		words = append(words, w...)
		words = append(words, ' ')
	}
	for len(text) < 400_000 {
		i := rng.IntN(len(words) - 40)
		text = append(text, words[i:i+rng.IntN(40)]...)
	}
	var periods []byte
	for d := 1; d <= 70; d++ {
		periods = append(periods, bytes.Repeat(random[d:2*d], 600/d+1)...)
		periods = append(periods, random[:d]...)
	}
	skewed := make([]byte, 150_000) // codes of all lengths up to 15
	for i := range skewed {
		for skewed[i] < 255 && rng.IntN(3) != 0 {
			skewed[i]++
		}
	}
	sparse := bytes.Clone(random) // flat blocks with a match now and then
	for i := 400; i+20 < len(sparse); i += 200 + rng.IntN(400) {
		copy(sparse[i:i+20], sparse[i-rng.IntN(300)-21:])
	}
	return []stream{
		{name: "empty"},
		{name: "byte", plain: []byte{'x'}},
		{name: "zeros", plain: make([]byte, 400_000)},
		{name: "random", plain: random},
		{name: "text", plain: text},
		{name: "sparse", plain: sparse},
		{name: "periods", plain: periods},
		{name: "skewed", plain: skewed},
		{name: "mixed", plain: bytes.Join([][]byte{random[:50_000], text[:100_000], skewed[:50_000], random[:40_000]}, nil)},
	}
}

// streams compresses plains in every way that the two encoders have.
func streams(tb testing.TB) []stream {
	tb.Helper()
	compressOnce.Do(func() { compressAll = compressPlains(tb) })
	if len(compressAll) == 0 {
		tb.Fatal("an earlier test could not make the streams")
	}
	return compressAll
}

var (
	compressOnce sync.Once
	compressAll  []stream
)

func compressPlains(tb testing.TB) (all []stream) {
	tb.Helper()
	for _, p := range plains() {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
			var buf bytes.Buffer
			w, err := flate.NewWriter(&buf, level)
			writeAll(tb, w, err, p.plain)
			all = append(all, stream{fmt.Sprintf("%s/std%d", p.name, level), p.plain, buf.Bytes()})
		}
		for _, level := range []int{1, 5, 9} {
			var buf bytes.Buffer
			w, err := kpflate.NewWriter(&buf, level)
			writeAll(tb, w, err, p.plain)
			all = append(all, stream{fmt.Sprintf("%s/kp%d", p.name, level), p.plain, buf.Bytes()})
		}
	}
	return all
}

// writeAll compresses p with a flush somewhere inside.
func writeAll(tb testing.TB, w interface {
	io.WriteCloser
	Flush() error
}, err error, p []byte) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	for _, part := range [][]byte{p[:len(p)/3], p[len(p)/3:]} {
		if _, err := w.Write(part); err != nil {
			tb.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

// goldenStreams are the raw streams of gzip objects that duplicity wrote.
func goldenStreams(tb testing.TB) (all []stream) {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(treetest.Fixtures(tb), "*", "repo", "*.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	if testing.Short() {
		names = names[:len(names)/8]
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		raw, ok := gzipBody(data)
		if !ok {
			continue // damaged on purpose
		}
		plain, used, err := oracle(raw)
		if err != nil {
			continue
		}
		all = append(all, stream{filepath.Base(name), plain, raw[:used]})
	}
	if len(all) == 0 {
		tb.Fatal("no gzip object among the golden repositories")
	}
	return all
}

// gzipBody cuts the header off a gzip file (RFC 1952 §2.3).
func gzipBody(data []byte) ([]byte, bool) {
	if len(data) < 18 || data[0] != 0x1f || data[1] != 0x8b {
		return nil, false
	}
	flags, body := data[3], data[10:]
	if flags&4 != 0 {
		n := 2 + int(binary.LittleEndian.Uint16(body))
		if n > len(body) {
			return nil, false
		}
		body = body[n:]
	}
	for _, flag := range []byte{8, 16} { // name, comment
		if flags&flag != 0 {
			_, rest, ok := bytes.Cut(body, []byte{0})
			if !ok {
				return nil, false
			}
			body = rest
		}
	}
	return body, true
}

// same fails the test at the first byte that differs.
func same(tb testing.TB, got, want []byte) {
	tb.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	tb.Fatalf("got %d bytes, want %d; the first difference is at %d", len(got), len(want), i)
}

// run gives input to a tool and returns its output. HOME among its arguments is a
// folder of its own.
func run(tb testing.TB, command []string, input []byte) []byte {
	tb.Helper()
	args := slices.Clone(command[1:])
	if i := slices.Index(args, "HOME"); i >= 0 {
		args[i] = tb.TempDir()
	}
	cmd := exec.Command(command[0], args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%s: %v: %s", command[0], err, stderr.Bytes())
	}
	return out
}

// gpgStore makes gpg compress without encryption: a compressed packet of old format
// and indeterminate length, with gpgHead bytes of tag and algorithm before the
// stream (RFC 4880 §5.6).
var gpgStore = []string{"gpg", "--homedir", "HOME", "--batch", "--quiet", "--no-options", "-z6", "--compress-algo", "zip", "--store", "-o", "-"}

const gpgHead = 2

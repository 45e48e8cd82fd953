package inflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/inflate"
)

func TestInflate(t *testing.T) {
	for _, s := range streams(t) {
		t.Run(s.name, func(t *testing.T) {
			dst := make([]byte, len(s.plain))
			n, used, err := inflate.Inflate(dst, append(s.raw[:len(s.raw):len(s.raw)], "what follows"...))
			if err != nil || n != len(s.plain) || used != len(s.raw) {
				t.Fatalf("Inflate = %d, %d, %v; want %d, %d, no error", n, used, err, len(s.plain), len(s.raw))
			}
			same(t, dst, s.plain)
		})
	}
}

func TestInflateGolden(t *testing.T) {
	for _, s := range goldenStreams(t) {
		dst := make([]byte, len(s.plain)+100)
		n, used, err := inflate.Inflate(dst, s.raw)
		if err != nil || used != len(s.raw) {
			t.Fatalf("%s: used %d of %d, %v", s.name, used, len(s.raw), err)
		}
		same(t, dst[:n], s.plain)
	}
}

// TestInflateBounds: nothing is written behind dst, and no match reads before it,
// whatever stands there.
func TestInflateBounds(t *testing.T) {
	const margin = 512
	for _, s := range streams(t) {
		for _, size := range []int{len(s.plain), len(s.plain) / 3, min(len(s.plain), 300)} {
			whole := bytes.Repeat([]byte{0xaa}, margin+size+margin)
			n, _, err := inflate.Inflate(whole[margin:margin+size], s.raw)
			if err != nil && err != io.ErrShortBuffer {
				t.Fatalf("%s: %v", s.name, err)
			}
			same(t, whole[margin:margin+n], s.plain[:n])
			for _, edge := range [][]byte{whole[:margin], whole[margin+size:]} {
				if bytes.Count(edge, []byte{0xaa}) != margin {
					t.Fatalf("%s with %d bytes of room: written beyond", s.name, size)
				}
			}
		}
	}
}

// TestInflateFull: what fits a short buffer is decoded, up to the last byte.
func TestInflateFull(t *testing.T) {
	for _, s := range streams(t) {
		for _, size := range []int{0, 1, 100, 1000, len(s.plain) / 2, len(s.plain) - 1} {
			if size < 0 || size >= len(s.plain) {
				continue
			}
			dst := make([]byte, size)
			n, _, err := inflate.Inflate(dst, s.raw)
			if n != size || err != io.ErrShortBuffer {
				t.Fatalf("%s: %d bytes of room: got %d, %v", s.name, size, n, err)
			}
			same(t, dst, s.plain[:size])
		}
	}
}

// TestInflateCut: a stream cut short is never whole, and gives a prefix.
func TestInflateCut(t *testing.T) {
	for _, s := range streams(t) {
		dst := make([]byte, len(s.plain))
		cuts := 50
		if testing.Short() {
			cuts = 5
		}
		step := max(len(s.raw)/cuts, 1)
		for cut := 0; cut < len(s.raw); cut += step {
			n, _, err := inflate.Inflate(dst, s.raw[:cut])
			between := err == nil && n <= len(s.plain) // the flush was met
			if err != io.ErrUnexpectedEOF && !between {
				t.Fatalf("%s cut to %d: error %v", s.name, cut, err)
			}
			same(t, dst[:n], s.plain[:n])
		}
	}
}

// TestInflatePieces: pieces that each end by a full flush decode alone.
func TestInflatePieces(t *testing.T) {
	w, err := flate.NewWriter(nil, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plains() {
		for part := range slices.Chunk(p.plain, 50_000) {
			var buf bytes.Buffer
			w.Reset(&buf)
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			dst := make([]byte, len(part))
			n, used, err := inflate.Inflate(dst, buf.Bytes())
			if err != nil || used != buf.Len() {
				t.Fatalf("%s: used %d of %d, %v", p.name, used, buf.Len(), err)
			}
			same(t, dst[:n], part)
		}
	}
}

func TestCorrupt(t *testing.T) {
	for _, v := range []struct {
		name, reason string
		raw          []byte
	}{
		{"block type 3", "reserved block type", []byte{0x07}},
		{"stored length", "complement", []byte{0x01, 5, 0, 5, 0}},
		{"287 codes", "too many codes", []byte{0x05 | 30<<3, 0x00, 0x00}},
		{"31 distances", "too many codes", []byte{0x05, 30, 0x00}},
		{"no code lengths", "invalid Huffman code", []byte{0x05, 0, 0, 0, 0, 0, 0, 0}},
		{"distance too far", "distance", []byte{0x03, 0x02, 0x00, 0x00}},
		{"reserved length", "no code", []byte{0x1b, 0x03, 0x00}},
	} {
		t.Run(v.name, func(t *testing.T) {
			_, _, want := oracle(v.raw)
			var corrupt *inflate.CorruptError
			_, _, err := inflate.Inflate(make([]byte, 100), v.raw)
			if !errors.As(err, &corrupt) || !strings.Contains(corrupt.Reason, v.reason) {
				t.Fatalf("got %v, want %q", err, v.reason)
			}
			if !errors.As(want, new(flate.CorruptInputError)) {
				t.Fatalf("the standard library says %v", want)
			}
		})
	}
}

// FuzzInflate: the same data is accepted and refused as by the standard library,
// with the same output, whether it comes at once or in pieces.
func FuzzInflate(f *testing.F) {
	for _, s := range streams(f) {
		if len(s.raw) < 4000 {
			f.Add(s.raw, uint16(7))
		} else {
			f.Add(s.raw[:3000], uint16(1000))
		}
	}
	for _, s := range goldenStreams(f) {
		f.Add(s.raw[:min(len(s.raw), 3000)], uint16(100))
	}
	f.Fuzz(func(t *testing.T, raw []byte, chunk uint16) {
		want, wantUsed, wantErr := oracleLimit(raw)
		got, used, err := decodeChunks(raw, int(chunk)+1)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("got error %v, the standard library %v", err, wantErr)
		}
		if err == nil && len(want) < fuzzLimit && used != wantUsed {
			t.Fatalf("used %d bytes, want %d", used, wantUsed)
		}
		if err == io.ErrUnexpectedEOF || wantErr == io.ErrUnexpectedEOF {
			// The standard library wants as many bits as an end of block has
			// before it looks at a symbol, so it may stop earlier; and it
			// calls some data cut short that is also invalid.
			n := min(len(got), len(want))
			got, want = got[:n], want[:n]
		}
		same(t, got, want)
	})
}

// fuzzLimit bounds the output of one fuzzed stream, in bytes.
const fuzzLimit = 1 << 20

func oracleLimit(raw []byte) ([]byte, int, error) {
	src := bytes.NewReader(raw)
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(src), fuzzLimit))
	return plain, len(raw) - src.Len(), err
}

// decodeChunks runs a Decoder over pieces of the input, with room for pieces of the
// output.
func decodeChunks(raw []byte, chunk int) (plain []byte, used int, err error) {
	var d inflate.Decoder
	buf := make([]byte, inflate.WindowSize+300+chunk%1000)
	n, avail := 0, 0
	for {
		m, in, err := d.Decode(buf, n, raw[used:used+avail])
		plain = append(plain, buf[n:m]...)
		n = m
		used += in
		avail -= in
		switch {
		case len(plain) >= fuzzLimit:
			return plain[:fuzzLimit], used, nil
		case err == inflate.ErrShortDst:
			keep := min(n, inflate.WindowSize)
			n = copy(buf, buf[n-keep:n])
		case err == inflate.ErrShortSrc:
			if used+avail == len(raw) {
				return plain, used, io.ErrUnexpectedEOF
			}
			avail = min(avail+chunk, len(raw)-used)
		case err == io.EOF:
			return plain, used, nil
		default:
			return plain, used, err
		}
	}
}

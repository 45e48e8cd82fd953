package inflate_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/inflate"
)

// bitString writes a stream bit by bit.
type bitString struct {
	data []byte
	n    int
}

// number adds a field, lowest bit first.
func (b *bitString) number(v, bits int) {
	for i := range bits {
		if b.n&7 == 0 {
			b.data = append(b.data, 0)
		}
		b.data[b.n>>3] |= byte(v>>i&1) << (b.n & 7)
		b.n++
	}
}

// code adds a Huffman code, written as zeros and ones.
func (b *bitString) code(codes ...string) {
	for _, c := range codes {
		for _, bit := range c {
			b.number(int(bit-'0'), 1)
		}
	}
}

// dynamic adds the header of a last block with these lengths of codes, each length
// in a code of four bits, or as given in codes of 16 (five bits: 11111) and 0 to 14.
func (b *bitString) dynamic(lit, dist []int, repeats ...string) {
	b.number(1|2<<1, 3)
	b.number(len(lit)-257, 5)
	b.number(len(dist)-1, 5)
	b.number(19-4, 4)
	for _, s := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		switch {
		case len(repeats) > 0 && s >= 15 && s <= 16:
			b.number(5, 3)
		case s < 16:
			b.number(4, 3)
		default:
			b.number(0, 3)
		}
	}
	if len(repeats) > 0 {
		b.code(repeats...)
		return
	}
	for _, l := range append(append([]int{}, lit...), dist...) {
		for i := range 4 {
			b.number(l>>(3-i), 1)
		}
	}
}

// lengths makes a list of n lengths of codes from pairs of symbol and length.
func lengths(n int, pairs ...int) []int {
	list := make([]int, n)
	for i := 0; i < len(pairs); i += 2 {
		list[pairs[i]] = pairs[i+1]
	}
	return list
}

// TestCodes: codes that are complete, or not, near what is allowed. Their symbols
// are followed by enough for the fast loop to meet them, or by nothing.
func TestCodes(t *testing.T) {
	// 0 is "a", 10 the end, 11 a match of three bytes
	lit := lengths(258, 'a', 1, 256, 2, 257, 2)
	for _, v := range []struct {
		name, reason string // no reason: valid
		lit, dist    []int
		symbols      []string
	}{
		{"no distance", "", lit, []int{0}, []string{"0", "0", "10"}},
		{"no distance, used", "no code", lit, []int{0}, []string{"0", "0", "11", "0"}},
		{"one distance", "", lit, []int{1}, []string{"0", "0", "11", "0", "10"}},
		{"one distance, other used", "no code", lit, []int{1}, []string{"0", "0", "11", "1"}},
		{"one distance of two bits", "Huffman", lit, []int{2}, nil},
		{"three distances of two bits", "Huffman", lit, []int{2, 2, 2}, nil},
		{"three distances of one bit", "Huffman", lit, []int{1, 1, 1}, nil},
		{"long distances", "", lit, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10}, []string{"0", "11", "0", "0", "11", "10", "10"}},
		{"long distance too far", "distance", lit, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10}, []string{"0", "11", "1111111110", "000"}},
		{"end only", "", lengths(257, 256, 1), []int{0}, []string{"0"}},
		{"end only, other used", "no code", lengths(257, 256, 1), []int{0}, []string{"1"}},
		{"no end", "no code", lengths(257, 'a', 1), []int{0}, []string{"0", "0", "1"}},
		{"no codes", "no code", lengths(257), []int{0}, []string{"0"}},
		{"one code of two bits", "Huffman", lengths(257, 256, 2), []int{0}, nil},
		{"too many codes of one bit", "Huffman", lengths(257, 'a', 1, 'b', 1, 256, 1), []int{0}, nil},
		{"codes of 15 bits", "", lengths(257, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 256, 15), []int{0},
			[]string{"0", strings.Repeat("1", 14) + "0", "1111111111110", strings.Repeat("1", 15)}},
	} {
		for _, follow := range []int{8, 100} {
			var b bitString
			b.dynamic(v.lit, v.dist)
			b.code(v.symbols...)
			checkStream(t, v.name, append(b.data, make([]byte, follow)...), v.reason)
		}
	}
}

func TestRepeats(t *testing.T) {
	for _, v := range []struct {
		name, reason string
		codes        []string
	}{
		{"repeat nothing", "repeated", []string{"11111", "00"}},
		{"repeat beyond the end", "repeated", append(slices.Repeat([]string{"0000"}, 255), "0001", "11111", "11")},
		{"repeat into the distances", "", append(slices.Repeat([]string{"0000"}, 255), "0001", "11111", "00", "1")},
	} {
		var b bitString
		b.dynamic(make([]int, 257), make([]int, 2), v.codes...)
		checkStream(t, v.name, append(b.data, make([]byte, 100)...), v.reason)
	}
}

// checkStream compares a stream with the standard library's reading of it, and the
// reason of an error.
func checkStream(t *testing.T, name string, raw []byte, reason string) {
	t.Helper()
	want, wantUsed, wantErr := oracle(raw)
	if (wantErr == nil) != (reason == "") {
		t.Fatalf("%s: the standard library says %v", name, wantErr)
	}
	got := make([]byte, 1000)
	n, used, err := inflate.Inflate(got, raw)
	if reason == "" && (err != nil || used != wantUsed) {
		t.Errorf("%s: used %d bytes, want %d: error %v", name, used, wantUsed, err)
	}
	var corrupt *inflate.CorruptError
	if reason != "" && (!errors.As(err, &corrupt) || !strings.Contains(err.Error(), reason)) {
		t.Errorf("%s: error %v, want %q", name, err, reason)
	}
	if !bytes.Equal(got[:n], want) {
		t.Errorf("%s: got %q, want %q", name, got[:n], want)
	}
}

// TestDecoderSticks: the end and an error are final; ErrShortDst inside a match is
// not, and can be had again.
func TestDecoderSticks(t *testing.T) {
	var d inflate.Decoder
	raw := compress(t, make([]byte, 1000))
	dst := make([]byte, 1000)
	n, used, err := d.Decode(dst[:100], 0, raw)
	for range 2 {
		if n != 100 || err != inflate.ErrShortDst {
			t.Fatalf("got %d, %v", n, err)
		}
		var more int
		n, more, err = d.Decode(dst[:100], n, raw[used:])
		used += more
	}
	for range 2 {
		var more int
		n, more, err = d.Decode(dst, n, raw[used:])
		used += more
		if n != 1000 || used != len(raw) || err != io.EOF {
			t.Fatalf("got %d bytes from %d, %v", n, used, err)
		}
	}
	same(t, dst, make([]byte, 1000))

	d.Reset()
	_, _, first := d.Decode(dst, 0, []byte{7})
	if _, _, err := d.Decode(dst, 0, raw); err == nil || err != first {
		t.Errorf("after %v: %v", first, err)
	}
}

package librsync_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"hindsight/chain/librsync"
)

const deltaMagic = "rs\x026"

// decode feeds delta in chunks of n bytes and joins the runs of a literal again.
func decode(delta []byte, n int) (ops []librsync.Op, literal []byte, err error) {
	var dec librsync.OpDecoder
	emit := func(op librsync.Op, lit []byte) error {
		literal = append(literal, lit...)
		if last := len(ops) - 1; !op.Copy && last >= 0 && !ops[last].Copy && ops[last].Pos+ops[last].Len == op.Pos {
			ops[last].Len += op.Len
			return nil
		}
		ops = append(ops, op)
		return nil
	}
	for len(delta) > 0 {
		k := min(n, len(delta))
		if err := dec.Decode(delta[:k], emit); err != nil {
			return ops, literal, err
		}
		delta = delta[k:]
	}
	return ops, literal, dec.Close()
}

func TestOpDecoder(t *testing.T) {
	long := strings.Repeat("x", 300)
	delta := deltaMagic +
		"\x03abc" +
		"\x45\x07\x09" + // copy, widths 1 and 1
		"\x41\x02de" +
		"\x4b\x01\x00\x00\x00\x00\x05" + // widths 2 and 4
		"\x42\x01\x2c" + long +
		"\x54\x00\x00\x00\x01\x00\x00\x00\x00\x7f\xff\xff\xfe\xff\xff\xff\xff" + // widths 8 and 8
		"\x43\x00\x00\x00\x01f" +
		"\x44\x00\x00\x00\x00\x00\x00\x00\x01g" +
		"\x00"
	want := []librsync.Op{
		{Pos: 5, Len: 3},
		{Copy: true, Pos: 7, Len: 9},
		{Pos: 13, Len: 2},
		{Copy: true, Pos: 256, Len: 5},
		{Pos: 25, Len: 300},
		{Copy: true, Pos: 1 << 32, Len: math.MaxInt64 - 1<<32},
		{Pos: 347, Len: 1},
		{Pos: 357, Len: 1},
	}
	for n := 1; n <= len(delta); n++ {
		ops, literal, err := decode([]byte(delta), n)
		if err != nil {
			t.Fatalf("chunks of %d: %v", n, err)
		}
		if diff := cmp.Diff(want, ops); diff != "" {
			t.Fatalf("chunks of %d: ops (-want +got)\n%s", n, diff)
		}
		if want := "abcde" + long + "fg"; string(literal) != want {
			t.Fatalf("chunks of %d: literals %q, want %q", n, literal, want)
		}
	}
}

func TestOpDecoderLiteralPositions(t *testing.T) {
	delta := []byte(deltaMagic + "\x05hello\x41\x03you\x00")
	for n := 1; n <= len(delta); n++ {
		var dec librsync.OpDecoder
		for i := 0; i < len(delta); i += n {
			err := dec.Decode(delta[i:min(i+n, len(delta))], func(op librsync.Op, lit []byte) error {
				if op.Copy || int(op.Len) != len(lit) || !bytes.Equal(lit, delta[op.Pos:op.Pos+op.Len]) {
					t.Errorf("chunks of %d: op %+v with %q", n, op, lit)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestOpDecoderErrors(t *testing.T) {
	cut := io.ErrUnexpectedEOF
	for name, c := range map[string]struct {
		in  string
		is  error // nil: a CorruptError
		off int64
	}{
		"empty":               {"", cut, 0},
		"magic cut":           {"rs\x02", cut, 0},
		"no end":              {deltaMagic, cut, 0},
		"literal cut":         {deltaMagic + "\x05hell", cut, 0},
		"no end past literal": {deltaMagic + "\x05hello", cut, 0},
		"arguments cut":       {deltaMagic + "\x46\x01\x02", cut, 0},
		"magic":               {"rs\x016\x00", nil, 0},
		"reserved":            {deltaMagic + "\x01a\x55\x00", nil, 6},
		"reserved high":       {deltaMagic + "\xff\x00", nil, 4},
		"past end":            {deltaMagic + "\x00\x00", nil, 5},
		"literal of 0":        {deltaMagic + "\x41\x00\x00", nil, 4},
		"copy of 0":           {deltaMagic + "\x45\x00\x00\x00", nil, 4},
		"literal negative":    {deltaMagic + "\x44\xff\xff\xff\xff\xff\xff\xff\xff", nil, 4},
		"literal too long":    {deltaMagic + "\x44\x7f\xff\xff\xff\xff\xff\xff\xff", nil, 4},
		"position negative":   {deltaMagic + "\x51\x80\x00\x00\x00\x00\x00\x00\x00\x01", nil, 4},
		"length negative":     {deltaMagic + "\x48\x00\x80\x00\x00\x00\x00\x00\x00\x00", nil, 4},
		"overflow":            {deltaMagic + "\x51\x7f\xff\xff\xff\xff\xff\xff\xff\x01", nil, 4},
	} {
		for _, n := range []int{1, 3, 100} {
			_, _, err := decode([]byte(c.in), n)
			var corrupt *librsync.CorruptError
			switch {
			case c.is != nil && !errors.Is(err, c.is):
				t.Errorf("%s, chunks of %d: error %v, want %v", name, n, err, c.is)
			case c.is == nil && !errors.As(err, &corrupt):
				t.Errorf("%s, chunks of %d: error %v, want a CorruptError", name, n, err)
			case c.is == nil && corrupt.Offset != c.off:
				t.Errorf("%s: error at %d, want %d", name, corrupt.Offset, c.off)
			}
		}
	}
}

func TestOpDecoderEmitError(t *testing.T) {
	want := errors.New("no room")
	for _, op := range []string{"\x01a", "\x45\x00\x01"} {
		var dec librsync.OpDecoder
		calls := 0
		emit := func(librsync.Op, []byte) error { calls++; return want }
		for range 2 {
			if err := dec.Decode([]byte(deltaMagic+op+op+"\x00"), emit); err != want {
				t.Errorf("Decode = %v, want %v", err, want)
			}
		}
		if err := dec.Close(); err != want || calls != 1 {
			t.Errorf("Close = %v after %d calls, want %v after 1", err, calls, want)
		}
	}
}

func TestPatch(t *testing.T) {
	basis := []byte("0123456789")
	delta := deltaMagic + "\x02ab\x45\x03\x04\x45\x00\x0a\x45\x03\x02\x00"
	for _, r := range []io.Reader{strings.NewReader(delta), iotest.DataErrReader(strings.NewReader(delta))} {
		var out bytes.Buffer
		if err := librsync.Patch(bytes.NewReader(basis), 10, r, &out); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "ab3456012345678934"; got != want {
			t.Errorf("patched to %q, want %q", got, want)
		}
	}
}

func TestPatchErrors(t *testing.T) {
	basis := []byte("0123456789")
	broken := errors.New("broken")
	reading := io.MultiReader(strings.NewReader(deltaMagic), iotest.ErrReader(broken))
	var corrupt *librsync.CorruptError
	patch := func(size int64, delta io.Reader, out io.Writer) error {
		return librsync.Patch(bytes.NewReader(basis), size, delta, out)
	}
	for _, op := range []string{"\x45\x0a\x01", "\x45\x00\x0b", "\x54\x7f\xff\xff\xff\xff\xff\xff\xfe\x00\x00\x00\x00\x00\x00\x00\x01"} {
		if err := patch(10, strings.NewReader(deltaMagic+op+"\x00"), io.Discard); !errors.As(err, &corrupt) {
			t.Errorf("op %x beyond the basis: error %v, want a CorruptError", op, err)
		}
	}
	if err := patch(20, strings.NewReader(deltaMagic+"\x45\x08\x04\x00"), io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("basis shorter than it says: %v", err)
	}
	if err := patch(10, reading, io.Discard); !errors.Is(err, broken) {
		t.Errorf("delta cannot be read: %v", err)
	}
	for _, op := range []string{"\x01a\x00", "\x45\x00\x01\x00"} {
		if err := patch(10, strings.NewReader(deltaMagic+op), &failAfter{0, broken}); !errors.Is(err, broken) {
			t.Errorf("out cannot be written: %v", err)
		}
	}
}

func FuzzDelta(f *testing.F) {
	f.Add([]byte(deltaMagic+"\x03abc\x45\x00\x09\x00"), 3)
	f.Add([]byte(deltaMagic+"\x44\x00\x00\x00\x00\x00\x00\x00\x01g\x00"), 1)
	f.Add([]byte(deltaMagic+"\x54\x7f\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00"), 2)
	f.Add(delta(f, read(f, sign(f, random(1, 3000), 64)), random(1, 3100)), 7)
	seeds(f, "*.difftar.gz", "diff/", func(p []byte) { f.Add(p, 5) })
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		ops, literal, err := decode(in, len(in))
		if n < 1 {
			n = 1
		}
		ops2, literal2, err2 := decode(in, n)
		if diff := cmp.Diff(ops, ops2); diff != "" || !bytes.Equal(literal, literal2) || (err == nil) != (err2 == nil) {
			t.Fatalf("chunks of %d differ from the whole: %v, %v\n%s", n, err, err2, diff)
		}
		size := int64(0)
		for _, op := range ops {
			if op.Len < 1 || op.Pos < 0 || op.Pos > math.MaxInt64-op.Len {
				t.Fatalf("op %+v", op)
			}
			if !op.Copy && op.Pos+op.Len > int64(len(in)) {
				t.Fatalf("literal %+v in a stream of %d", op, len(in))
			}
			size += min(op.Len, 1<<40)
		}
		if err == nil && size < 1<<16 && binary.BigEndian.Uint32(in) != 0x72730236 {
			t.Fatalf("accepted magic %x", in[:4])
		}
		basis := random(1, 100)
		var out bytes.Buffer
		perr := librsync.Patch(bytes.NewReader(basis), 100, bytes.NewReader(in), &out)
		if perr == nil && (err != nil || int64(out.Len()) != size) {
			t.Fatalf("Patch gave %d bytes, the ops %d, decode error %v", out.Len(), size, err)
		}
	})
}

func BenchmarkOpDecoder(b *testing.B) {
	p := random(1, 16<<20)
	d := delta(b, read(b, sign(b, p[:8<<20], 2048)), p)
	b.SetBytes(int64(len(d)))
	b.ReportAllocs()
	for b.Loop() {
		var dec librsync.OpDecoder
		if err := dec.Decode(d, func(librsync.Op, []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

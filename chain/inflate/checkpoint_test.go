package inflate_test

import (
	"bytes"
	"compress/flate"
	"io"
	"testing"

	"hindsight/chain/inflate"
	"hindsight/chain/treetest"
)

func newWriter(w io.Writer) (*flate.Writer, error) { return flate.NewWriter(w, 6) }

// checkpoints reads a stream whole and returns a checkpoint of every block.
func checkpoints(tb testing.TB, s stream) (all []inflate.Checkpoint) {
	tb.Helper()
	r := inflate.NewReader(bytes.NewReader(s.raw))
	finals := 0
	r.OnBlock = func(c inflate.Checkpoint, final bool) {
		c.Window = bytes.Clone(c.Window)
		all = append(all, c)
		if final {
			finals++
		}
	}
	got, err := io.ReadAll(r)
	if err != nil {
		tb.Fatalf("%s: %v", s.name, err)
	}
	same(tb, got, s.plain)
	if finals != 1 {
		tb.Fatalf("%s: %d last blocks", s.name, finals)
	}
	return all
}

// resume checks that a stream read from its checkpoints on is the rest of it: from
// each, or from about count of them.
func resume(tb testing.TB, s stream, count int) {
	tb.Helper()
	if testing.Short() {
		count = min(count, 8)
	}
	all := checkpoints(tb, s)
	if all[0].Bit != 0 || all[0].Out != 0 || len(all[0].Window) != 0 {
		tb.Fatalf("%s: the first checkpoint is %+v", s.name, all[0])
	}
	var r *inflate.Reader
	step := max(len(all)/count, 1)
	for i := 0; i < len(all); i += step {
		c := all[i]
		same(tb, c.Window, s.plain[max(int(c.Out)-inflate.WindowSize, 0):c.Out])
		src := bytes.NewReader(s.raw[c.Byte():])
		var err error
		if r == nil {
			r, err = inflate.NewReaderAt(c, src)
		} else {
			err = r.ResetAt(c, src)
		}
		if err != nil {
			tb.Fatalf("%s at %d: %v", s.name, c.Out, err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			tb.Fatalf("%s at %d: %v", s.name, c.Out, err)
		}
		same(tb, got, s.plain[c.Out:])
		if r.Used() != int64(len(s.raw)) {
			tb.Fatalf("%s at %d: used %d bytes of %d", s.name, c.Out, r.Used(), len(s.raw))
		}
	}
}

func TestResume(t *testing.T) {
	for _, s := range append(streams(t), goldenStreams(t)...) {
		resume(t, s, 200)
	}
}

// TestResumeTools: streams of zlib at its levels, strategies and window sizes, and
// of gpg, which uses a window of 8 KiB.
func TestResumeTools(t *testing.T) {
	var plain []byte
	for _, p := range plains() {
		plain = append(plain, p.plain...)
	}
	zlib := func(level, window, strategy string) []string {
		return []string{"python3", "-c", `
import sys, zlib
z = zlib.compressobj(` + level + `, zlib.DEFLATED, -` + window + `, 8, ` + strategy + `)
sys.stdout.buffer.write(z.compress(sys.stdin.buffer.read()) + z.flush())`}
	}
	for _, v := range []struct {
		name    string
		head    int // bytes before the stream
		command []string
	}{
		{"gzip -1", 10, []string{"gzip", "-1nc"}},
		{"gzip -6", 10, []string{"gzip", "-6nc"}},
		{"gzip -9", 10, []string{"gzip", "-9nc"}},
		{"pigz -11", 10, []string{"pigz", "-11nc"}},
		{"zlib 1", 0, zlib("1", "15", "zlib.Z_DEFAULT_STRATEGY")},
		{"zlib 9", 0, zlib("9", "15", "zlib.Z_DEFAULT_STRATEGY")},
		{"zlib 512", 0, zlib("6", "9", "zlib.Z_DEFAULT_STRATEGY")},
		{"zlib fixed", 0, zlib("6", "15", "zlib.Z_FIXED")},
		{"zlib rle", 0, zlib("6", "15", "zlib.Z_RLE")},
		{"zlib huffman", 0, zlib("6", "15", "zlib.Z_HUFFMAN_ONLY")},
		{"gpg", gpgHead, gpgStore},
	} {
		t.Run(v.name, func(t *testing.T) {
			treetest.NeedTool(t, v.command[0])
			input := plain
			if v.name == "pigz -11" {
				input = plain[:100_000]
			}
			raw := run(t, v.command, input)[v.head:]
			want, used, err := oracle(raw)
			if err != nil {
				t.Fatal(err)
			}
			resume(t, stream{v.name, want, raw[:used]}, 50)
		})
	}
}

// TestCheckpointWrong: a checkpoint that is none is refused, and one whose window is
// short or missing cannot make a Reader show what it held before.
func TestCheckpointWrong(t *testing.T) {
	for _, c := range []inflate.Checkpoint{
		{Bit: -1},
		{Bit: 8, Out: 3, Window: make([]byte, 4)},
		{Bit: 8, Out: 1 << 20, Window: make([]byte, inflate.WindowSize+1)},
	} {
		if _, err := inflate.NewReaderAt(c, bytes.NewReader(nil)); err == nil {
			t.Errorf("bit %d, output %d, window %d: no error", c.Bit, c.Out, len(c.Window))
		}
	}
	text := plains()[4].plain
	s := stream{"text", text, compress(t, text)}
	all := checkpoints(t, s)
	c := all[len(all)/2]
	c.Window = nil
	r := inflate.NewReader(bytes.NewReader(s.raw))
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if err := r.ResetAt(c, bytes.NewReader(s.raw[c.Byte():])); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if _, ok := err.(*inflate.CorruptError); !ok {
		t.Errorf("without a window: error %v", err)
	}
	same(t, got, text[c.Out:int(c.Out)+len(got)])
}

// FuzzResume: any stream that is valid gives the same rest from each of its blocks.
func FuzzResume(f *testing.F) {
	for _, s := range append(streams(f), goldenStreams(f)...) {
		if len(s.raw) < 20_000 {
			f.Add(s.raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		plain, used, err := oracleLimit(raw)
		if err != nil || len(plain) >= fuzzLimit {
			return
		}
		resume(t, stream{"fuzzed", plain, raw[:used]}, 10)
	})
}

// TestReach: what lies between two marked blocks is decoded with as much of the window as
// Reach says, and with no byte less.
func TestReach(t *testing.T) {
	for _, s := range streams(t) {
		type mark struct {
			inflate.Checkpoint
			reach int // of what follows, up to the next mark
		}
		var marks []mark
		r := inflate.NewReader(bytes.NewReader(s.raw))
		r.OnBlock = func(c inflate.Checkpoint, _ bool) {
			if n := len(marks); n > 0 {
				if c.Out-marks[n-1].Out < 40_000 {
					return
				}
				marks[n-1].reach = r.Reach()
			}
			c.Window = bytes.Clone(c.Window)
			marks = append(marks, mark{Checkpoint: c})
			r.Mark()
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		marks[len(marks)-1].reach = r.Reach()
		for i, m := range marks {
			end := int64(len(s.plain))
			if i+1 < len(marks) {
				end = marks[i+1].Out
			}
			for short := range 2 {
				c := m.Checkpoint
				if m.reach-short < 0 || m.reach > len(c.Window) {
					continue
				}
				c.Window = c.Window[len(c.Window)-m.reach+short:]
				part, err := inflate.NewReaderAt(c, bytes.NewReader(s.raw[c.Byte():]))
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, end-m.Out)
				if _, err := io.ReadFull(part, got); (err == nil) != (short == 0) {
					t.Fatalf("%s at %d: window of %d less %d: %v", s.name, m.Out, m.reach, short, err)
				}
				if short == 0 {
					same(t, got, s.plain[m.Out:end])
				}
			}
			if m.reach > len(m.Window) {
				t.Fatalf("%s at %d: reach of %d with a window of %d", s.name, m.Out, m.reach, len(m.Window))
			}
		}
	}
}

package librsync_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hindsight/chain/librsync"
	"hindsight/chain/treetest"
)

// rdiff runs the real program in a folder of its own.
type rdiff struct {
	t    testing.TB
	path string
	dir  string
}

func newRdiff(t testing.TB) *rdiff {
	r := &rdiff{t, treetest.NeedTool(t, "rdiff"), t.TempDir()}
	version, err := exec.Command(r.path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", bytes.SplitN(version, []byte("\n"), 2)[0])
	return r
}

func (r *rdiff) put(name string, p []byte) string {
	r.t.Helper()
	name = filepath.Join(r.dir, name)
	if err := os.WriteFile(name, p, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return name
}

// run calls rdiff and returns what it wrote to its output, which comes last.
func (r *rdiff) run(args ...string) []byte {
	r.t.Helper()
	out := filepath.Join(r.dir, "out")
	cmd := exec.Command(r.path, append(append([]string{"-f"}, args...), out)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("rdiff %q: %v\n%s", args, err, text)
	}
	p, err := os.ReadFile(out)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *rdiff) signature(basis []byte, blockLen int, hash, roll string, strong int) []byte {
	return r.run("-H", hash, "-R", roll, "-S", fmt.Sprint(strong), "-b", fmt.Sprint(blockLen), "signature", r.put("basis", basis))
}

func (r *rdiff) delta(sig, file []byte) []byte {
	return r.run("delta", r.put("sig", sig), r.put("file", file))
}

func (r *rdiff) patch(basis, delta []byte) []byte {
	return r.run("patch", r.put("basis", basis), r.put("delta", delta))
}

// TestRdiffEdits sets our deltas of usual edits beside rdiff's: both programs must
// apply both, and ours may not be larger by more than a hundredth.
func TestRdiffEdits(t *testing.T) {
	r := newRdiff(t)
	basis := random(11, 700001)
	zeros := make([]byte, 300000)
	join := func(p ...[]byte) []byte { return bytes.Join(p, nil) }
	scattered := bytes.Clone(basis)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		scattered[rnd.IntN(len(scattered))]++
	}
	for name, c := range map[string]struct{ basis, file []byte }{
		"same":         {basis, basis},
		"appended":     {basis, join(basis, random(12, 5000))},
		"inserted":     {basis, join(basis[:300123], random(13, 77), basis[300123:])},
		"deleted":      {basis, join(basis[:300123], basis[310000:])},
		"scattered":    {basis, scattered},
		"truncated":    {basis, basis[:400000]},
		"moved":        {basis, join(basis[400000:], basis[:400000])},
		"other":        {basis, random(14, 300000)},
		"tail":         {basis, join(basis[:600000], random(15, 5000), basis[690000:])},
		"zeros":        {zeros, make([]byte, 350001)},
		"zeros edited": {zeros, join(zeros[:100001], []byte("edit"), zeros[100000:])},
		"to zeros":     {basis, zeros},
		"to empty":     {basis, nil},
		"from empty":   {nil, basis},
	} {
		for _, blockLen := range []int{512, 2048, 1000} {
			t.Run(fmt.Sprintf("%s/block=%d", name, blockLen), func(t *testing.T) {
				sig := sign(t, c.basis, blockLen)
				if want := r.signature(c.basis, blockLen, "md4", "rollsum", 8); !bytes.Equal(sig, want) {
					t.Fatal("signature differs from rdiff's")
				}
				ours, theirs := delta(t, read(t, sig), c.file), r.delta(sig, c.file)
				if got := r.patch(c.basis, ours); !bytes.Equal(got, c.file) {
					t.Error("rdiff makes another file from our delta")
				}
				var out bytes.Buffer
				err := librsync.Patch(bytes.NewReader(c.basis), int64(len(c.basis)), bytes.NewReader(theirs), &out)
				if err != nil || !bytes.Equal(out.Bytes(), c.file) {
					t.Errorf("we make another file from rdiff's delta (error %v)", err)
				}
				if len(ours) > len(theirs)+len(theirs)/100 {
					t.Errorf("our delta has %d bytes, rdiff's %d", len(ours), len(theirs))
				}
				t.Logf("our delta has %d bytes, rdiff's %d", len(ours), len(theirs))
			})
		}
	}
}

// TestRdiffSizes goes through the sizes around block limits.
func TestRdiffSizes(t *testing.T) {
	r := newRdiff(t)
	for _, blockLen := range []int{1, 64, 512, 2048} {
		for _, size := range []int{0, 1, blockLen - 1, blockLen, blockLen + 1, 2*blockLen - 1, 2 * blockLen, 2*blockLen + 1, 5*blockLen + blockLen/2} {
			basis := random(uint64(size), size)
			sig := sign(t, basis, blockLen)
			if want := r.signature(basis, blockLen, "md4", "rollsum", 8); !bytes.Equal(sig, want) {
				t.Fatalf("block %d, size %d: signature\n%x, rdiff's is\n%x", blockLen, size, sig, want)
			}
			file := append(bytes.Clone(basis), 'x')
			if got := r.patch(basis, delta(t, read(t, sig), file)); !bytes.Equal(got, file) {
				t.Fatalf("block %d, size %d: rdiff makes another file from our delta", blockLen, size)
			}
		}
	}
}

// TestRdiffKinds has rdiff write each kind of signature and checks that their
// blocks are found, which proves the sums the same.
func TestRdiffKinds(t *testing.T) {
	r := newRdiff(t)
	basis := random(16, 50000)
	file := bytes.Join([][]byte{basis[:20000], []byte("insertion"), basis[20000:]}, nil)
	for _, hash := range []string{"md4", "blake2"} {
		for _, roll := range []string{"rollsum", "rabinkarp"} {
			for _, strong := range []int{8, 16} {
				sig := r.signature(basis, 512, hash, roll, strong)
				literal, ops := checkDelta(t, sig, basis, file)
				if literal > 9+512 || len(ops) != 3 {
					t.Errorf("%s %s %d: %d literal bytes, ops %+v", hash, roll, strong, literal, ops)
				}
				if got := r.patch(basis, delta(t, read(t, sig), file)); !bytes.Equal(got, file) {
					t.Errorf("%s %s %d: rdiff makes another file from our delta", hash, roll, strong)
				}
			}
		}
	}
}

// TestRdiffLarge crosses the widths of positions and lengths.
func TestRdiffLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("sums 40 MB")
	}
	r := newRdiff(t)
	basis := random(17, 20<<20+999)
	file := bytes.Join([][]byte{basis[18<<20:], random(18, 100000), basis[:100], basis[4096 : 9<<20], basis[200:800], basis[70000:80000]}, nil)
	sig := sign(t, basis, librsync.BlockLen(int64(len(basis)), 0))
	if want := r.signature(basis, librsync.BlockLen(int64(len(basis)), 0), "md4", "rollsum", 8); !bytes.Equal(sig, want) {
		t.Fatal("signature differs from rdiff's")
	}
	ours, theirs := delta(t, read(t, sig), file), r.delta(sig, file)
	if got := r.patch(basis, ours); !bytes.Equal(got, file) {
		t.Error("rdiff makes another file from our delta")
	}
	if len(ours) > len(theirs)+len(theirs)/100 {
		t.Errorf("our delta has %d bytes, rdiff's %d", len(ours), len(theirs))
	}
}

// TestRdiffRefuses checks that what OpDecoder refuses, librsync does.
func TestRdiffRefuses(t *testing.T) {
	r := newRdiff(t)
	basis := r.put("basis", []byte("0123456789"))
	for _, ops := range []string{
		"\x41\x00\x00", "\x45\x00\x00\x00", "\x55\x00", "\xff\x00",
		"\x48\x00\x80\x00\x00\x00\x00\x00\x00\x01\x00", "\x44\x80\x00\x00\x00\x00\x00\x00\x01a\x00", "\x45\x00\x05", "\x05abc",
	} {
		d := r.put("delta", []byte(deltaMagic+ops))
		if exec.Command(r.path, "-f", "patch", basis, d, filepath.Join(r.dir, "out")).Run() == nil {
			t.Errorf("rdiff accepts %x", ops)
		}
		if err := librsync.Patch(bytes.NewReader([]byte("0123456789")), 10, bytes.NewReader([]byte(deltaMagic+ops)), new(bytes.Buffer)); err == nil {
			t.Errorf("Patch accepts %x", ops)
		}
	}
}

package inflate_test

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	kpflate "github.com/klauspost/compress/flate"
	"golang.org/x/sys/unix"

	"hindsight/chain/inflate"
	"hindsight/chain/treetest"
)

// benchSize is how many plain bytes each benchmark decodes at most.
const benchSize = 32 << 20

// BenchmarkReader reads volumes as they are found on stores; compare with
// benchstat -col /by. cpuMB/s is bytes per second of this thread's CPU time, which
// other work on the machine disturbs less.
func BenchmarkReader(b *testing.B) {
	for _, data := range []struct {
		name string
		make func(testing.TB) []byte
	}{
		{"source", func(tb testing.TB) []byte { return gzipped(tb, tarOf(tb, goSource(tb))) }},
		{"binaries", func(tb testing.TB) []byte { return gzipped(tb, tarOf(tb, "/usr/bin")) }},
		{"random", randomByGPG},
	} {
		b.Run("data="+data.name, func(b *testing.B) {
			raw := data.make(b)
			b.Run("by=hindsight", func(b *testing.B) {
				r := inflate.NewReader(nil)
				benchReader(b, raw, func(src io.Reader) io.Reader { r.Reset(src); return r })
			})
			b.Run("by=klauspost", func(b *testing.B) {
				r := kpflate.NewReader(nil)
				benchReader(b, raw, func(src io.Reader) io.Reader { resetStd(b, r, src); return r })
			})
			b.Run("by=std", func(b *testing.B) {
				r := flate.NewReader(nil)
				benchReader(b, raw, func(src io.Reader) io.Reader { resetStd(b, r, src); return r })
			})
		})
	}
}

func resetStd(b *testing.B, r io.Reader, src io.Reader) {
	if err := r.(flate.Resetter).Reset(src, nil); err != nil {
		b.Fatal(err)
	}
}

func benchReader(b *testing.B, raw []byte, open func(io.Reader) io.Reader) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	src := bytes.NewReader(raw)
	var total int64
	b.ReportAllocs()
	start := threadTime(b)
	for b.Loop() {
		src.Reset(raw)
		n, err := io.Copy(io.Discard, open(src))
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(n)
		total += n
	}
	b.ReportMetric(float64(total)/1e6/(threadTime(b)-start).Seconds(), "cpuMB/s")
}

// BenchmarkInflate decodes one independent block of 256 KiB, as a range read does.
func BenchmarkInflate(b *testing.B) {
	plain := tarOf(b, goSource(b))[:256<<10]
	raw := compress(b, plain)
	dst := make([]byte, len(plain))
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := inflate.Inflate(dst, raw); err != nil {
			b.Fatal(err)
		}
	}
}

func threadTime(tb testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// goSource is the folder of the standard library's source.
func goSource(tb testing.TB) string {
	tb.Helper()
	treetest.NeedTool(tb, "go")
	root := run(tb, []string{"go", "env", "GOROOT"}, nil)
	return filepath.Join(string(bytes.TrimSpace(root)), "src")
}

// tarOf archives the regular files of a folder, up to benchSize.
func tarOf(tb testing.TB, dir string) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		if buf.Len() >= benchSize {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()[:min(buf.Len(), benchSize)]
}

// gzipped is the stream that gzip -6 makes.
func gzipped(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	treetest.NeedTool(tb, "gzip")
	return run(tb, []string{"gzip", "-6nc"}, plain)[10:]
}

// randomByGPG is the stream that gpg makes of random bytes.
func randomByGPG(tb testing.TB) []byte {
	tb.Helper()
	treetest.NeedTool(tb, "gpg")
	rng := rand.NewChaCha8([32]byte{1})
	plain := make([]byte, benchSize/2)
	rng.Read(plain)
	return run(tb, gpgStore, plain)[gpgHead:]
}

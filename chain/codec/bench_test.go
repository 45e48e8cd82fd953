package codec_test

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/codec"
	"hindsight/chain/treetest"
)

func BenchmarkWriter(b *testing.B) {
	data := sample(16<<20, 1)
	kr := keyring()
	s := session(b, kr)
	for _, f := range formats {
		for _, jobs := range []int{1, runtime.GOMAXPROCS(0)} {
			b.Run(fmt.Sprintf("format=%s/jobs=%d", f, jobs), func(b *testing.B) {
				pool := codec.NewPool(jobs, 0)
				defer pool.Close()
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					w, err := codec.NewWriter(b.Context(), io.Discard, f, codec.WriterOptions{Pool: pool, Session: s})
					if err != nil {
						b.Fatal(err)
					}
					for at := 0; at < len(data); at += 64 << 10 {
						w.Mark()
						w.Write(data[at : at+64<<10])
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkReader(b *testing.B) {
	data := sample(16<<20, 1)
	kr := keyring()
	s := session(b, kr)
	buf := make([]byte, 256<<10)
	for _, f := range formats {
		stored, _ := write(b, f, codec.WriterOptions{Session: s}, data, 5000)
		b.Run("format="+f.String(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := codec.NewReader(b.Context(), bytes.NewReader(stored), f, codec.ReaderOptions{Keyring: kr})
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = r.Read(buf)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				if err := r.Finish(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGather reads volumes of gzip's and gpg's, and of our own, on one thread: what
// it costs to gather their tables in passing. With a SHA-1 of the stored bytes, as a
// volume is read. cpuMB/s is per second of CPU time; compare with
// benchstat -col /gather.
func BenchmarkGather(b *testing.B) {
	data := goSource(b, 16<<20)
	home := treetest.GPGHome(b)
	kr := keyring()
	s := session(b, kr)
	byGPG := home.Run(b, passphrase, data, "--s2k-count", "1024", "-c", "-o", "-").OK(b).Stdout
	ours, _ := write(b, gz, codec.WriterOptions{}, data, 5000)
	sealed, _ := write(b, gpg, codec.WriterOptions{Session: s}, data, 5000)
	for _, o := range []struct {
		name   string
		stored []byte
		format codec.Format
	}{
		{"gzip", piped(b, data, "gzip", "-nc"), gz},
		{"gpg", []byte(byGPG), gpg},
		{"ours-gz", ours, gz},
		{"ours-gpg", sealed, gpg},
		{"plain", data, plain},
	} {
		for _, gather := range []bool{false, true} {
			b.Run(fmt.Sprintf("by=%s/gather=%v", o.name, gather), func(b *testing.B) {
				benchRead(b, o.stored, o.format, codec.ReaderOptions{Keyring: kr, Gather: gather}, len(data))
			})
		}
	}
}

// benchRead reads an object to its end.
func benchRead(b *testing.B, stored []byte, f codec.Format, opt codec.ReaderOptions, size int) {
	buf := make([]byte, 256<<10)
	b.SetBytes(int64(size))
	who := unix.RUSAGE_SELF
	if opt.Ahead == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		who = unix.RUSAGE_THREAD
	}
	start, total := cpuTime(b, who), 0
	for b.Loop() {
		sum := sha1.New()
		r, err := codec.NewReader(b.Context(), io.TeeReader(bytes.NewReader(stored), sum), f, opt)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = r.Read(buf)
		}
		if err != io.EOF || opt.Gather && r.Table() == nil {
			b.Fatal(err)
		}
		if err := r.Finish(); err != nil {
			b.Fatal(err)
		}
		total += size
	}
	b.ReportMetric(float64(total)/1e6/(cpuTime(b, who)-start).Seconds(), "cpuMB/s")
}

// cpuTime is that of this thread or of the whole process.
func cpuTime(tb testing.TB, who int) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReadByTable reads one message of 200 MB, of our own and of gpg's: in order, and
// in parallel by its table.
func BenchmarkReadByTable(b *testing.B) {
	part := goSource(b, 10<<20)
	data := bytes.Repeat(part, 200<<20/len(part))
	home := treetest.GPGHome(b)
	kr := keyring()
	pool := codec.NewPool(0, 0)
	defer pool.Close()
	ours, w := write(b, gpg, codec.WriterOptions{Session: session(b, kr), Pool: pool}, data, 5000)
	byGPG := []byte(home.Run(b, passphrase, data, "--s2k-count", "1024", "-c", "-o", "-").OK(b).Stdout)
	_, table := gather(b, byGPG, gpg, codec.ReaderOptions{Keyring: kr})
	for _, o := range []struct {
		name   string
		stored []byte
		table  *codec.Table
	}{{"ours", ours, w.Table()}, {"gpg", byGPG, table}} {
		for _, table := range []*codec.Table{nil, o.table} {
			b.Run(fmt.Sprintf("by=%s/table=%v", o.name, table != nil), func(b *testing.B) {
				benchRead(b, o.stored, gpg, codec.ReaderOptions{Keyring: kr, Table: table, Ahead: 4}, len(data))
			})
		}
	}
}

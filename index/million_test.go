package index_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/toc"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// million makes an index of files files, 100 to a directory, and of a second set that
// changes a tenth of them.
func million(x *index.Index, files int) error {
	return index.Synthetic(x, 2, func(set int, add func(*toc.Entry) error) error {
		if err := add(directory("")); err != nil {
			return err
		}
		for n := range files {
			if set == 0 && n%100 == 0 {
				if err := add(directory(fmt.Sprintf("project-%06d", n/100))); err != nil {
					return err
				}
			}
			if set > 0 && n%10 != 3 {
				continue
			}
			if err := add(regular(fmt.Sprintf("project-%06d/some-source-file-%08d.go", n/100, n), set, n)); err != nil {
				return err
			}
		}
		return nil
	})
}

func directory(path string) *toc.Entry {
	return &toc.Entry{Path: path, Kind: difftar.Snapshot, Sec: 1e9, Meta: difftar.Meta{
		Type: difftar.Directory, Mode: 0o755, UID: 1000, GID: 1000, Uname: "user", Gname: "group", MTime: 1e9}}
}

func regular(path string, set, n int) *toc.Entry {
	mtime := 1_000_000_000 + int64(n)*7919%100_000_000
	size := 100 + int64(n)*104_729%50_000
	e := &toc.Entry{Path: path, Kind: difftar.Snapshot, Sec: mtime, Nsec: int32(n) * 7 % 1_000_000_000, Size: size, HasHash: true,
		Meta:      difftar.Meta{Type: difftar.Regular, Mode: 0o644, UID: 1000, GID: 1000, Uname: "user", Gname: "group", MTime: mtime},
		Stream:    []extent.Extent{{Len: size, Place: extent.Place{Volume: uint32(1 + n/10_000), Tar: int64(n) * 25_600 % (256 << 20)}}},
		SigOffset: int64(n) * 1536, SigLen: 12 + size/512*12}
	e.Hash = blake3.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(n+set)))
	return e
}

// TestSoakMillionFiles measures what versions of files take on disk, and what making and
// reading the index takes in memory: of as many files as there is time for.
func TestSoakMillionFiles(t *testing.T) {
	if testing.Short() { // as runs under the race detector are, which takes memory of its own
		t.Skip("measures memory")
	}
	files := 60_000
	if treetest.SoakTime(t, 0) > 0 {
		files = 1_000_000
	}
	dir := t.TempDir()
	for _, c := range []struct {
		what  string
		limit int64 // MiB of memory
	}{{"make", 300}, {"walk", 150}} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s={%q:%q,%q:%q,%q:%d}", childEnv, "What", c.what, "Dir", dir, "Files", files))
		begun := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.what, err, out)
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s %d files: %d MiB of anonymous memory, %.1f s", c.what, files, kib>>10, time.Since(begun).Seconds())
		if kib > c.limit<<10 {
			t.Errorf("%s: %d MiB of memory, want less than %d", c.what, kib>>10, c.limit)
		}
	}
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		size += fi.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	versions := int64(files + files/10)
	t.Logf("%d bytes on disk for each version", size/versions)
	if size > 300*versions {
		t.Errorf("%d bytes on disk for %d versions, want less than 300 for each", size, versions)
	}
}

// childMillion is what TestSoakMillionFiles has done by a process of its own.
func childMillion(x *index.Index, job *childJob) error {
	kib, err := peakMemory(func() error { return makeOrWalk(x, job) })
	fmt.Println(kib)
	return err
}

func makeOrWalk(x *index.Index, job *childJob) error {
	if job.What == "make" {
		if err := million(x, job.Files); err != nil {
			return err
		}
	} else {
		n := 0
		s := x.Snapshots()[1]
		err := s.Walk(context.Background(), index.Root, func(string, index.Entry) error { n++; return nil })
		if err != nil || n != 1+job.Files+job.Files/100 {
			return fmt.Errorf("%d paths: %v", n, err)
		}
	}
	return nil
}

// peakMemory runs f and says how many KiB of anonymous memory it has taken at most: pages
// of mapped files are the kernel's to take back. It looks every few milliseconds.
func peakMemory(f func() error) (int64, error) {
	var peak int64
	var failed error
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			n, err := anonymous()
			peak = max(peak, n)
			failed = errors.Join(failed, err)
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	err := f()
	close(stop)
	<-done
	return peak, errors.Join(err, failed)
}

// anonymous is the KiB of anonymous memory that are resident.
func anonymous() (int64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	line, _, _ := strings.Cut(rest, "kB")
	return strconv.ParseInt(strings.TrimSpace(line), 10, 64)
}

// BenchmarkIndex tells what the usual questions cost, in an index of 100,000 files and
// a directory of 10,000.
func BenchmarkIndex(b *testing.B) {
	dir := b.TempDir()
	x, err := index.Open(dir, index.Options{Identity: "test"})
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	err = index.Synthetic(x, 1, func(_ int, add func(*toc.Entry) error) error {
		for _, e := range []*toc.Entry{directory(""), directory("large")} {
			if err := add(e); err != nil {
				return err
			}
		}
		for n := range 10_000 {
			if err := add(regular(fmt.Sprintf("large/file-%05d", n), 0, n)); err != nil {
				return err
			}
		}
		for n := range 100_000 {
			if n%100 == 0 {
				if err := add(directory(fmt.Sprintf("project-%06d", n/100))); err != nil {
					return err
				}
			}
			if err := add(regular(fmt.Sprintf("project-%06d/file-%08d", n/100, n), 0, n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	s := x.Snapshots()[0]
	large, err := s.LookupPath("large")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("list=10000", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range s.ReadDir(large.ID, 0) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != 10_000 {
				b.Fatal(n)
			}
		}
	})
	b.Run("lookup", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Lookup(large.ID, "file-04711"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("walk=111002", func(b *testing.B) {
		for b.Loop() {
			if err := s.Walk(context.Background(), index.Root, func(string, index.Entry) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			y, err := index.Open(dir, index.Options{Identity: "test"})
			if err != nil {
				b.Fatal(err)
			}
			if err := y.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

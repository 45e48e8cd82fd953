package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// maxS3Memory is how much more resident memory, in bytes, a run may take with its
// repository on S3 than in a directory: the program's own budget is the same.
const maxS3Memory = 96 << 20

// TestS3Memory measures what a full backup and a restore take at default settings, on
// S3 over a network that is slower than the program, and in a directory.
func TestS3Memory(t *testing.T) {
	t.Parallel() // it mostly waits
	if testing.Short() {
		t.Skip("moves hundreds of megabytes")
	}
	gateway := s3test.NewGateway(t, s3Bucket) // in a process of its own, unlike the fake
	shape, err := s3test.NewShape(gateway.Addr(), s3test.Link{Delay: 10 * time.Millisecond, Rate: 20_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shape.Close(); err != nil {
			t.Error(err)
		}
	})
	n := newS3Node(t, "http://"+shape.Addr(), s3test.Root, "node")
	if err := treetest.Corpus(n.src, 0.4); err != nil { // files of all lengths: they fill every buffer
		t.Fatal(err)
	}
	dir := t.TempDir()
	peaks := func(url string) (backup, restore int64) {
		t.Helper()
		out := filepath.Join(dir, "out")
		backup, restore = n.peak(t, "full", n.src, url), n.peak(t, "restore", url, out)
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
		return backup, restore
	}
	s3Backup, s3Restore := peaks(n.url)
	backup, restore := peaks(filepath.Join(dir, "repo"))
	if up, down := shape.Bytes(); up < 100<<20 || down < 100<<20 {
		t.Errorf("%d bytes went up and %d down: too few to tell", up, down)
	}
	for _, m := range []struct {
		what     string
		s3, here int64
	}{{"backup", s3Backup, backup}, {"restore", s3Restore, restore}} {
		t.Logf("%s: %d MiB resident, %d in a directory", m.what, m.s3>>20, m.here>>20)
		if more := m.s3 - m.here; more > maxS3Memory {
			t.Errorf("%s to S3 takes %d MiB more than to a directory, allowed are %d", m.what, more>>20, maxS3Memory>>20)
		}
		if m.s3 > maxRSS {
			t.Errorf("%s to S3 takes %d MiB, more than the %d of --memory", m.what, m.s3>>20, maxRSS>>20)
		}
	}
}

// peak is the most resident memory that a command had, in bytes.
func (n *s3Node) peak(t *testing.T, command string, args ...string) int64 {
	t.Helper()
	return runToPeak(t, n.command(n.args(command, args...)...))
}

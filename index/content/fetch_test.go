package content_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
	"hindsight/index"
	"hindsight/index/content"
)

// many makes a repository of small files, and says what is in them.
func many(t *testing.T, files, size int) (*chaintest.Repository, map[string][]byte) {
	r := chaintest.New(t)
	rng := rand.NewChaCha8([32]byte{9})
	want := make(map[string][]byte)
	var nodes []treetest.Node
	for n := range files {
		path := fmt.Sprintf("dir%02d/file%04d", n/50, n)
		data := make([]byte, size)
		_, _ = rng.Read(data) // never fails
		want[path] = data
		nodes = append(nodes, treetest.File(path, string(data)))
	}
	treetest.Write(t, r.Source, nodes...)
	r.Backup(treetest.BaseTime, backup.Full)
	return r, want
}

// gets counts what was read of volumes by range, and how many bytes.
func gets(log *storetest.OpLog, scheme naming.Scheme) (n int, size int64) {
	for _, rec := range log.Records() {
		if name, ok := scheme.Parse(rec.Name); ok && rec.Op == storetest.Get && name.Kind == naming.Volume {
			n++
			size += rec.Bytes
		}
	}
	return n, size
}

func readFile(c *content.Cache, s *index.Snapshot, path string) ([]byte, error) {
	e, err := s.LookupPath(path)
	if err != nil {
		return nil, err
	}
	return slurp(c, s, e.ID)
}

// TestOneSmallFile proves that one small file is one request, however many want it.
func TestOneSmallFile(t *testing.T) {
	r, want := many(t, 500, 8000)
	log := storetest.NewOpLog(r.Store)
	repo := r.Repository
	repo.Store = log
	x, c := open(t, &repo, r.Load(), content.Options{Memory: content.MinMemory})
	before, _ := gets(log, r.Scheme)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			data, err := readFile(c, x.Snapshots()[0], "dir05/file0271")
			if err != nil || !bytes.Equal(data, want["dir05/file0271"]) {
				t.Errorf("%d bytes, %v", len(data), err)
			}
		})
	}
	wg.Wait()
	n, size := gets(log, r.Scheme)
	if n-before > 2 || size > 1<<20 { // it may lie in two blocks, and what is behind it may be read ahead
		t.Errorf("%d requests for %d bytes", n-before, size)
	}
}

// TestWalk proves that files read in path order are a walk through the volumes: few
// requests, and nothing fetched twice.
func TestWalk(t *testing.T) {
	files := 1500
	if treetest.Short() {
		files = 700
	}
	r, want := many(t, files, 8000)
	log := storetest.NewOpLog(r.Store)
	repo := r.Repository
	repo.Store = log
	x, c := open(t, &repo, r.Load(), content.Options{Memory: 32 << 20})
	s := x.Snapshots()[0]
	err := s.Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
		if e.Type != difftar.Regular {
			return nil
		}
		data, err := slurp(c, s, e.ID)
		if !bytes.Equal(data, want[path]) {
			t.Errorf("%q is not what was stored", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var stored int64
	for _, v := range r.Load().Latest().Sets[0].Volumes {
		stored += v.Size
	}
	n, size := gets(log, r.Scheme)
	t.Logf("%d requests for %d of %d bytes", n, size, stored)
	if n > 60 || size > stored {
		t.Errorf("%d requests for %d of %d bytes, want one for several blocks, and each once", n, size, stored)
	}
}

// TestAheadInVain reads the beginnings of a large file's parts: what is fetched ahead of
// each must not be decoded.
func TestAheadInVain(t *testing.T) {
	const step, reads = 4 << 20, 6
	r := chaintest.New(t)
	data := make([]byte, step*reads)
	_, _ = rand.NewChaCha8([32]byte{8}).Read(data) // never fails
	treetest.Write(t, r.Source, treetest.File("large", string(data)))
	r.Backup(treetest.BaseTime, backup.Full)
	x, c := open(t, &r.Repository, r.Load(), content.Options{})
	s := x.Snapshots()[0]
	e, err := s.LookupPath("large")
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 64<<10)
	for i := range reads {
		f, err := c.Open(context.Background(), s, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		for off := i * step; off < i*step+step/4; off += len(p) {
			if _, err := f.ReadAt(context.Background(), p, int64(off)); err != nil || !bytes.Equal(p, data[off:off+len(p)]) {
				t.Errorf("at %d: %v, or not what was stored", off, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	// What was read, the rest of its last block, and two blocks behind.
	if st := c.Stats(); st.Decoded > reads*(step/4+4*(256<<10)) || st.Decoded < reads*step/4 {
		t.Errorf("%d bytes were decoded for %d that were read, %d fetched", st.Decoded, reads*step/4, st.Fetched)
	}
}

// TestDamagedBlock proves that damage hits the files in it alone, and goes when it is
// mended.
func TestDamagedBlock(t *testing.T) {
	r, want := many(t, 500, 8000)
	x, c := open(t, &r.Repository, r.Load(), content.Options{Memory: 32 << 20})
	s := x.Snapshots()[0]
	name := filepath.Join(r.Dir, r.Load().Latest().Sets[0].Volumes[1].Key)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	write := func(b []byte) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(bad)
	lost := make(map[string]bool)
	for range 2 { // what was read ahead in vain must not hit others
		for path := range want {
			data, err := readFile(c, s, path)
			var corrupt *chain.CorruptError
			switch {
			case errors.As(err, &corrupt):
				lost[path] = true
			case err != nil || !bytes.Equal(data, want[path]):
				t.Errorf("%q: %d bytes, %v", path, len(data), err)
			}
		}
	}
	if len(lost) == 0 || len(lost) > 45 {
		t.Errorf("%d files are lost, want those of one block", len(lost))
	}
	write(good)
	deadline := time.Now().Add(time.Minute)
	for path := range lost {
		data, err := readFile(c, s, path)
		// A block that was asked for before may be on its way still, damaged.
		for errors.As(err, new(*chain.CorruptError)) && time.Now().Before(deadline) {
			data, err = readFile(c, s, path)
		}
		if err != nil || !bytes.Equal(data, want[path]) {
			t.Errorf("%q when all is well again: %d bytes, %v", path, len(data), err)
		}
	}
}

// network is a store that can be away: requests fail, or hang until they are given up.
type network struct {
	store.Store

	mu   sync.Mutex
	away chan struct{} // closed when it is back; nil: it is there
	fail bool
}

var errAway = errors.New("network is unreachable")

func (n *network) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	n.mu.Lock()
	away, fail := n.away, n.fail
	n.mu.Unlock()
	if fail {
		return nil, errAway
	}
	if away != nil {
		select {
		case <-away:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return n.Store.Get(ctx, name, off, length)
}

func (n *network) set(away chan struct{}, fail bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away, n.fail = away, fail
}

// TestNetworkAway proves that reads end when they are given up, or fail, and succeed
// again when the network is back, with the same open file.
func TestNetworkAway(t *testing.T) {
	r, want := many(t, 300, 8000)
	net := &network{Store: r.Store}
	repo := r.Repository
	repo.Store = net
	x, c := open(t, &repo, r.Load(), content.Options{Memory: content.MinMemory})
	e, err := x.Snapshots()[0].LookupPath("dir03/file0155")
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Open(context.Background(), x.Snapshots()[0], e.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 100)
	net.set(nil, true)
	if _, err := f.ReadAt(context.Background(), p, 50); !errors.Is(err, errAway) {
		t.Errorf("a read without network: %v", err)
	}
	away := make(chan struct{})
	net.set(away, false)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("interrupted")
	done := make(chan error, 1)
	go func() {
		_, err := f.ReadAt(ctx, p, 50)
		done <- err
	}()
	cancel(why)
	select {
	case err := <-done:
		if !errors.Is(err, why) {
			t.Errorf("a read that was interrupted: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("a read that was interrupted hangs")
	}
	close(away)
	net.set(nil, false)
	if n, err := f.ReadAt(context.Background(), p, 50); err != nil || !bytes.Equal(p[:n], want["dir03/file0155"][50:150]) {
		t.Errorf("when the network is back: %d bytes, %v", n, err)
	}
}

// TestCloseEndsFetches proves that Close does not wait for a network that is away.
func TestCloseEndsFetches(t *testing.T) {
	r, _ := many(t, 100, 8000)
	net := &network{Store: r.Store}
	repo := r.Repository
	repo.Store = net
	x, err := index.Open(t.TempDir(), index.Options{Identity: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if _, err := x.Build(context.Background(), &repo, r.Load(), index.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := content.New(x, &repo, content.Options{})
	if err != nil {
		t.Fatal(err)
	}
	net.set(make(chan struct{}), false)
	begun := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		close(begun)
		_, err := readFile(c, x.Snapshots()[0], "dir01/file0070")
		done <- err
	}()
	<-begun
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("a read succeeded without network")
	}
}

// TestDiskCache proves that what was fetched is not fetched again by the next process,
// is within its size, is as it was stored, and does no harm when it is damaged.
func TestDiskCache(t *testing.T) {
	r, want := many(t, 500, 8000)
	log := storetest.NewOpLog(r.Store)
	repo := r.Repository
	repo.Store = log
	dir := filepath.Join(t.TempDir(), "disk")
	readAll := func(limit int64) (requests int) {
		before, _ := gets(log, r.Scheme)
		x, c := open(t, &repo, r.Load(), content.Options{Memory: 32 << 20, Disk: dir, DiskSize: limit})
		for path := range want {
			if data, err := readFile(c, x.Snapshots()[0], path); err != nil || !bytes.Equal(data, want[path]) {
				t.Fatalf("%q: %d bytes, %v", path, len(data), err)
			}
		}
		after, _ := gets(log, r.Scheme)
		return after - before
	}
	if n := readAll(0); n == 0 {
		t.Error("nothing was fetched at first")
	}
	if n := readAll(0); n != 0 {
		t.Errorf("%d requests for what is on disk", n)
	}
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(list) < 10 {
		t.Fatalf("pages %v, %v", list, err)
	}
	for i, name := range list[:6] {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if b[len(b)/2] ^= 1; i%2 == 0 {
			b = b[:len(b)/3]
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := readAll(0); n == 0 {
		t.Error("nothing was fetched in place of damaged pages")
	}
	readAll(1 << 20)
	var size int64
	list, _ = filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range list {
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += fi.Size()
	}
	if size > 1<<20 {
		t.Errorf("%d bytes on disk, want at most 1 MiB", size)
	}
}

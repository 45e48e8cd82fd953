package fusefs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/extent"
	"hindsight/chain/treetest"
	"hindsight/fusefs"
	"hindsight/index"
)

// The shape of the tree of BenchmarkFirstFind: a quarter of the one that cmd/bench makes.
const (
	floorDirs  = 3268
	floorFiles = 3 // in each
)

// BenchmarkFirstFind says how much of the first find through a mount is the kernel's, the
// library's and find's own: "floor" is a file system that answers the same requests for
// the same tree from answers that lie ready. cpu-s is what server and find took together.
func BenchmarkFirstFind(b *testing.B) {
	needFUSE(b)
	src := b.TempDir()
	for i := range floorDirs {
		dir := filepath.Join(src, fmt.Sprintf("%02d/%02d/%02d", i%16, i/16%16, i/256))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for k := range floorFiles {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("file", k)), []byte("content"), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("plain", func(b *testing.B) {
		var f finds
		for b.Loop() {
			f.all(b, src)
		}
	})
	b.Run("floor", func(b *testing.B) {
		var f finds
		for b.Loop() {
			dir := b.TempDir()
			fs := newReady(b, src)
			server, err := fuse.NewServer(fs, dir, &fuse.MountOptions{Name: "floor", MaxWrite: 1 << 20, DisableSplice: true, Options: []string{"default_permissions"}})
			if err != nil {
				b.Fatal(err)
			}
			go server.Serve()
			if err := server.WaitMount(); err != nil {
				b.Fatal(err)
			}
			f.all(b, dir)
			eventually(b, "unmount", server.Unmount)
		}
	})
	b.Run("mount", func(b *testing.B) {
		var f finds
		x := indexOf(b, src)
		for b.Loop() {
			dir := b.TempDir()
			mnt, err := fusefs.New(fusefs.Indexed(x, noContents{}), fusefs.Options{
				Dir: dir, Source: "benchmark", Snapshot: x.Snapshots()[0].Number,
			})
			if err != nil {
				b.Fatal(err)
			}
			f.all(b, dir)
			eventually(b, "unmount", mnt.Unmount)
		}
	})
}

// finds sums up what finds took.
type finds struct {
	n         int
	wall, cpu time.Duration
}

// all has find look at all that is in a directory.
func (f *finds) all(b *testing.B, dir string) {
	before, start := cpu(b), time.Now()
	if out, err := exec.Command("find", dir+"/", "-size", "-0").CombinedOutput(); err != nil || len(out) > 0 {
		b.Fatalf("find: %v, %s", err, out)
	}
	f.n++
	f.wall += time.Since(start)
	f.cpu += cpu(b) - before
	b.ReportMetric(f.wall.Seconds()/float64(f.n), "find-s")
	b.ReportMetric(f.cpu.Seconds()/float64(f.n), "cpu-s")
}

// cpu is what this process and its children have taken.
func cpu(b *testing.B) time.Duration {
	var sum int64
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			b.Fatal(err)
		}
		sum += r.Utime.Nano() + r.Stime.Nano()
	}
	return time.Duration(sum)
}

// indexOf is the index of a repository that has a tree.
func indexOf(b *testing.B, src string) *index.Index {
	r := chaintest.New(b)
	r.Source = src
	r.Backup(treetest.BaseTime, backup.Full)
	x, err := index.Open(b.TempDir(), index.Options{Identity: "benchmark"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { x.Close() })
	if _, err := x.Build(context.Background(), &r.Repository, r.Load(), index.BuildOptions{}); err != nil {
		b.Fatal(err)
	}
	return x
}

// noContents are those of files that nobody opens.
type noContents struct{}

var errNoContents = errors.New("nobody opens files here")

func (noContents) Stat(context.Context, *index.Snapshot, index.ID) (index.Entry, error) {
	return index.Entry{}, errNoContents
}

func (noContents) Open(context.Context, *index.Snapshot, index.ID) (fusefs.File, error) {
	return nil, errNoContents
}

func (noContents) Held([]extent.Extent, []byte) bool { return false }

// ready is a file system whose answers lie ready. Nodes are numbered from 1, the root.
type ready struct {
	fuse.RawFileSystem
	nodes []readyNode
}

type readyNode struct {
	fuse.DirEntry
	out      fuse.EntryOut
	children []int // nodes
}

// newReady shows what is in a directory.
func newReady(b *testing.B, src string) *ready {
	fs := &ready{RawFileSystem: fuse.NewDefaultRawFileSystem(), nodes: make([]readyNode, 1)}
	fs.add(b, src)
	return fs
}

func (fs *ready) add(b *testing.B, name string) int {
	var st syscall.Stat_t
	if err := syscall.Lstat(name, &st); err != nil {
		b.Fatal(err)
	}
	number := len(fs.nodes)
	n := readyNode{DirEntry: fuse.DirEntry{Name: filepath.Base(name), Mode: st.Mode, Ino: uint64(number)}}
	n.out.NodeId, n.out.EntryValid, n.out.AttrValid = uint64(number), 1<<30, 1<<30
	n.out.FromStat(&st)
	n.out.Ino, n.out.Nlink = uint64(number), 1 // as in a mount: with more find asks for more
	fs.nodes = append(fs.nodes, n)
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return number
	}
	names, err := os.ReadDir(name)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range names {
		child := fs.add(b, filepath.Join(name, e.Name()))
		fs.nodes[number].children = append(fs.nodes[number].children, child)
	}
	return number
}

func (fs *ready) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.AttrValid, out.Attr = 1<<30, fs.nodes[in.NodeId].out.Attr
	return fuse.OK
}

func (fs *ready) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status {
	return fuse.ENOSYS
}

func (fs *ready) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	children := fs.nodes[in.NodeId].children
	for i := in.Offset; i < uint64(len(children)+2); i++ {
		if i < 2 {
			out.AddDirLookupEntry(fuse.DirEntry{Name: "..."[:i+1], Mode: syscall.S_IFDIR, Off: i + 1})
			continue
		}
		n := &fs.nodes[children[i-2]]
		e := n.DirEntry
		e.Off = i + 1
		to := out.AddDirLookupEntry(e)
		if to == nil {
			break
		}
		*to = n.out
	}
	return fuse.OK
}

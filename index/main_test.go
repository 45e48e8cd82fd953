package index_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// TestMain is a child of a test if that says so. Else it fails if a test leaves goroutines behind, but for those of a library that
// badger starts when it is loaded.
func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := child(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// openIndex opens an index that is closed with the test.
func openIndex(t *testing.T, dir string) *index.Index {
	t.Helper()
	x, err := index.Open(dir, index.Options{Identity: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func build(t *testing.T, x *index.Index, r *chain.Repository, c *chain.Collection) index.BuildResult {
	t.Helper()
	res, err := x.Build(context.Background(), r, c, index.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// tree is a snapshot as treetest records it. What the index does not know of a file's
// content is taken from like.
func tree(t *testing.T, s *index.Snapshot, like treetest.Tree) treetest.Tree {
	t.Helper()
	var out treetest.Tree
	err := s.Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
		n := treetest.Entry{
			Path: path, Mode: e.Mode, UID: e.UID, GID: e.GID, MTime: e.Sec, MTimeNanos: int64(e.Nsec), Target: e.Linkname,
			Major: e.Major, Minor: e.Minor, Type: types[e.Type],
		}
		if e.Type == difftar.Regular {
			was, _ := like.Lookup(path)
			n.SHA256, n.Size = was.SHA256, was.Size
			if e.Size >= 0 {
				n.Size = e.Size
			}
		}
		out = append(out, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var types = map[difftar.Type]treetest.Type{
	difftar.Regular: treetest.TypeFile, difftar.Directory: treetest.TypeDir, difftar.Symlink: treetest.TypeSymlink,
	difftar.CharDevice: treetest.TypeChar, difftar.BlockDevice: treetest.TypeBlock, difftar.Fifo: treetest.TypeFifo,
}

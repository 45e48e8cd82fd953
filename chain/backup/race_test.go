package backup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/source"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// holdStore calls hold once, when the first part of the first volume has come, and
// only then takes it.
type holdStore struct {
	store.Store
	once sync.Once
	hold func()
}

func (h *holdStore) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	return h.Store.Put(ctx, name, &holdBody{body, h}, opt)
}

type holdBody struct {
	store.Body
	h *holdStore
}

func (b *holdBody) Next(ctx context.Context) (store.Part, error) {
	p, err := b.Body.Next(ctx)
	if err == nil && len(p.Data) == store.PartSize {
		b.h.once.Do(b.h.hold)
	}
	return p, err
}

// raced backs up a tree that edit changes when the walk has looked at all of it, but
// nothing is open yet beside the file "a".
func raced(t *testing.T, p *place, src string, at int64, edit func()) warnings {
	t.Helper()
	// Not compressed, so that much more of "a" remains than buffers can hold.
	treetest.Write(t, src, treetest.File("a", "").At(at-500))
	if err := os.Truncate(src+"/a", 3*store.PartSize); err != nil {
		t.Fatal(err)
	}
	treetest.Write(t, src, treetest.Dir("").At(at-500))
	p.format = codec.Format{}
	plain := p.repo.Store
	called := false
	p.repo.Store = &holdStore{Store: plain, hold: func() { edit(); called = true }}
	defer func() { p.repo.Store = plain }()
	w := make(warnings)
	p.backup(t, src, at, backup.Options{
		Jobs: 1, Warn: w.warn, Set: chain.SetOptions{Memory: store.PartSize},
	})
	if !called {
		t.Fatal("the source was not changed during the backup")
	}
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRacedFiles changes files between the look at them and their opening. What
// cannot be read stays as it was in the last backup; what is gone is deleted.
func TestRacedFiles(t *testing.T) {
	names := []string{"fifo", "grown", "large", "link", "moved", "now-dir", "shrunk", "stays", "was-dir", "was-link"}
	for _, before := range []bool{false, true} {
		src := filepath.Join(t.TempDir(), "src")
		treetest.Write(t, src, treetest.Dir(""))
		p := placeOn(t, storetest.NewMem(), storetest.NewMem())
		at := int64(treetest.BaseTime + 1000)
		var was treetest.Tree
		write := func(mtime int64, content string) {
			for _, name := range names {
				must(t, os.RemoveAll(src+"/"+name))
				treetest.Write(t, src, treetest.File(name, content+name).At(mtime))
			}
			treetest.Write(t, src, treetest.Dir("").At(mtime))
		}
		if before {
			write(at-500, "old ")
			must(t, os.Remove(src+"/was-dir"))
			must(t, os.Remove(src+"/was-link"))
			treetest.Write(t, src, treetest.File("was-dir/child", "x").At(at-500), treetest.Symlink("was-link", "stays"), treetest.Dir("").At(at-500))
			p.backup(t, src, at, backup.Options{})
			was = treetest.Record(t, src)
		}
		at += 1000
		write(at-500, "new ")
		grown := make([]byte, 200_000)
		w := raced(t, p, src, at, func() {
			for _, name := range []string{"fifo", "link", "moved", "now-dir", "was-dir", "was-link"} {
				must(t, os.Remove(src+"/"+name))
			}
			must(t, unix.Mkfifo(src+"/fifo", 0o600))
			must(t, os.Symlink("/etc/passwd", src+"/link"))
			must(t, os.Mkdir(src+"/now-dir", 0o755))
			must(t, unix.Mkfifo(src+"/was-dir", 0o600))
			must(t, unix.Mkfifo(src+"/was-link", 0o600))
			treetest.Write(t, src, treetest.File("grown", string(grown)).At(at-500), treetest.File("large", string(grown[:70_000])).At(at-500),
				treetest.File("shrunk", "s").At(at-500), treetest.File("stays", "other").At(at-500), treetest.Dir("").At(at-500))
		})
		for _, name := range []string{"fifo", "link", "now-dir", "was-dir", "was-link"} {
			if !errors.Is(w[name], source.ErrNotRegular) {
				t.Errorf("%s: warning %v", name, w[name])
			}
			delete(w, name)
		}
		if len(w) > 0 {
			t.Errorf("warnings %v", w)
		}
		gone := map[string]bool{"moved": true, "was-dir": true, "was-link": true}
		kept := map[string]bool{"fifo": true, "link": true, "now-dir": true}
		var want treetest.Tree
		for _, e := range treetest.Record(t, src) {
			if kept[e.Path] {
				old, ok := was.Lookup(e.Path)
				if !ok {
					continue
				}
				e = old
			}
			if !gone[e.Path] {
				want = append(want, e)
			}
		}
		p.wantState(t, at, want)

		// The next backup finds it all.
		at += 1000
		treetest.Write(t, src, treetest.Dir("").At(at-500))
		p.backup(t, src, at, backup.Options{})
		p.wantState(t, at, treetest.Record(t, src))
	}
}

// TestTornFile: a file that was written to while it was read, but whose time does
// not show it, is read again by the next backup.
func TestTornFile(t *testing.T) {
	treetest.Sequential(t)
	src := filepath.Join(t.TempDir(), "src")
	treetest.Write(t, src, treetest.Dir(""))
	p := placeOn(t, storetest.NewMem(), storetest.NewMem())
	at := int64(treetest.BaseTime + 1000)
	mtime := unix.NsecToTimeval((at - 500) * 1e9)
	w := raced(t, p, src, at, func() {
		f, err := os.OpenFile(src+"/a", os.O_RDWR, 0)
		must(t, err)
		_, err = f.WriteAt([]byte("written late"), 5)
		must(t, err)
		must(t, f.Close())
		must(t, unix.Utimes(src+"/a", []unix.Timeval{mtime, mtime}))
	})
	if !errors.Is(w["a"], backup.ErrChanged) || len(w) != 1 {
		t.Errorf("warnings %v", w)
	}
	at += 1000
	stats := p.backup(t, src, at, backup.Options{})
	if stats.ChangedFiles != 1 || stats.DeltaEntries != 1 {
		t.Errorf("%+v", stats)
	}
	p.wantState(t, at, treetest.Record(t, src))
	if stats := p.backup(t, src, at+1000, backup.Options{}); stats.DeltaEntries != 0 {
		t.Errorf("a third backup still finds changes: %+v", stats)
	}
}

// TestSingleFile backs up a root that is a file, which becomes something else.
func TestSingleFile(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "file")
	p := newPlace(t)
	at := int64(treetest.BaseTime)
	step := func(nodes ...treetest.Node) {
		t.Helper()
		at += 1000
		must(t, os.RemoveAll(src))
		treetest.Write(t, dir, nodes...)
		p.backup(t, src, at, backup.Options{})
		p.wantState(t, at, treetest.Record(t, src))
	}
	content := string(make([]byte, 150_000))
	step(treetest.File("file", "one"))
	step(treetest.File("file", content).At(at))
	step(treetest.File("file", content+"more").At(at + 1))
	step(treetest.File("file/child", "x"), treetest.Dir("file").At(at+2))
	step(treetest.File("file", "back").At(at + 3))
	must(t, os.Remove(src))
	if _, err := p.run(t, t.Context(), src, at+1000, backup.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a source that is gone: %v", err)
	}
	if n := len(p.load(t).Latest().Sets); n != 5 {
		t.Errorf("chain of %d sets, want 5", n)
	}
}

// TestTypeChanges has names become something else and back.
func TestTypeChanges(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	p := newPlace(t)
	at := int64(treetest.BaseTime)
	states := make(map[int64]treetest.Tree)
	for _, nodes := range [][]treetest.Node{
		{treetest.File("x", "file"), treetest.File("y/a/b", "deep"), treetest.File("y/c", "c"), treetest.File("y-z", "beside")},
		{treetest.File("x/in", "dir"), treetest.File("x/deep/er", "dir"), treetest.File("y", "file")},
		{treetest.Symlink("x", "y"), treetest.Fifo("y"), treetest.File("y.z", "beside")},
		{treetest.File("x", "file"), treetest.File("y/a/b", "deep"), treetest.File("y/c", "c")},
	} {
		must(t, os.RemoveAll(src))
		at += 1000
		treetest.Write(t, src, append(nodes, treetest.Dir("").At(at-500))...)
		p.backup(t, src, at, backup.Options{})
		states[at] = treetest.Record(t, src)
	}
	for at, want := range states {
		p.wantState(t, at, want)
	}
}

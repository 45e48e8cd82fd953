package extract_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"testing"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// cancelling is a Filter that ends the run when it is asked for the n-th time.
type cancelling struct {
	left   *atomic.Int64
	cancel context.CancelCauseFunc
}

var errStop = errors.New("stop")

func (c cancelling) Wants(string, *difftar.Meta) extract.Verdict {
	if c.left.Add(-1) == 0 {
		c.cancel(errStop)
	}
	return extract.Take
}

func (c cancelling) Touches(_, _ string) bool { return true }

// interruptions yields some runs of a chain that are ended in some way.
func interruptions(t *testing.T, seed uint64, run func(h *history, a *archive, n int64) (*extraction, bool)) {
	treetest.NeedRoot(t)
	h := newHistory(treetest.Rand(t, seed), historyOptions{Sets: 4, MaxSize: 200 << 10, Volume: 50 << 10})
	a := h.write(t)
	for n := int64(1); ; n += 1 + n/4 {
		x, ended := run(h, a, n)
		if ended {
			x.equal(t, h.tree(3, everyPath))
			return
		}
		h.checkWhole(t, x)
	}
}

// TestCancel ends the run at many points: nothing half stays.
func TestCancel(t *testing.T) {
	interruptions(t, 31, func(h *history, a *archive, n int64) (*extraction, bool) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		f := cancelling{new(atomic.Int64), cancel}
		f.left.Store(n)
		target, sink := newTarget(t)
		return interrupted(t, ctx, a, target, sink, extract.Options{Filter: f, IgnoreErrors: n%2 == 0}, errStop)
	})
}

func newTarget(t *testing.T) (string, *extract.Disk) {
	target := filepath.Join(t.TempDir(), "target")
	disk, err := extract.NewDisk(target, extract.DiskOptions{NumericOwner: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Close() })
	return target, disk
}

// interrupted makes one run, which must end well or with want.
func interrupted(t *testing.T, ctx context.Context, a *archive, target string, sink extract.Sink, opt extract.Options, want error) (*extraction, bool) {
	t.Helper()
	opt.Repository, opt.Sets, opt.Sink, opt.Jobs, opt.Memory = a.repo, a.sets(t, 3), sink, 3, 1000
	opt.Lost = func(path string, err error) { t.Errorf("%q lost: %v", path, err) }
	x := &extraction{target: target}
	x.result, x.err = extract.Run(ctx, opt)
	if x.err != nil && !errors.Is(x.err, want) {
		t.Errorf("error is %v, want %v", x.err, want)
	}
	noRemains(t, filepath.Dir(target))
	return x, x.err == nil
}

// TestSinkFails lets the target fail at many points.
func TestSinkFails(t *testing.T) {
	interruptions(t, 32, func(h *history, a *archive, n int64) (*extraction, bool) {
		target, disk := newTarget(t)
		var left atomic.Int64
		left.Store(n)
		sink := failSink{disk, func() bool { return left.Add(-1) > 0 }, errDisk}
		return interrupted(t, t.Context(), a, target, sink, extract.Options{IgnoreErrors: n%2 == 0}, errDisk)
	})
}

// TestPathsFail lets the target refuse single paths: they alone are lost.
func TestPathsFail(t *testing.T) {
	treetest.NeedRoot(t)
	h := newHistory(treetest.Rand(t, 33), historyOptions{Sets: 4, MaxSize: 200 << 10, Volume: 50 << 10})
	a := h.write(t)
	want := h.tree(3, everyPath)
	for n := range int64(40) {
		target, disk := newTarget(t)
		var left atomic.Int64
		left.Store(n)
		lost := make(map[string]bool)
		_, err := extract.Run(t.Context(), extract.Options{
			Repository: a.repo, Sets: a.sets(t, 3), Jobs: 2,
			Sink: failSink{disk, func() bool { return left.Add(-1) != 0 }, &extract.PathError{Path: "?", Err: errDisk}},
			Lost: func(path string, err error) {
				if lost[path] = true; !errors.Is(err, errDisk) {
					t.Errorf("%q lost: %v", path, err)
				}
			},
		})
		if err != nil || len(lost) > 1 {
			t.Fatalf("%d: %v, lost %v", n, err, lost)
		}
		noRemains(t, filepath.Dir(target))
		got := treetest.Record(t, target)
		keep := func(e treetest.Entry) bool { return lost[e.Path] }
		treetest.Equal(t, got.Without(keep), want.Without(keep), treetest.Options{})
	}
}

// TestStoreFails lets every request to the store fail in turn.
func TestStoreFails(t *testing.T) {
	interruptions(t, 34, func(h *history, a *archive, n int64) (*extraction, bool) {
		fault := storetest.NewFault(a.mem, storetest.Rule{Op: storetest.Get, Nth: int(n), Effect: storetest.Cut, At: 5000, Times: -1})
		b := a.clone()
		sets := a.sets(t, 3)
		b.repo.Store = fault
		x := b.extract(t, 3, extract.Options{Jobs: 2, Sets: sets})
		if x.err != nil && !errors.Is(x.err, storetest.ErrFault) {
			t.Errorf("%d: %v", n, x.err)
		}
		return x, x.err == nil
	})
}

// TestNoTemporaryFile has no room for what is known of paths.
func TestNoTemporaryFile(t *testing.T) {
	h := newHistory(treetest.Rand(t, 35), historyOptions{Sets: 3, MaxSize: 200 << 10, Volume: 50 << 10})
	a := h.write(t)
	sets := a.sets(t, 2)
	target := filepath.Join(t.TempDir(), "target")
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "nothing"))
	for _, ignore := range []bool{false, true} {
		x := a.extractTo(t, target, 2, extract.Options{Memory: 1, Sets: sets, IgnoreErrors: ignore}, extract.DiskOptions{NumericOwner: true})
		if !errors.Is(x.err, fs.ErrNotExist) || len(x.lost) > 0 {
			t.Errorf("error is %v, lost %v", x.err, x.lost)
		}
	}
}

package backup_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// faultBench is a chain of two sets in memory, to make a third on in many ways.
type faultBench struct {
	src          string
	store, cache *storetest.Mem
	states       map[int64]treetest.Tree
	at           int64 // of the third
	opt          backup.Options
	before       []string // names on the store
}

// newFaultBench prepares for a third set of that mode.
func newFaultBench(t *testing.T, mode backup.Mode) *faultBench {
	t.Helper()
	rng := treetest.Rand(t, 7)
	b := &faultBench{
		src: filepath.Join(t.TempDir(), "src"), store: storetest.NewMem(), cache: storetest.NewMem(),
		states: make(map[int64]treetest.Tree), at: treetest.BaseTime + 3000,
		opt: backup.Options{Mode: mode, Set: chain.SetOptions{VolumeSize: 40 << 10}},
	}
	tree := treetest.RandomOptions{Nodes: 15, MaxSize: 150 << 10}
	treetest.Random(t, b.src, rng, tree)
	p := placeOn(t, b.store, b.cache)
	for _, at := range []int64{treetest.BaseTime + 1000, treetest.BaseTime + 2000} {
		p.backup(t, b.src, at, backup.Options{Set: b.opt.Set})
		b.states[at] = treetest.Record(t, b.src)
		treetest.Mutate(t, b.src, rng, at+500, 8, tree)
	}
	b.states[b.at] = treetest.Record(t, b.src)
	b.before = b.store.Names()
	return b
}

// outcome is what is left after a run that was hit.
type outcome struct {
	store, cache *storetest.Mem
	fired        int
	err          error
}

// hit makes the third set with faults in the store or, of the archive, in the cache.
func (b *faultBench) hit(t *testing.T, archive bool, rule storetest.Rule) outcome {
	t.Helper()
	o := outcome{store: b.store.Clone(), cache: b.cache.Clone()}
	repo, cache := storetest.NewFault(o.store, rule), storetest.NewFault(o.cache)
	faulty := repo
	if archive {
		repo, cache = storetest.NewFault(o.store), storetest.NewFault(o.cache, rule)
		faulty = cache
	}
	_, o.err = placeOn(t, repo, cache).run(t, t.Context(), b.src, b.at, b.opt)
	o.fired = faulty.Fired(0)
	return o
}

// check says what is wrong after a run that failed.
func (b *faultBench) check(t *testing.T, o outcome) {
	t.Helper()
	p := placeOn(t, o.store, o.cache)
	col := p.load(t)
	if len(col.Orphans)+len(col.Superseded) > 0 {
		t.Errorf("%d orphans, %d superseded sets", len(col.Orphans), len(col.Superseded))
	}
	complete := false
	for _, ch := range col.Chains {
		for _, s := range ch.Sets {
			complete = complete || int64(s.End) == b.at
		}
	}
	if o.err == nil && !complete {
		t.Error("no error, and no set")
	}
	for at, want := range b.states {
		if at < b.at || complete {
			p.wantState(t, at, want)
		}
	}
	for _, name := range b.before {
		if !slices.Contains(o.store.Names(), name) {
			t.Errorf("%s is gone", name)
		}
	}

	// The next run, on the same machine.
	next := b.at + 1000
	p.backup(t, b.src, next, b.opt)
	p.wantState(t, next, b.states[b.at])
	if col := p.load(t); len(col.Strays()) > 0 {
		t.Errorf("after the next run %d sets are strays", len(col.Strays()))
	}
	for _, name := range o.cache.Names() {
		if !strings.HasPrefix(name, "duplicity-") && !strings.HasPrefix(name, "hindsight-toc.") {
			t.Errorf("after the next run the archive holds %s", name)
		}
	}
}

// TestSoakFaults fails the n-th operation on the store, and on the archive, in several
// ways, for every n: what was there stays right, and the next run succeeds. Usually every
// way is tried at every second n, so that each n is met in some way.
func TestSoakFaults(t *testing.T) {
	effects := []struct {
		name   string
		effect storetest.Effect
	}{{"fail", storetest.Fail}, {"cut", storetest.Cut}, {"lost", storetest.Lost}, {"kill", storetest.Kill}}
	modes := map[backup.Mode]string{backup.Full: "full", backup.Incremental: "incremental"}
	if testing.Short() {
		delete(modes, backup.Full)
		effects = effects[2:]
	}
	for mode, name := range modes {
		b := newFaultBench(t, mode)
		for _, e := range effects {
			for _, archive := range []bool{false, true} {
				where := "store"
				if archive {
					where = "archive"
				}
				t.Run(name+"/"+e.name+"/"+where, func(t *testing.T) {
					b.each(t, archive, e.effect)
				})
			}
		}
	}
}

// each hits every operation in turn, until a run is not hit any more.
func (b *faultBench) each(t *testing.T, archive bool, effect storetest.Effect) {
	step := 2
	switch {
	case treetest.SoakTime(t, 0) > 0:
		step = 1
	case treetest.Short():
		step = 6
	case testing.Short():
		step = 3
	}
	for n := 1 + int(effect)%step; ; n += step {
		for _, cut := range []int64{0, 20 << 10} {
			if cut > 0 && effect != storetest.Cut && effect != storetest.Kill {
				continue
			}
			o := b.hit(t, archive, storetest.Rule{Nth: n, Effect: effect, At: cut})
			if o.fired == 0 {
				if o.err != nil || n < 6 {
					t.Fatalf("run of less than %d operations: %v", n, o.err)
				}
				return
			}
			b.check(t, o)
			if t.Failed() {
				t.Fatalf("that was operation %d, cut at %d: %v", n, cut, o.err)
			}
		}
	}
}

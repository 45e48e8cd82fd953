package extract_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

// loss is one damaged volume of one set.
type loss struct {
	set         int
	paths       map[string]bool // that have an entry in it
	spanning    map[string]bool // those that another volume has parts of too
	first, last string
	signed      bool            // the set's signatures are there
	spans       map[string]span // what it has of the streams; nil: the portable index cannot tell
}

// bytes are the ranges of a state's content that lie in the volume.
func (l *loss) bytes(path string, st *state) (list []extract.Range) {
	s := l.spans[path]
	for i, set := range st.origin {
		if int(set) != l.set || st.where[i] < s.from || s.to <= st.where[i] {
			continue
		}
		if at := int64(i); len(list) > 0 && list[len(list)-1].To == at {
			list[len(list)-1].To++
		} else {
			list = append(list, extract.Range{From: at, To: at + 1})
		}
	}
	return list
}

// oldest is the oldest set of which a state holds bytes.
func (st *state) oldest() int {
	if len(st.origin) == 0 {
		return st.set
	}
	return int(slices.Min(st.origin))
}

// needs reports whether the state of a file depends on what a set says of it.
func (st *state) needs(set int) bool { return set == st.set || set < st.set && set >= st.oldest() }

// without is what must be there, and what lost, when a volume is.
func (h *history) without(last int, l *loss) (want treetest.Tree, lost []string) {
	for _, p := range h.paths {
		st, ok := h.at(p, last)
		hit := l.paths[p]
		if hit && !l.signed && !l.spanning[p] && h.setOf(p, last) == l.set {
			// Nobody knows that the set said anything of the path.
			st, ok = h.at(p, l.set-1)
			hit = false
		}
		if !ok {
			continue
		}
		gone := hit && st.needs(l.set)
		if !l.signed && difftar.Compare(l.first, p) <= 0 && difftar.Compare(p, l.last) <= 0 {
			gone = gone || st.set > l.set && st.oldest() < l.set
		}
		if gone && st.meta.Type == difftar.Regular {
			lost = append(lost, p)
			continue
		}
		want = append(want, st.entry(p))
	}
	return want, lost
}

// setOf is the set of a path's newest state.
func (h *history) setOf(path string, last int) int {
	set := -1
	for _, st := range h.states[path] {
		if st.set <= last {
			set = st.set
		}
	}
	return set
}

// damages are the ways in which a stored object breaks.
var damages = map[string]func(*testing.T, *archive, string){
	"missing": func(t *testing.T, a *archive, key string) { a.mem.Delete(t.Context(), key) },
	"flipped": func(t *testing.T, a *archive, key string) {
		a.replace(t, key, func(b []byte) []byte { b[len(b)*2/3] ^= 4; return b })
	},
	"cut": func(t *testing.T, a *archive, key string) {
		a.replace(t, key, func(b []byte) []byte { return b[:len(b)*2/3] })
	},
	"empty": func(t *testing.T, a *archive, key string) { a.replace(t, key, func([]byte) []byte { return nil }) },
}

// TestDamagedVolumes breaks each volume of some chains in turn: the files are lost of which
// it had bytes that live, with exactly these bytes, and all others are exact.
func TestDamagedVolumes(t *testing.T) {
	treetest.NeedRoot(t)
	one := 1 // of so many volumes is tried
	switch {
	case treetest.Short():
		one = 16
	case testing.Short():
		one = 3
	}
	for seed := range uint64(3) {
		rng := treetest.Rand(t, 100+seed)
		opt := historyOptions{Sets: 4 + int(seed), MaxSize: 150 << 10, Volume: []int64{1, 60 << 10, 150 << 10}[seed]}
		opt.Format = codec.Format{Compressed: seed == 2}
		h := newHistory(rng, opt)
		a := h.write(t)
		sets := a.sets(t, h.sets-1)
		for i, s := range sets {
			m, contents, spans := a.contents(t, s)
			for v := range contents {
				if rng.IntN(one) > 0 {
					continue
				}
				refused := seed > 0 || rng.IntN(6) == 0 // of the first there is a volume for each part
				l := loss{set: i, paths: make(map[string]bool), spanning: make(map[string]bool), first: m.Volumes[v].Start.Path, last: m.Volumes[v].End.Path, spans: spans[v]}
				for _, p := range contents[v] {
					l.paths[p] = true
					l.spanning[p] = v > 0 && slices.Contains(contents[v-1], p) || v+1 < len(contents) && slices.Contains(contents[v+1], p)
				}
				names := slices.Sorted(maps.Keys(damages))
				name := names[(i+v)%len(names)]
				t.Run(fmt.Sprintf("%d/set%d/vol%d/%s", seed, i, v+1, name), func(t *testing.T) {
					b := a.clone()
					damages[name](t, b, s.Volumes[v].Key)
					l.signed = true
					h.checkSaved(t, b, &l)
					if !refused {
						return
					}
					h.checkRefused(t, b)
					if v%2 == 0 {
						b.mem.Delete(t.Context(), s.Signatures.Key)
					} else { // right behind an entry, if nothing is compressed
						b.replace(t, s.Signatures.Key, func(b []byte) []byte { return b[:min(512, len(b)*2/3)] })
					}
					l.signed = false
					h.checkSaved(t, b, &l)
				})
			}
		}
	}
}

// checkRefused extracts without IgnoreErrors: it fails, and nothing that is there is
// wrong.
func (h *history) checkRefused(t *testing.T, a *archive) {
	t.Helper()
	x := a.extract(t, h.sets-1, extract.Options{Jobs: 2, Memory: 1})
	if !errors.Is(x.err, chain.ErrHash) && !errors.Is(x.err, chain.ErrMissingVolume) {
		t.Errorf("error is %v", x.err)
	}
	h.checkWhole(t, x)
}

// checkWhole compares the files that have their names.
func (h *history) checkWhole(t *testing.T, x *extraction) {
	t.Helper()
	got, _ := treetest.Scan(x.target) // which may not be there
	want := h.tree(h.sets-1, everyPath)
	for _, e := range got {
		if e.Type != treetest.TypeDir {
			w, _ := want.Lookup(e.Path)
			treetest.Equal(t, treetest.Tree{e}, treetest.Tree{w}, treetest.Options{})
		}
	}
}

// checkSaved extracts with IgnoreErrors: what can be saved is, and the rest is named.
func (h *history) checkSaved(t *testing.T, a *archive, l *loss) {
	t.Helper()
	want, lost := h.without(h.sets-1, l)
	x := a.extract(t, h.sets-1, extract.Options{Jobs: 2, IgnoreErrors: true})
	if x.err != nil {
		t.Errorf("signed %v: %v", l.signed, x.err)
		return
	}
	if (x.lost[""] == nil) != l.signed {
		t.Errorf("signed %v: told of the whole: %v", l.signed, x.lost[""])
	}
	if x.result.Lost != int64(len(x.lost)) {
		t.Errorf("%d paths lost, %d told", x.result.Lost, len(x.lost))
	}
	for p, err := range x.lost {
		if errors.Is(err, extract.ErrTarget) {
			t.Errorf("signed %v: %q: %v is no fault of the target's", l.signed, p, err)
		}
	}
	delete(x.lost, "")
	h.checkExtents(t, x, l)
	if got := slices.SortedFunc(maps.Keys(x.lost), difftar.Compare[string, string]); !slices.Equal(got, lost) {
		t.Errorf("signed %v: lost %q, want %q", l.signed, got, lost)
	}
	got := treetest.Record(t, x.target)
	if !l.signed { // a directory that is not known may have come to be for what lies in it
		got = got.Without(func(e treetest.Entry) bool {
			_, known := want.Lookup(e.Path)
			return e.Type == treetest.TypeDir && !known
		})
	}
	treetest.Equal(t, got, want, treetest.Options{})
}

// checkExtents compares what is said to be lost of each file with the oracle.
func (h *history) checkExtents(t *testing.T, x *extraction, l *loss) {
	t.Helper()
	for p, err := range x.lost {
		var damage *extract.DamageError
		switch st, _ := h.at(p, h.sets-1); {
		case errors.As(err, &damage) != (l.spans != nil):
			t.Errorf("signed %v: %q: how much is lost: %v", l.signed, p, err)
		case l.spans == nil:
		case damage.Size != int64(len(st.data)) || !slices.Equal(damage.Ranges, l.bytes(p, &st)):
			t.Errorf("signed %v: %q: lost %d %v, want %d %v", l.signed, p, damage.Size, damage.Ranges, len(st.data), l.bytes(p, &st))
		}
	}
}

// TestDamageExtents breaks several volumes of a chain and compares how much of each file is
// said to be lost; without one set's portable index that is known only of what newer sets
// have all of.
func TestDamageExtents(t *testing.T) {
	treetest.NeedRoot(t)
	for seed := range uint64(6) {
		rng := treetest.Rand(t, 700+seed)
		h := newHistory(rng, historyOptions{Sets: 5, MaxSize: 150 << 10, Volume: 70 << 10})
		a := h.write(t)
		var losses []*loss
		sets := a.sets(t, h.sets-1)
		for i, s := range sets {
			_, _, spans := a.contents(t, s)
			for v := range spans {
				if rng.IntN(3) == 0 {
					a.mem.Delete(t.Context(), s.Volumes[v].Key)
					losses = append(losses, &loss{set: i, spans: spans[v]})
				}
			}
		}
		untold := int(seed)%3*2 - 2 // a set without an index; -2: all have theirs
		if untold >= 0 {
			a.mem.Delete(t.Context(), sets[untold].TOC.Key)
		}
		x := a.extract(t, h.sets-1, extract.Options{IgnoreErrors: true})
		if x.err != nil || len(losses) == 0 || len(x.lost) == 0 {
			t.Fatalf("%v, %d volumes, %d paths lost", x.err, len(losses), len(x.lost))
		}
		for _, p := range h.paths {
			st, ok := h.at(p, h.sets-1)
			if !ok || st.meta.Type != difftar.Regular {
				continue
			}
			bytes := make([]bool, len(st.data))
			n := 0
			for _, l := range losses {
				for _, r := range l.bytes(p, &st) {
					for i := r.From; i < r.To; i++ {
						bytes[i] = true
						n++
					}
				}
			}
			lost := x.lost[p]
			var damage *extract.DamageError
			if !errors.As(lost, &damage) {
				if lost != nil && st.oldest() > untold || lost == nil && n > 0 {
					t.Errorf("%q: lost: %v; %d bytes are", p, lost, n)
				}
				continue
			}
			for _, r := range damage.Ranges {
				for i := r.From; i < r.To; i++ {
					if !bytes[i] {
						t.Fatalf("%q: byte %d is not lost: %v", p, i, damage.Ranges)
					}
					n--
				}
			}
			if n != 0 || damage.Size != int64(len(st.data)) {
				t.Errorf("%q: %d bytes more are lost than %v of %d", p, n, damage.Ranges, damage.Size)
			}
		}
	}
}

// TestDamagedPairs breaks two volumes that follow one another, so that nothing is
// left that could name the file that spans them.
func TestDamagedPairs(t *testing.T) {
	treetest.NeedRoot(t)
	h := newHistory(treetest.Rand(t, 5), historyOptions{Sets: 1, MaxSize: 1000, Volume: 1})
	meta := h.meta(difftar.Regular)
	old := state{kind: difftar.Snapshot, meta: meta, data: h.noise(100_000), origin: make([]uint8, 100_000), where: make([]int, 100_000)}
	old.stream = old.data
	h.states["b/2"] = []state{old}
	h.sets = 2
	middle := state{set: 1, kind: difftar.Diff, meta: meta, stream: []byte("rs\x026")}
	h.randomOp(&middle, &state{}) // a literal
	h.opt.MaxSize = 100_000
	for len(middle.stream) < 70_000 {
		h.randomOp(&middle, &state{})
	}
	h.copyOp(&middle, &old, 0, len(old.data))
	middle.stream = append(middle.stream, 0)
	h.states["b/2"] = append(h.states["b/2"], middle)
	h.sets = 3
	newest := state{set: 2, kind: difftar.Diff, meta: meta, stream: []byte("rs\x026")}
	h.copyOp(&newest, &middle, 10, len(middle.data)-10)
	newest.stream = append(newest.stream, 0)
	h.states["b/2"] = append(h.states["b/2"], newest)
	a := h.write(t)
	for last := 1; last < 3; last++ {
		sets := a.sets(t, last)
		if n := len(sets[1].Volumes); n != 2 {
			t.Fatalf("%d volumes", n)
		}
		for _, signed := range []bool{true, false} {
			b := a.clone()
			for _, v := range sets[1].Volumes {
				b.mem.Delete(t.Context(), v.Key)
			}
			if !signed {
				b.mem.Delete(t.Context(), sets[1].Signatures.Key)
			}
			x := b.extract(t, last, extract.Options{IgnoreErrors: true})
			if x.err != nil || x.lost["b/2"] == nil {
				t.Errorf("last %d, signed %v: %v, lost %v", last, signed, x.err, x.lost)
			}
			if got, ok := treetest.Record(t, x.target).Lookup("b/2"); ok {
				t.Errorf("last %d, signed %v: %+v is there", last, signed, got)
			}
		}
	}
}

// TestDamagedManifest breaks a manifest in the middle of a chain: by IgnoreErrors
// the whole set counts as lost.
func TestDamagedManifest(t *testing.T) {
	treetest.NeedRoot(t)
	seeds := uint64(4)
	if treetest.Short() {
		seeds = 1
	}
	for seed := range seeds {
		h := newHistory(treetest.Rand(t, 300+seed), historyOptions{Sets: 5, MaxSize: 100 << 10, Volume: 80 << 10})
		a := h.write(t)
		l := loss{set: 2, paths: make(map[string]bool), first: "", last: "\xff", signed: true}
		for _, p := range h.paths {
			if _, ok := h.stateIn(p, 2); ok {
				l.paths[p] = true
			}
		}
		sets := a.sets(t, 4)
		a.replace(t, sets[2].Manifest.Key, func(b []byte) []byte { return append(b, "Volume x:\n"...) })
		if x := a.extract(t, 4, extract.Options{}); x.err == nil {
			t.Error("a damaged manifest was taken")
		}
		h.checkSaved(t, a, &l)
		a.mem.Delete(t.Context(), sets[2].Signatures.Key)
		l.signed = false
		h.checkSaved(t, a, &l)

		// Without a manifest there is no set, and the chain ends before it.
		a.mem.Delete(t.Context(), sets[2].Manifest.Key)
		if got := a.sets(t, 4); len(got) != 2 {
			t.Errorf("%d sets", len(got))
		}
		a.extract(t, 4, extract.Options{}).equal(t, h.tree(1, everyPath))
	}
}

// TestAllManifestsDamaged ends the run even by IgnoreErrors: most likely the key is
// the wrong one.
func TestAllManifestsDamaged(t *testing.T) {
	h := newHistory(treetest.Rand(t, 1), historyOptions{Sets: 2, MaxSize: 1000, Volume: 1 << 20})
	a := h.write(t)
	for _, s := range a.sets(t, 1) {
		a.replace(t, s.Manifest.Key, func([]byte) []byte { return []byte("Hostname x\n") })
	}
	var corrupt *chain.CorruptError
	if x := a.extract(t, 1, extract.Options{IgnoreErrors: true}); !errors.As(x.err, &corrupt) {
		t.Errorf("error is %v", x.err)
	}
}

// TestManyDamagedVolumes loses more volumes than there are buffers for small files.
func TestManyDamagedVolumes(t *testing.T) {
	a := newArchive()
	a.writeSet(t, 0, historyOptions{Volume: 1}, func(w *chain.SetWriter) error {
		for i := range 60 {
			m := difftar.Meta{Type: difftar.Regular, Mode: 0o644}
			if err := addFile(w, fmt.Sprintf("f%03d", i), difftar.Snapshot, m, make([]byte, 5000)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, v := range a.sets(t, 0)[0].Volumes {
		a.replace(t, v.Key, func(b []byte) []byte { return b[:1000] })
	}
	x := a.extract(t, 0, extract.Options{IgnoreErrors: true, Jobs: 1})
	if x.err != nil || len(x.lost) != 60 {
		t.Errorf("%v, %d lost", x.err, len(x.lost))
	}
}

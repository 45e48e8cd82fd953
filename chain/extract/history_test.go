package extract_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/librsync"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// state is what one set says of a path.
type state struct {
	set    int
	kind   difftar.Kind // Snapshot, Diff or Deleted
	meta   difftar.Meta
	data   []byte  // whole content of a file
	origin []uint8 // of each byte of it: the set in which it is a literal
	where  []int   // and its offset in that set's stream
	stream []byte  // as stored: the content, or a delta
}

// history is a random tree through several sets, each path's states oldest first:
// the naive oracle of what extraction must bring back.
type history struct {
	rng    *rand.Rand
	opt    historyOptions
	sets   int
	paths  []string
	states map[string][]state
}

type historyOptions struct {
	Sets    int
	MaxSize int  // bytes of a new file
	Retype  bool // directories become files and back
	Volume  int64
	Format  codec.Format
}

// historyPaths is a tree whose order is not that of its path strings.
var historyPaths = []string{
	"", "a", "a/inner", "a/inner/deep", "a/inner/f1", "a/x", "a-b", "a.b", "b", "b/1", "b/2", "b/3", "b/link",
	"c", "c/0", "c/00", "c/\xff\xfe", "c/with space", "d", "e/f/g/h", "e", "e/f", "e/f/g", "z",
}

var historyDirs = map[string]bool{"": true, "a": true, "a/inner": true, "b": true, "c": true, "e": true, "e/f": true, "e/f/g": true}

func newHistory(rng *rand.Rand, opt historyOptions) *history {
	h := &history{rng: rng, opt: opt, states: make(map[string][]state)}
	h.paths = slices.Clone(historyPaths)
	slices.SortFunc(h.paths, difftar.Compare[string, string])
	for range opt.Sets {
		h.next()
	}
	return h
}

// next adds a set.
func (h *history) next() {
	for _, p := range h.paths {
		gone := !h.alive(p) && h.last(p).kind != difftar.Deleted // each child has an entry of its own
		if !gone && h.sets > 0 && h.rng.IntN(10) < 5 {
			continue
		}
		if st, ok := h.edit(p); ok {
			st.set = h.sets
			h.states[p] = append(h.states[p], st)
		}
	}
	h.sets++
}

// last is the newest state of a path; it is Deleted if there is none.
func (h *history) last(path string) state {
	if s := h.states[path]; len(s) > 0 {
		return s[len(s)-1]
	}
	return state{kind: difftar.Deleted}
}

// alive reports whether the parent of a path is a directory now.
func (h *history) alive(path string) bool {
	if path == "" {
		return true
	}
	parent := ""
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		parent = path[:i]
	}
	st := h.last(parent)
	return st.kind != difftar.Deleted && st.meta.Type == difftar.Directory
}

// edit makes the next state of a path; false means that it stays as it is.
func (h *history) edit(path string) (state, bool) {
	old := h.last(path)
	if !h.alive(path) {
		return state{kind: difftar.Deleted}, old.kind != difftar.Deleted
	}
	if historyDirs[path] && (!h.opt.Retype || path == "" || h.rng.IntN(6) > 0) {
		return state{kind: difftar.Snapshot, meta: h.meta(difftar.Directory)}, true
	}
	switch n := h.rng.IntN(20); {
	case old.kind == difftar.Deleted || old.meta.Type != difftar.Regular:
		if n < 4 {
			return state{kind: difftar.Snapshot, meta: h.meta(difftar.Symlink)}, true
		}
		return h.snapshot(), true
	case n < 3:
		return state{kind: difftar.Deleted}, true
	case n < 5:
		return state{kind: difftar.Snapshot, meta: h.meta(difftar.Fifo)}, true
	case n < 8:
		return h.snapshot(), true
	}
	return h.delta(&old), true
}

func (h *history) meta(t difftar.Type) difftar.Meta {
	m := difftar.Meta{
		Type: t, Mode: 0o400 | h.rng.Uint32N(0o1000), UID: int64(h.rng.IntN(3)) * 1000, GID: int64(h.rng.IntN(3)) * 1000,
		MTime: treetest.BaseTime - h.rng.Int64N(1e8),
	}
	switch {
	case t == difftar.Directory:
		m.Mode |= 0o700
	case t == difftar.Symlink:
		m.Mode, m.Linkname = 0o777, fmt.Sprintf("../to/%d", h.rng.Uint32())
	case h.rng.IntN(10) == 0:
		m.Mode |= 0o4000
	}
	return m
}

// snapshot is a new file, its size often right at a border of parts.
func (h *history) snapshot() state {
	n := h.rng.IntN(2000)
	switch h.rng.IntN(6) {
	case 0:
		n = h.rng.IntN(h.opt.MaxSize)
	case 1:
		n = difftar.PartSize*(1+h.rng.IntN(3)) - h.rng.IntN(2)
	case 2:
		n = 0
	}
	st := state{kind: difftar.Snapshot, meta: h.meta(difftar.Regular), data: h.noise(n), origin: make([]uint8, n)}
	for i := range st.origin {
		st.origin[i] = uint8(h.sets)
		st.where = append(st.where, i)
	}
	st.stream = st.data
	return st
}

func (h *history) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(h.rng.Uint32())
	}
	return b
}

// delta is a new version of a file as random ops on the old one.
func (h *history) delta(old *state) state {
	st := state{kind: difftar.Diff, meta: h.meta(difftar.Regular)}
	st.stream = []byte("rs\x026")
	if h.rng.IntN(4) == 0 && len(old.data) > 0 { // only the metadata change
		h.copyOp(&st, old, 0, len(old.data))
	} else {
		for range h.rng.IntN(8) {
			h.randomOp(&st, old)
		}
	}
	st.stream = append(st.stream, 0)
	return st
}

func (h *history) randomOp(st, old *state) {
	if n := len(old.data); n > 0 && h.rng.IntN(3) > 0 && len(st.data) < 4*h.opt.MaxSize {
		from := h.rng.IntN(n)
		h.copyOp(st, old, from, 1+h.rng.IntN(n-from))
		return
	}
	n := 1 + h.rng.IntN(100)
	if h.rng.IntN(3) == 0 {
		n = 1 + h.rng.IntN(h.opt.MaxSize)
	}
	h.literalOp(st, h.noise(n))
}

func (h *history) literalOp(st *state, lit []byte) {
	n := len(lit)
	for i := range lit {
		st.where = append(st.where, len(st.stream)+5+i)
	}
	st.stream = binary.BigEndian.AppendUint32(append(st.stream, 0x43), uint32(n))
	st.stream = append(st.stream, lit...)
	st.data = append(st.data, lit...)
	st.origin = append(st.origin, bytes.Repeat([]byte{uint8(h.sets)}, n)...)
}

func (h *history) copyOp(st, old *state, from, n int) {
	st.stream = append(st.stream, 0x45+4*2+3)
	st.stream = binary.BigEndian.AppendUint32(st.stream, uint32(from))
	st.stream = binary.BigEndian.AppendUint64(st.stream, uint64(n))
	st.data = append(st.data, old.data[from:from+n]...)
	st.origin = append(st.origin, old.origin[from:from+n]...)
	st.where = append(st.where, old.where[from:from+n]...)
}

// at is the state of a path after a set.
func (h *history) at(path string, set int) (state, bool) {
	s := h.states[path]
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].set <= set {
			return s[i], s[i].kind != difftar.Deleted
		}
	}
	return state{}, false
}

// entry is what the target must hold of a state.
func (st *state) entry(path string) treetest.Entry {
	e := treetest.Entry{
		Path: path, Mode: st.meta.Mode, UID: st.meta.UID, GID: st.meta.GID, MTime: st.meta.MTime,
		Target: st.meta.Linkname, Major: st.meta.Major, Minor: st.meta.Minor,
	}
	switch st.meta.Type {
	case difftar.Directory:
		e.Type = treetest.TypeDir
	case difftar.Symlink:
		e.Type = treetest.TypeSymlink
	case difftar.Fifo:
		e.Type = treetest.TypeFifo
	case difftar.Regular:
		e.Type = treetest.TypeFile
		e.Size, e.SHA256 = int64(len(st.data)), sha256.Sum256(st.data)
	}
	return e
}

// tree is the whole tree after a set, of the paths that keep says.
func (h *history) tree(set int, keep func(path string) bool) treetest.Tree {
	var t treetest.Tree
	for _, p := range h.paths {
		if st, ok := h.at(p, set); ok && keep(p) {
			t = append(t, st.entry(p))
		}
	}
	return t
}

func everyPath(string) bool { return true }

// archive is a repository in memory.
type archive struct {
	mem  *storetest.Mem
	repo *chain.Repository
}

func setTime(i int) naming.Time { return naming.Time(treetest.BaseTime + 1000*int64(i)) }

func setID(i int) chain.SetID {
	if i == 0 {
		return chain.SetID{End: setTime(0)}
	}
	return chain.SetID{Inc: true, Start: setTime(i - 1), End: setTime(i)}
}

func newArchive() *archive {
	a := &archive{mem: storetest.NewMem()}
	a.repo = &chain.Repository{Store: a.mem, Archive: storetest.NewMem()}
	return a
}

// write stores all sets of a history.
func (h *history) write(t testing.TB) *archive {
	t.Helper()
	a := newArchive()
	for i := range h.sets {
		a.writeSet(t, i, h.opt, func(w *chain.SetWriter) error { return h.writeSet(w, i) })
	}
	return a
}

func (a *archive) writeSet(t testing.TB, i int, opt historyOptions, fill func(*chain.SetWriter) error) {
	t.Helper()
	pool := codec.NewPool(1, 0)
	defer pool.Close()
	w, err := a.repo.NewSetWriter(t.Context(), setID(i), chain.SetOptions{
		VolumeSize: opt.Volume, Format: opt.Format, Pool: pool, Memory: 1 << 20, NoChanges: true,
	})
	if err == nil {
		defer w.Abort()
		if err = fill(w); err == nil {
			err = w.Commit()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (h *history) writeSet(w *chain.SetWriter, set int) error {
	for _, p := range h.paths {
		st, ok := h.stateIn(p, set)
		if !ok {
			continue
		}
		if err := addSigned(w, p, st.kind, st.meta, st.stream, signature(st.data)); err != nil {
			return err
		}
	}
	return nil
}

// signature is that of a file's content.
func signature(data []byte) []byte {
	var b bytes.Buffer
	w := librsync.NewSignatureWriter(&b, 100)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// stateIn is what a set itself says of a path.
func (h *history) stateIn(path string, set int) (state, bool) {
	for _, st := range h.states[path] {
		if st.set == set {
			return st, true
		}
	}
	return state{}, false
}

// addFile stores an entry, cut into parts as it must be (duplicity-format.md §3.4),
// and its signature.
func addFile(w *chain.SetWriter, path string, kind difftar.Kind, m difftar.Meta, stream []byte) error {
	return addSigned(w, path, kind, m, stream, signature(stream))
}

func addSigned(w *chain.SetWriter, path string, kind difftar.Kind, m difftar.Meta, stream, sig []byte) error {
	e := difftar.Entry{Path: path, Kind: kind, Meta: m}
	if err := addParts(w, e, stream); err != nil {
		return err
	}
	if m.Type == difftar.Regular {
		e.Kind = difftar.Signature
	} else {
		sig = nil
	}
	e.Size, e.Part = int64(len(sig)), 0
	return w.AddSignature(&e, sig, new(chain.Details))
}

func addParts(w *chain.SetWriter, e difftar.Entry, stream []byte) error {
	if len(stream) < difftar.PartSize {
		e.Size = int64(len(stream))
		return w.Add(&e, stream)
	}
	for e.Part = 1; ; e.Part++ {
		p := stream[:min(len(stream), difftar.PartSize)]
		stream = stream[len(p):]
		e.Size = int64(len(p))
		if err := w.Add(&e, p); err != nil || len(p) < difftar.PartSize {
			return err
		}
	}
}

// sets are the sets up to one, as found on the store.
func (a *archive) sets(t testing.TB, last int) []*chain.Set {
	t.Helper()
	col, err := chain.Load(context.Background(), a.repo.Store, a.repo.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := col.At(setTime(last))
	if err != nil {
		t.Fatal(err)
	}
	return ch.Until(setTime(last))
}

// span is the part of a path's stream that one volume has.
type span struct{ from, to int }

// contents are the paths of each volume of a set, and what it has of their streams.
func (a *archive) contents(t testing.TB, set *chain.Set) (m *manifest.Manifest, paths [][]string, spans []map[string]span) {
	t.Helper()
	ctx := context.Background()
	m, err := a.repo.Manifest(ctx, set)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range m.Volumes {
		vr, err := a.repo.Volume(ctx, set, v)
		if err != nil {
			t.Fatal(err)
		}
		var in []string
		has := make(map[string]span)
		for {
			e, err := vr.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, e.Path)
			from := max(e.Part-1, 0) * difftar.PartSize
			to := from + int(e.Size)
			if s, ok := has[e.Path]; ok {
				from = s.from
			}
			has[e.Path] = span{from, to}
		}
		vr.Close()
		paths, spans = append(paths, slices.Compact(in)), append(spans, has)
	}
	return m, paths, spans
}

// replace changes the bytes of a stored object.
func (a *archive) replace(t testing.TB, key string, change func([]byte) []byte) {
	t.Helper()
	ctx := context.Background()
	data, err := store.ReadAll(ctx, a.mem, key, 1<<30)
	if err == nil {
		err = a.mem.Put(ctx, key, store.Bytes(change(slices.Clone(data))), store.PutOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// clone is a copy that can be damaged.
func (a *archive) clone() *archive {
	c := &archive{mem: a.mem.Clone()}
	c.repo = &chain.Repository{Store: c.mem, Scheme: a.repo.Scheme}
	return c
}

package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// TestSoakRanges: random ranges of volumes and signatures of duplicity's, of every kind,
// and of our own, equal what is read from the beginning: 10,000, or what a few seconds
// allow.
func TestSoakRanges(t *testing.T) {
	treetest.Sequential(t)
	all := append(append(goldenObjects(t), duplicityObjects(t)...), ourObjects(t)...)
	checkVariety(t, all)
	rng := treetest.Rand(t, 20261125)
	readers := make([]*chain.RangeReader, len(all))
	ends := make([]int64, len(all)) // of the objects, one behind the other
	total := int64(0)
	for i, s := range all {
		readers[i] = s.ranges(t)
		total += int64(len(s.data))
		ends[i] = total
		checkRange(t, s, readers[i], rng)
	}
	deadline := time.Now().Add(treetest.SoakTime(t, 2*time.Second))
	count := len(all)
	for ; count < 10_000 && time.Now().Before(deadline); count++ {
		i, _ := slices.BinarySearch(ends, 1+rng.Int64N(total))
		checkRange(t, all[i], readers[i], rng)
	}
	t.Logf("%d ranges", count)
}

// checkVariety sees that the objects are of all kinds that matter.
func checkVariety(t *testing.T, all []*stored) {
	t.Helper()
	var encrypted, windows, large int
	for _, s := range all {
		for _, b := range s.table.Blocks {
			if b.Resume != nil && len(b.Resume.Window) > 0 {
				windows++
			}
		}
		if s.o.Encrypted {
			encrypted++
		}
		if len(s.table.Blocks) > 1 {
			large++
		}
	}
	t.Logf("%d objects, %d of them encrypted, %d of several blocks; %d windows", len(all), encrypted, large, windows)
	if !testing.Short() && (len(all) < 150 || encrypted < 20 || large < 20 || windows < 10) {
		t.Error("too few objects")
	}
}

func checkRange(t *testing.T, s *stored, r *chain.RangeReader, rng *rand.Rand) {
	t.Helper()
	off := rng.Int64N(int64(len(s.data)) + 1)
	want := s.data[off:]
	p := make([]byte, rng.IntN(1<<rng.IntN(21)+1))
	n, err := r.ReadAt(t.Context(), p, off)
	if short := len(want) < len(p); short != (err == io.EOF) || err != nil && !short {
		t.Fatalf("%s: %d bytes at %d of %d: %v", s.name, len(p), off, len(s.data), err)
	}
	if n != min(len(p), len(want)) || !bytes.Equal(p[:n], want[:n]) {
		t.Fatalf("%s: %d bytes at %d: wrong bytes", s.name, len(p), off)
	}
}

// TestRangeDamage: one changed byte anywhere in what a block needs is an error that names
// object and offset, or changes nothing.
func TestRangeDamage(t *testing.T) {
	treetest.Sequential(t)
	rng := treetest.Rand(t, 7)
	noticed := 0
	for _, s := range ourObjects(t) {
		whole := get(t, s.repo.Store, s.o.Key)
		st := storetest.NewMem()
		repo := *s.repo
		repo.Store = st
		r, err := repo.Ranges(s.o, s.table)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			block := rng.IntN(len(s.table.Blocks))
			b := s.table.Blocks[block]
			off, n := s.table.Range(block, block)
			damaged := bytes.Clone(whole)
			damaged[off+rng.Int64N(n)] ^= 1 << rng.IntN(8)
			put(t, st, s.o.Key, damaged)
			got, err := r.Block(t.Context(), block)
			if err == nil {
				if !bytes.Equal(got, s.data[b.TarOffset:b.TarOffset+int64(b.Len)]) {
					t.Fatalf("%s: wrong bytes", s.name)
				}
				continue
			}
			noticed++
			var corrupt *chain.CorruptError
			var where *codec.BlockError
			if !errors.As(err, &corrupt) || corrupt.Object != s.o.Key || !errors.As(err, &where) || where.Offset != off ||
				strings.Count(err.Error(), s.o.Key) != 1 || !strings.Contains(err.Error(), fmt.Sprint(off)) {
				t.Fatalf("%s: error %v", s.name, err)
			}
		}
		put(t, st, s.o.Key, whole[:len(whole)/2])
		_, err = r.Block(t.Context(), len(s.table.Blocks)-1)
		if corrupt := (*chain.CorruptError)(nil); !errors.As(err, &corrupt) || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, codec.ErrCorrupt) {
			t.Errorf("%s: cut short: %v", s.name, err)
		}
	}
	if noticed < 300 {
		t.Errorf("only %d damages were noticed", noticed)
	}
}

// Stock volumes: whatever byte is changed, a read of the whole says that the hash does
// not match, and gives no table.
func TestGatherDamage(t *testing.T) {
	treetest.Sequential(t)
	rng := treetest.Rand(t, 8)
	for _, name := range []string{"plain-gz", "plain-none", "gpg-symmetric", "gpg-pubkey-sign", "gnu-tar"} {
		r, col := openCase(t, treetest.LoadCase(t, name))
		s := col.Latest().Sets[0]
		m, err := r.Manifest(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Volume(m.Volumes[0].Number)
		if err != nil {
			t.Fatal(err)
		}
		whole := get(t, r.Store, o.Key)
		st := storetest.NewMem()
		repo := *r
		repo.Store = st
		for range 10 {
			damaged := bytes.Clone(whole)
			damaged[rng.IntN(len(whole))] ^= 1 << rng.IntN(8)
			put(t, st, o.Key, damaged)
			vr, err := gatherVolume(t.Context(), &repo, s, m.Volumes[0], chain.VolumeOptions{Gather: true})
			if !errors.Is(err, chain.ErrHash) {
				t.Errorf("%s: %v", name, err)
			}
			if vr != nil && vr.Table() != nil {
				t.Errorf("%s: a table", name)
			}
		}
	}
}

// Neighbours are fetched at once, within bounds; what lies apart is not.
func TestRangeRequests(t *testing.T) {
	treetest.Sequential(t)
	r, st := newRepository()
	log := storetest.NewOpLog(st)
	r.Store = log
	items := parts("a", string(noise(12<<20, 1)))
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz, Pool: newPool(t)}, items)
	s := gathered(t, "ours", r, load(t, st))[0]
	rr := s.ranges(t)
	blocks := len(s.table.Blocks)
	for _, tt := range []struct {
		name  string
		want  []int
		most  int
		least int
	}{
		{"one", []int{3}, 1, 1},
		{"neighbours", []int{3, 4, 5}, 1, 1},
		{"apart", []int{3, 9, 20}, 3, 3},
		{"many apart", every(2, blocks), (blocks + 1) / 2, (blocks + 1) / 2},
		{"large and small", append([]int{0, 2}, sequence(blocks)[4:]...), 6, 4},
		{"all", sequence(blocks), 4, 3},
		{"none", nil, 0, 0},
	} {
		before := len(log.Records())
		var got []int
		err := rr.Each(t.Context(), tt.want, func(b int, plain []byte) error {
			got = append(got, b)
			if at := s.table.Blocks[b].TarOffset; !bytes.Equal(plain, s.data[at:at+int64(len(plain))]) {
				t.Errorf("%s: wrong bytes", tt.name)
			}
			return nil
		})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Fatalf("%s: blocks %v, %v", tt.name, got, err)
		}
		if n := len(log.Records()) - before; n > tt.most || n < tt.least {
			t.Errorf("%s: %d requests, want %d to %d", tt.name, n, tt.least, tt.most)
		}
	}
	for _, want := range [][]int{{-1}, {blocks}, {3, 3}, {4, 3}} {
		if err := rr.Each(t.Context(), want, nil); err == nil {
			t.Errorf("blocks %v: no error", want)
		}
	}
}

func sequence(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func every(step, n int) (some []int) {
	for i := 0; i < n; i += step {
		some = append(some, i)
	}
	return some
}

// Errors of the store and the context are no damage.
func TestRangeErrors(t *testing.T) {
	s := ourObjects(t)[0]
	broken := errors.New("connection reset")
	for name, rule := range map[string]storetest.Rule{
		"get":  {Op: storetest.Get, Err: broken},
		"read": {Op: storetest.Get, Effect: storetest.Cut, At: 100, Err: broken},
	} {
		repo := *s.repo
		repo.Store = storetest.NewFault(s.repo.Store, rule)
		r, err := repo.Ranges(s.o, s.table)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Block(t.Context(), 0)
		if corrupt := (*chain.CorruptError)(nil); !errors.Is(err, broken) || errors.As(err, &corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ranges(t).Block(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	o := s.o
	o.Key = "no such object"
	r, err := s.repo.Ranges(o, s.table)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Block(t.Context(), 0); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

// A table of another object is refused where that shows at once.
func TestForeignTable(t *testing.T) {
	all := ourObjects(t)
	first := all[0]
	for _, s := range all {
		if s.o.Encrypted == first.o.Encrypted && s.o.Compressed == first.o.Compressed {
			continue
		}
		if _, err := first.repo.Ranges(first.o, s.table); !errors.Is(err, codec.ErrTable) {
			t.Errorf("table of %s: %v", s.name, err)
		}
	}
	o := first.o
	o.Size = 1000
	if _, err := first.repo.Ranges(o, first.table); !errors.Is(err, codec.ErrTable) {
		t.Errorf("object too short: %v", err)
	}
	if _, err := first.repo.Ranges(first.o, &codec.Table{Blocks: []codec.Block{{Len: -1}}}); !errors.Is(err, codec.ErrTable) {
		t.Errorf("hostile table: %v", err)
	}
}

// A volume whose table is known is read to the same entries, and a wrong table is told
// from a damaged volume.
func TestVolumeByTable(t *testing.T) {
	kr := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(passphrase)), S2KCount: 1024})
	session, err := kr.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, st := newRepository()
	r.Keys = kr
	f := codec.Format{Encrypted: true, Compressed: true}
	mustBackup(t, r, full(1), chain.SetOptions{Format: f, Session: session, Pool: newPool(t), VolumeSize: 1 << 20}, parts("a", string(noise(4<<20, 2))))
	set := load(t, st).Latest().Sets[0]
	_, m := readSet(t, r, set)
	var tables []*codec.Table
	for _, v := range m.Volumes {
		vr, err := gatherVolume(t.Context(), r, set, v, chain.VolumeOptions{Gather: true})
		if err != nil || vr.Table() == nil {
			t.Fatalf("volume %d: %v", v.Number, err)
		}
		tables = append(tables, vr.Table())
	}
	for i, v := range m.Volumes {
		if _, err := gatherVolume(t.Context(), r, set, v, chain.VolumeOptions{Table: tables[i]}); err != nil {
			t.Errorf("volume %d by its table: %v", v.Number, err)
		}
	}
	_, err = gatherVolume(t.Context(), r, set, m.Volumes[0], chain.VolumeOptions{Table: tables[1]})
	if !errors.Is(err, codec.ErrTable) || errors.Is(err, chain.ErrHash) {
		t.Errorf("by another's table: %v", err)
	}
	o, err := set.Volume(m.Volumes[0].Number)
	if err != nil {
		t.Fatal(err)
	}
	whole := get(t, st, o.Key)
	put(t, st, o.Key, flip(whole, len(whole)/2))
	if _, err := gatherVolume(t.Context(), r, set, m.Volumes[0], chain.VolumeOptions{Table: tables[0]}); !errors.Is(err, chain.ErrHash) {
		t.Errorf("damaged: %v", err)
	}
}

func flip(p []byte, at int) []byte {
	p = bytes.Clone(p)
	p[at] ^= 1
	return p
}

// One RangeReader serves any number of goroutines.
func TestRangesConcurrently(t *testing.T) {
	for _, s := range ourObjects(t) {
		if len(s.table.Blocks) < 3 {
			continue
		}
		r := s.ranges(t)
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(g), 1))
				p := make([]byte, 300_000)
				for range 5 {
					off := rng.Int64N(int64(len(s.data)))
					n, err := r.ReadAt(t.Context(), p, off)
					if err != nil && err != io.EOF || !bytes.Equal(p[:n], s.data[off:off+int64(n)]) {
						t.Errorf("%s: %d bytes at %d: %v", s.name, n, off, err)
					}
				}
			})
		}
		wg.Wait()
	}
}

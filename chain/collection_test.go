package chain_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/naming"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// describe is a collection as text: chains of days, then what is left over.
func describe(c *chain.Collection) string {
	days := func(sets []*chain.Set) string {
		var d []string
		for _, s := range sets {
			d = append(d, fmt.Sprint(s.End.Time().Day()))
		}
		return strings.Join(d, "-")
	}
	var all []string
	for _, ch := range c.Chains {
		all = append(all, days(ch.Sets))
	}
	text := strings.Join(all, " ")
	for _, left := range []struct {
		what string
		sets []*chain.Set
	}{{"orphans", c.Orphans}, {"superseded", c.Superseded}, {"incomplete", c.Incomplete}} {
		if len(left.sets) > 0 {
			text += " " + left.what + " " + days(left.sets)
		}
	}
	return strings.TrimSpace(text)
}

func TestAssemble(t *testing.T) {
	for name, tt := range map[string]struct {
		sets map[chain.SetID]string
		want string
	}{
		"nothing":         {nil, ""},
		"full":            {map[chain.SetID]string{full(1): "ms1"}, "1"},
		"chain":           {map[chain.SetID]string{full(1): "m1", inc(1, 2): "m1", inc(2, 3): "m12"}, "1-2-3"},
		"two chains":      {map[chain.SetID]string{full(1): "m", inc(1, 2): "m", full(3): "m", inc(3, 4): "m"}, "1-2 3-4"},
		"overlap":         {map[chain.SetID]string{full(1): "m", full(2): "m", inc(2, 3): "m", inc(1, 4): "m"}, "2-3 1-4"},
		"orphan":          {map[chain.SetID]string{full(1): "m", inc(2, 3): "m", inc(3, 4): "m"}, "1 orphans 3-4"},
		"no full":         {map[chain.SetID]string{inc(1, 2): "m"}, "orphans 2"},
		"before its full": {map[chain.SetID]string{full(3): "m", inc(1, 2): "m"}, "3 orphans 2"},
		"fork":            {map[chain.SetID]string{full(1): "m", inc(1, 2): "m", inc(1, 3): "m"}, "1-3 superseded 2"},
		"fork twice":      {map[chain.SetID]string{full(1): "m", inc(1, 2): "m", inc(1, 3): "m", inc(1, 4): "m", inc(4, 5): "m"}, "1-4-5 superseded 2-3"},
		"fork below":      {map[chain.SetID]string{full(1): "m", inc(1, 2): "m", inc(2, 4): "m", inc(1, 5): "m"}, "1-2-4 orphans 5"},
		"fork's own":      {map[chain.SetID]string{full(1): "m", inc(1, 2): "m", inc(1, 3): "m", inc(2, 4): "m"}, "1-3 orphans 4 superseded 2"},
		"incomplete":      {map[chain.SetID]string{full(1): "m1", inc(1, 2): "s12", inc(2, 3): "ms1"}, "1 orphans 3 incomplete 2"},
		"only volumes":    {map[chain.SetID]string{full(1): "123"}, "incomplete 1"},
		"only signatures": {map[chain.SetID]string{full(1): "s"}, "incomplete 1"},
		"no time between": {map[chain.SetID]string{full(1): "m", inc(1, 1): "m"}, "1 orphans 1"},
		"backwards":       {map[chain.SetID]string{full(3): "m", inc(3, 2): "m"}, "3 orphans 2"},
		"same end":        {map[chain.SetID]string{full(1): "m", inc(1, 2): "m", full(2): "m", inc(2, 3): "m"}, "2 1-2-3"},
	} {
		if got := describe(load(t, listing(t, tt.sets))); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// Which state a time selects (duplicity-format.md §5.2).
func TestAt(t *testing.T) {
	col := load(t, listing(t, map[chain.SetID]string{
		full(5): "m", inc(5, 6): "m", inc(6, 8): "m", full(12): "m", inc(12, 14): "m", full(20): "m",
	}))
	for _, tt := range []struct {
		at    naming.Time
		start int   // of the chain
		days  []int // of the sets to restore
	}{
		{day(1), 5, []int{5}},
		{day(5) - 1, 5, []int{5}},
		{day(5), 5, []int{5}},
		{day(6) - 1, 5, []int{5}},
		{day(6), 5, []int{5, 6}},
		{day(7), 5, []int{5, 6}},
		{day(8), 5, []int{5, 6, 8}},
		{day(8) + 1, 5, []int{5, 6, 8}},
		{day(12) - 1, 5, []int{5, 6, 8}},
		{day(12), 12, []int{12}},
		{day(16), 12, []int{12, 14}},
		{day(20), 20, []int{20}},
		{day(30), 20, []int{20}},
	} {
		ch, err := col.At(tt.at)
		if err != nil {
			t.Fatalf("%v: %v", tt.at, err)
		}
		var days []int
		for _, s := range ch.Until(tt.at) {
			days = append(days, s.End.Time().Day())
		}
		if ch.Start() != day(tt.start) || !slices.Equal(days, tt.days) {
			t.Errorf("%v selects sets %v of the chain of %v, want %v of %v", tt.at, days, ch.Start(), tt.days, day(tt.start))
		}
	}
	if got := col.Latest().Start(); got != day(20) {
		t.Errorf("latest chain begins at %v", got)
	}
}

func TestAtOverlap(t *testing.T) {
	col := load(t, listing(t, map[chain.SetID]string{full(1): "m", inc(1, 10): "m", full(5): "m", inc(5, 7): "m"}))
	for at, ambiguous := range map[int]bool{1: false, 4: false, 5: true, 6: true, 7: true, 8: false, 10: false, 11: false} {
		ch, err := col.At(day(at))
		overlap := (*chain.OverlapError)(nil)
		if errors.As(err, &overlap) != ambiguous || (err == nil) == ambiguous {
			t.Errorf("day %d: error %v", at, err)
		}
		if !ambiguous && ch.Start() != day(1) {
			t.Errorf("day %d: chain of %v", at, ch.Start())
		}
	}
	// Before everything the oldest full counts, though its chain ends last.
	if ch, err := col.At(0); err != nil || ch.Start() != day(1) {
		t.Errorf("before everything: %v, error %v", ch, err)
	}
}

func TestAtNothing(t *testing.T) {
	for name, st := range map[string]*storetest.Mem{
		"nothing":    storetest.NewMem(),
		"incomplete": listing(t, map[chain.SetID]string{full(1): "12"}),
		"orphan":     listing(t, map[chain.SetID]string{inc(1, 2): "m1"}),
	} {
		col := load(t, st)
		if _, err := col.At(day(1)); !errors.Is(err, chain.ErrNoChain) {
			t.Errorf("%s: %v", name, err)
		}
		if col.Latest() != nil {
			t.Errorf("%s: has a latest chain", name)
		}
	}
}

func TestForeignNames(t *testing.T) {
	st := listing(t, map[chain.SetID]string{full(1): "ms1"})
	base := keyOf(full(2), naming.Manifest, 0, codec.Format{})
	for _, name := range []string{"README", base + "x", base + ".part", "x" + base, "duplicity-full.banana.manifest", "hindsight-toc.banana.gz"} {
		put(t, st, name, nil)
	}
	col := load(t, st)
	if got := describe(col); got != "1" {
		t.Errorf("%s, want 1", got)
	}
	if n := len(col.Chains[0].Sets[0].Objects()); n != 3 {
		t.Errorf("%d objects, want 3", n)
	}
}

// The order of Objects is one in which a set may be deleted.
func TestObjects(t *testing.T) {
	st := listing(t, map[chain.SetID]string{full(1): "231ms"})
	put(t, st, keyOf(full(1), naming.Statistics, 0, gz), []byte("12345"))
	put(t, st, keyOf(full(1), naming.TOC, 0, gz), []byte("12"))
	s := load(t, st).Chains[0].Sets[0]
	var kinds []string
	for _, o := range s.Objects() {
		kinds = append(kinds, fmt.Sprint(o.Kind, o.Volume))
	}
	want := []string{"manifest 0", "signatures 0", "portable index 0", "statistics 0", "volume 3", "volume 2", "volume 1"}
	if !slices.Equal(kinds, want) || s.Size() != 7 {
		t.Errorf("%v, %d bytes; want %v, 7", kinds, s.Size(), want)
	}
}

func TestStrays(t *testing.T) {
	st := listing(t, map[chain.SetID]string{
		full(1): "ms1", inc(1, 2): "ms1", inc(1, 3): "ms1", inc(8, 9): "ms12", full(10): "s1",
	})
	for _, id := range []chain.SetID{full(1), inc(8, 9), full(10), full(11)} { // the last is all that is left
		put(t, st, keyOf(id, naming.TOC, 0, gz), nil)
	}
	col := load(t, st)
	if len(col.Incomplete) != 1 || len(col.Left) != 1 {
		t.Errorf("%d incomplete sets, %d of which only the portable index is left; want 1 of each", len(col.Incomplete), len(col.Left))
	}
	n := 0
	for _, s := range col.Strays() {
		if s.End != day(9) && s.End != day(10) && s.End != day(11) {
			t.Errorf("stray %v", s.SetID)
		}
		n += len(s.Objects())
	}
	if n != 9 {
		t.Errorf("%d strays, want 9", n)
	}
}

// Two objects in one place spoil what they are, and nothing else.
func TestDuplicates(t *testing.T) {
	r, st := newRepository()
	opt := chain.SetOptions{Format: gz, VolumeSize: 1}
	mustBackup(t, r, full(1), opt, []item{file("a", "1"), file("b", "2")})
	dup := func(kind naming.Kind, volume int, f codec.Format) (*chain.Set, *chain.Repository) {
		copied := st.Clone()
		put(t, copied, keyOf(full(1), kind, volume, f), []byte("x"))
		return load(t, copied).Chains[0].Sets[0], &chain.Repository{Store: copied}
	}
	is := func(err error) bool { d := (*chain.DuplicateError)(nil); return errors.As(err, &d) }
	ctx := t.Context()

	s, r2 := dup(naming.Manifest, 0, codec.Format{Encrypted: true})
	if _, err := r2.Manifest(ctx, s); !is(err) {
		t.Errorf("manifest: %v", err)
	}
	s, r2 = dup(naming.Signatures, 0, codec.Format{})
	if _, err := r2.Signatures(ctx, s); !is(err) {
		t.Errorf("signatures: %v", err)
	}
	if items, _ := readSet(t, r2, s); len(items) != 2 {
		t.Errorf("with two signature archives %d entries are read", len(items))
	}
	s, r2 = dup(naming.Volume, 2, codec.Format{})
	if _, err := s.Volume(2); !is(err) {
		t.Errorf("volume: %v", err)
	}
	if m, err := r2.Manifest(ctx, s); err != nil {
		t.Errorf("manifest beside two volumes: %v", err)
	} else if _, err := readVolume(ctx, r2, s, m.Volumes[0]); err != nil {
		t.Errorf("volume beside two others: %v", err)
	}
}

func TestListError(t *testing.T) {
	st := storetest.NewFault(listing(t, map[chain.SetID]string{full(1): "m1"}), storetest.Rule{Op: storetest.List, Effect: storetest.Cut, At: 1})
	if _, err := chain.Load(t.Context(), st, naming.Scheme{}); !errors.Is(err, storetest.ErrFault) {
		t.Errorf("load: %v", err)
	}
}

// Every set that duplicity completed is found, in a chain or shadowed by another one.
func TestGoldenListings(t *testing.T) {
	incomplete := map[string]bool{"missing-manifest": true}
	for _, c := range treetest.LoadCases(t) {
		_, col := openCase(t, c)
		found := map[int64]bool{}
		for _, ch := range col.Chains {
			for i, s := range ch.Sets {
				found[int64(s.End)] = true
				if s.Inc != (i > 0) || i > 0 && s.Start != ch.Sets[i-1].End {
					t.Errorf("%s: %v in its chain's place %d", c.Name, s.SetID, i)
				}
			}
		}
		for _, sets := range [][]*chain.Set{col.Orphans, col.Superseded} {
			for _, s := range sets {
				found[int64(s.End)] = true
			}
		}
		for _, at := range c.Times {
			if !found[at] && len(c.Removed) == 0 {
				t.Errorf("%s: the set of %d is missing", c.Name, at)
			}
		}
		if want := c.Interrupted != 0 || incomplete[c.Name]; (len(col.Incomplete) > 0) != want {
			t.Errorf("%s: %d incomplete sets", c.Name, len(col.Incomplete))
		}
		if want := c.Name == "forked-inc"; (len(col.Superseded) > 0) != want {
			t.Errorf("%s: %d superseded sets", c.Name, len(col.Superseded))
		}
		if want := c.Name == "missing-inc"; (len(col.Orphans) > 0) != want {
			t.Errorf("%s: %d orphans", c.Name, len(col.Orphans))
		}
	}
}

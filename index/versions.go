package index

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"hindsight/chain/difftar"
)

// Version is a state of a path that did not change for some snapshots.
type Version struct {
	// Snapshot is the first that shows it. Entry is of this one.
	Snapshot *Snapshot
	Last     *Snapshot // the last that shows it, of this chain or a later one
	Entry    Entry
}

// Versions yields the states that a path had in all snapshots of all chains, the newest
// first. A state that a chain ends with and the next one begins with counts once.
func (x *Index) Versions(path string) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		views, release, err := x.views()
		if err != nil {
			yield(Version{}, err)
			return
		}
		defer release()
		var all []Version
		for _, v := range views {
			parent, name, err := v.ever(path)
			if err == ErrNotExist {
				continue
			}
			if err == nil {
				all, err = v.versions(all, parent, name)
			}
			if err != nil {
				yield(Version{}, err)
				return
			}
		}
		for _, ver := range distinct(all) {
			if !yield(ver, nil) {
				return
			}
		}
	}
}

// views looks at each chain as of its end, the chain that ends last first. ErrGone:
// there is no index.
func (x *Index) views() (views []*view, release func(), err error) {
	g, err := x.acquire()
	if err != nil {
		return nil, nil, err
	}
	chains := slices.Clone(g.meta.Chains)
	slices.SortFunc(chains, func(a, b *chainMeta) int { return cmp.Compare(g.meta.last(b).End, g.meta.last(a).End) })
	for _, c := range chains {
		g.refs.Add(1)
		views = append(views, g.view(c.Number, g.meta.last(c).version()))
	}
	return views, func() {
		for _, v := range views {
			v.release()
		}
		g.release()
	}, nil
}

// ever finds the directory and the name of a path that is or was in the chain.
func (v *view) ever(path string) (parent ID, name string, err error) {
	for rest := path; rest != ""; {
		if parent == 0 {
			parent = Root
		} else {
			var s stored
			if err := v.child(parent, name, &s); err != nil {
				return 0, "", err
			}
			parent = s.id
		}
		name, rest, _ = strings.Cut(rest, "/")
	}
	return parent, name, nil
}

// versions appends all states of a name, the newest first.
func (v *view) versions(to []Version, parent ID, name string) ([]Version, error) {
	it := v.txn.NewKeyIterator(appendDirent(nil, v.chain, parent, name), badger.IteratorOptions{AllVersions: true})
	defer it.Close()
	until := len(v.sets()) // the state that is read is not in this set any more
	for it.Rewind(); it.Valid(); it.Next() {
		var s stored
		if err := v.load(it.Item(), &s); err != nil {
			return nil, err
		}
		p := v.g.byNumber[s.changed]
		last := v.g.byNumber[v.sets()[until-1].Number].snapshot
		until = p.at
		if s.deleted {
			continue
		}
		// Hard links are those of the time of the state, not of the chain's end.
		v.g.refs.Add(1)
		then := v.g.view(v.chain, s.version)
		e, err := then.entry(&s)
		then.release()
		if err != nil {
			return nil, err
		}
		to = append(to, Version{Snapshot: p.snapshot, Last: last, Entry: e})
	}
	return to, nil
}

// sets is those of the view's chain.
func (v *view) sets() []*setMeta {
	return v.g.meta.chain(v.chain).Sets
}

// chain finds a chain by its number.
func (m *meta) chain(number uint32) *chainMeta {
	return m.Chains[slices.IndexFunc(m.Chains, func(c *chainMeta) bool { return c.Number == number })]
}

// distinct joins states of different chains, the newest first, that are the same.
func distinct(all []Version) []Version {
	var out []Version
	for _, ver := range all {
		if k := len(out) - 1; k >= 0 && out[k].Snapshot.Chain != ver.Snapshot.Chain && out[k].Entry.alike(&ver.Entry) {
			out[k].Snapshot, out[k].Entry = ver.Snapshot, ver.Entry
			continue
		}
		out = append(out, ver)
	}
	return out
}

// alike reports whether two states of a path are the same as far as one can know.
func (e *Entry) alike(f *Entry) bool {
	switch {
	case e.Meta != f.Meta || e.Sec != f.Sec || e.Nsec != f.Nsec && e.Nsec != 0 && f.Nsec != 0:
		return false
	case e.HasHash && f.HasHash:
		return e.Hash == f.Hash
	}
	return e.Size == f.Size || e.Size < 0 || f.Size < 0
}

// Names yields the names that are or were in a directory in any snapshot of any chain,
// in their order as bytes, behind the name after.
func (x *Index) Names(path, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		views, release, err := x.views()
		if err != nil {
			yield("", err)
			return
		}
		defer release()
		var streams []iter.Seq2[everName, error]
		for _, v := range views {
			parent, name, err := v.ever(path)
			var s stored
			if err == nil {
				err = v.child(parent, name, &s)
			}
			if err == ErrNotExist {
				continue
			}
			if err != nil {
				yield("", err)
				return
			}
			streams = append(streams, v.names(s.id, after+"\x00"))
		}
		for group, err := range merge(streams, func(a, b everName) int { return cmp.Compare(a.name, b.name) }) {
			name := ""
			if err == nil {
				name = group[0].name
			}
			if !yield(name, err) || err != nil {
				return
			}
		}
	}
}

// everName is a name that is or was in a directory.
type everName struct {
	name string
	id   ID
	dir  bool // it was a directory at some time
}

// names yields the names that were in a directory until the view's time, from a name on.
func (v *view) names(dir ID, from string) iter.Seq2[everName, error] {
	return func(yield func(everName, error) bool) {
		prefix := appendDirent(nil, v.chain, dir, "")
		it := v.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, AllVersions: true})
		defer it.Close()
		var cur everName
		var s stored
		for it.Seek(append(prefix, from...)); it.Valid(); it.Next() {
			if err := v.load(it.Item(), &s); err != nil {
				yield(everName{}, err)
				return
			}
			if cur.id == 0 || s.name != cur.name {
				if cur.id != 0 && !yield(cur, nil) {
					return
				}
				cur = everName{name: s.name, id: s.id}
			}
			cur.dir = cur.dir || s.Type == difftar.Directory
		}
		if cur.id != 0 {
			yield(cur, nil)
		}
	}
}

// merge yields what sorted streams have, what is equal together, in the streams' order.
// It ends with the first error.
func merge[T any](streams []iter.Seq2[T, error], compare func(a, b T) int) iter.Seq2[[]T, error] {
	type head struct {
		value T
		next  func() (T, error, bool)
	}
	return func(yield func([]T, error) bool) {
		var heads []*head
		for _, s := range streams {
			next, stop := iter.Pull2(s)
			defer stop()
			heads = append(heads, &head{next: next})
		}
		todo := heads // those to be moved on
		for {
			for _, h := range todo {
				value, err, ok := h.next()
				if err != nil {
					yield(nil, err)
					return
				}
				if h.value = value; !ok {
					heads = slices.DeleteFunc(slices.Clone(heads), func(o *head) bool { return o == h })
				}
			}
			if len(heads) == 0 {
				return
			}
			first := slices.MinFunc(heads, func(a, b *head) int { return compare(a.value, b.value) }).value
			todo = nil
			var group []T
			for _, h := range heads {
				if compare(h.value, first) == 0 {
					todo, group = append(todo, h), append(group, h.value)
				}
			}
			if !yield(group, nil) {
				return
			}
		}
	}
}

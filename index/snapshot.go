package index

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/naming"
)

var (
	// ErrNotExist says that a snapshot has no such path.
	ErrNotExist = errors.New("not in this snapshot")
	// ErrNotDir says that a path is no directory in a snapshot.
	ErrNotDir = errors.New("not a directory in this snapshot")
	// ErrGone says that a snapshot was removed from the store, or from the index.
	ErrGone = errors.New("the snapshot is gone")
	// ErrUnscanned says that the volumes which tell a file's size and place were not
	// scanned yet.
	ErrUnscanned = errors.New("the volumes of this file were not scanned yet")
)

// Snapshot is the tree as of the end of a set. It is immutable and safe for concurrent
// use. It goes on to work when the index takes a new generation; once its set is gone
// from there all its methods return ErrGone.
type Snapshot struct {
	Number uint32 // 1..MaxNumber; of this set alone, for as long as the index lives
	Chain  uint32 // number of its chain in the index
	Set    chain.SetID
	Time   naming.Time // the set's own
	Source Source
	Totals Totals

	index *Index
}

// Inode is what is known of a file system object. It is comparable.
type Inode = inode

// Entry is what a snapshot says of one path. It is comparable.
type Entry struct {
	ID, Parent ID     // Parent is 0 of the root
	Name       string // raw bytes; empty of the root
	Inode
	// Links is how many names of the snapshot are this one inode, at least 1, and Link
	// is the smallest of their IDs: the same for all of them. Of what has one name
	// only, and where hard links are not known, these are 1 and 0.
	Links uint32
	Link  ID
	// Changed is the number of the snapshot whose set stored this version.
	Changed   uint32
	HasXattrs bool
	// Implied is a directory that no set tells of, only of something below it.
	Implied bool
	// SigOffset and SigLen say where in the plain bytes of the signature archive of the
	// set Changed the file's signature begins, and how many bytes it has; 0 if that is
	// not known.
	SigOffset, SigLen int64
}

// arrange makes the list of snapshots of the generation's meta file.
func (g *generation) arrange(x *Index) {
	g.byNumber = make(map[uint32]*place)
	g.byVersion = make(map[chainVersion]uint32)
	for _, c := range g.meta.Chains {
		for i, m := range c.Sets {
			s := &Snapshot{Number: m.Number, Chain: c.Number, Set: m.id(), Time: m.End, Source: m.Source, Totals: m.Totals, index: x}
			g.snapshots = append(g.snapshots, s)
			g.byNumber[m.Number] = &place{chain: c, at: i, snapshot: s}
			g.byVersion[chainVersion{c.Number, m.version()}] = m.Number
		}
	}
	slices.SortFunc(g.snapshots, func(a, b *Snapshot) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Number, b.Number))
	})
}

// view is a generation held to answer one question about a snapshot.
type view struct {
	g     *generation
	txn   *badger.Txn
	chain uint32
	scans *scans
	key   []byte // room for keys

	dir  ID // whose path is known
	path string
}

// view holds the current generation until release.
func (s *Snapshot) view() (*view, error) {
	g, err := s.index.acquire()
	if err != nil {
		return nil, err
	}
	p := g.byNumber[s.Number]
	if p == nil || p.snapshot.Set != s.Set {
		g.release()
		return nil, fmt.Errorf("%v: %w", s.Set, ErrGone)
	}
	return g.view(s.Chain, uint64(s.Time)), nil
}

// view looks at a chain as of a version. It takes over the caller's reference.
func (g *generation) view(chain uint32, version uint64) *view {
	return &view{g: g, txn: g.db.NewTransactionAt(version, false), chain: chain, scans: g.scans, key: make([]byte, 0, 64)}
}

func (v *view) release() {
	v.txn.Discard()
	v.g.release()
}

// stored is a version of a path as it is found.
type stored struct {
	record
	parent  ID
	name    string
	changed uint32 // number of the set
	version uint64
}

// load decodes what an item of a dirent key says.
func (v *view) load(item *badger.Item, out *stored) error {
	k, err := parseDirent(item.Key())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	out.parent, out.name, out.version = k.parent, string(k.name), item.Version()
	out.changed = v.g.byVersion[chainVersion{v.chain, item.Version()}]
	if out.changed == 0 {
		return fmt.Errorf("%w: a version that no set has", ErrDamaged)
	}
	err = item.Value(func(value []byte) error { return parseRecord(value, out.changed, &out.record) })
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// child finds a name in a directory, deleted or not. ErrNotExist: it never was there
// until then.
func (v *view) child(parent ID, name string, out *stored) error {
	if len(name) > MaxName {
		return ErrNotExist
	}
	v.key = appendDirent(v.key[:0], v.chain, parent, name)
	item, err := v.txn.Get(v.key)
	if err == badger.ErrKeyNotFound {
		return ErrNotExist
	}
	if err != nil {
		return err
	}
	return v.load(item, out)
}

// where finds a path's directory and name.
func (v *view) where(id ID) (parent ID, name string, err error) {
	if id == Root {
		return 0, "", nil
	}
	v.key = appendParent(v.key[:0], v.chain, id)
	txn := v.g.db.NewTransactionAt(allVersions, false) // the name is older than the snapshot, or newer
	defer txn.Discard()
	item, err := txn.Get(v.key)
	if err == badger.ErrKeyNotFound {
		return 0, "", ErrNotExist
	}
	if err != nil {
		return 0, "", err
	}
	err = item.Value(func(value []byte) error {
		p, n, err := parseParentValue(value)
		parent, name = p, string(n)
		return err
	})
	return parent, name, err
}

// find finds what is there at a path.
func (v *view) find(id ID, out *stored) error {
	parent, name, err := v.where(id)
	if err != nil {
		return err
	}
	if err := v.child(parent, name, out); err != nil {
		return err
	}
	if out.deleted {
		return ErrNotExist
	}
	return nil
}

// directory finds what must be a directory.
func (v *view) directory(id ID) error {
	var s stored
	if err := v.find(id, &s); err != nil {
		return err
	}
	if s.Type != difftar.Directory {
		return ErrNotDir
	}
	return nil
}

// entry is what is told of a version.
func (v *view) entry(s *stored) (Entry, error) {
	e := Entry{
		ID: s.id, Parent: s.parent, Name: s.name, Inode: s.inode, Links: 1, Changed: s.changed,
		HasXattrs: s.xattrs, Implied: s.implied, SigOffset: s.sigOff, SigLen: s.sigLen,
	}
	e.Uname, e.Gname = v.g.owner(v.g.meta.Users, s.user), v.g.owner(v.g.meta.Groups, s.group)
	if s.Type == difftar.Regular && s.Size < 0 {
		if err := v.scanned(s, &e); err != nil {
			return Entry{}, err
		}
	}
	if s.link != 0 {
		if err := v.links(s.link, &e); err != nil {
			return Entry{}, err
		}
	}
	return e, nil
}

// scanned adds what a scan has found of a file.
func (v *view) scanned(s *stored, e *Entry) error {
	if !v.scans.has(s.changed) {
		return nil
	}
	if v.dir != s.parent || v.dir == 0 {
		dir := ""
		if s.parent > Root {
			var err error
			if dir, err = v.fullPath(s.parent); err != nil {
				return err
			}
			dir += "/"
		}
		v.dir, v.path = s.parent, dir
	}
	pieces := v.scans.pieces(s.changed, v.path+s.name)
	if len(pieces) == 0 {
		return nil
	}
	if last := pieces[len(pieces)-1]; last.Size >= 0 {
		e.Size, e.HasHash, e.Hash = last.Size, last.HasHash, last.Hash
	}
	return nil
}

func (g *generation) owner(list [][]byte, n uint32) string {
	if n == 0 || int(n) > len(list) {
		return ""
	}
	return string(list[n-1])
}

// links says of e how many names are the same inode at the view's time.
func (v *view) links(link uint64, e *Entry) error {
	key := linkKey{v.chain, v.txn.ReadTs(), link}
	l, ok := v.g.links.get(key)
	if !ok {
		var err error
		if l, err = v.countLinks(link); err != nil {
			return err
		}
		v.g.links.put(key, l)
	}
	if l.names >= 2 {
		e.Links, e.Link = l.names, l.first
	}
	return nil
}

func (v *view) countLinks(link uint64) (l linked, err error) {
	prefix := appendLink(nil, v.chain, link, 0)
	txn := v.g.db.NewTransactionAt(allVersions, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().Key()
		if len(key) != len(prefix)+5 {
			return l, fmt.Errorf("%w: link", ErrDamaged)
		}
		var other stored
		err := v.find(getID(key[len(prefix):]), &other)
		if err == ErrNotExist || err == nil && other.link != link {
			continue
		}
		if err != nil {
			return l, err
		}
		if l.names++; l.first == 0 {
			l.first = other.id // they come in order
		}
	}
	return l, nil
}

package fusefs

import (
	"iter"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hindsight/index"
)

// Places in a directory, as readdir counts them. That of an entry is a number which
// says by itself where to go on, so that nothing is remembered of open directories:
// the path of an entry in a snapshot, the snapshot in the root. Both are larger than
// these.
const (
	atStart  = 0
	afterDot = 2
	afterTwo = 3
	afterOwn = 4 // after the symlink latest
	// afterDated is added to the number of a snapshot.
	afterDated = 16
)

// listed is one name of a directory.
type listed struct {
	name  string
	place uint64
	mode  uint32
	ino   uint64
	fill  func(*fuse.EntryOut) // nil: the kernel has to look it up
}

// OpenDir says that opening is needless, as Open does.
func (f *filesystem) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status {
	return fuse.ENOSYS
}

// ReadDir lists names.
func (f *filesystem) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.readDir(in, func(l *listed) bool {
		return out.AddDirEntry(fuse.DirEntry{Name: l.name, Mode: l.mode, Ino: l.ino, Off: l.place})
	})
}

// ReadDirPlus lists names and what a lookup of each would say, but for those that
// cannot be told yet, or change.
func (f *filesystem) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return f.readDir(in, func(l *listed) bool {
		e := out.AddDirLookupEntry(fuse.DirEntry{Name: l.name, Mode: l.mode, Ino: l.ino, Off: l.place})
		if e != nil && l.fill != nil {
			l.fill(e)
		}
		return e != nil
	})
}

// readDir hands names to add until that has no room for more.
func (f *filesystem) readDir(in *fuse.ReadIn, add func(*listed) bool) fuse.Status {
	place := in.Offset
	for _, dots := range []listed{{name: ".", place: afterDot, ino: in.NodeId}, {name: "..", place: afterTwo}} {
		if place >= dots.place {
			continue
		}
		dots.mode = syscall.S_IFDIR
		if !add(&dots) {
			return fuse.OK
		}
	}
	n, place := f.node(in.NodeId), max(place, afterTwo)
	if f.ends.has(in.NodeId, place) {
		return fuse.OK
	}
	names, ok := f.names(n, place)
	if !ok {
		return fuse.ENOTDIR
	}
	for l, err := range names {
		if err != nil {
			return f.status("list", in.NodeId, err)
		}
		if !add(&l) {
			return fuse.OK
		}
		place = l.place
	}
	if n.kind == kindTree { // others grow
		f.ends.add(in.NodeId, place)
	}
	return fuse.OK
}

// names are those of a directory after a place.
func (f *filesystem) names(n node, place uint64) (iter.Seq2[listed, error], bool) {
	switch n.kind {
	case kindRoot:
		return f.rootNames(place), true
	case kindVersions:
		return f.versionNames(n, place), true
	case kindTree:
		return f.treeNames(n, place), true
	}
	return nil, false
}

// treeNames are those of a directory of a snapshot. Where the kernel is told a node,
// it counts that as looked up.
func (f *filesystem) treeNames(n node, place uint64) iter.Seq2[listed, error] {
	after := index.ID(place)
	if place == afterTwo {
		after = 0
	}
	return func(yield func(listed, error) bool) {
		for e, err := range f.trees.ReadDir(n.snapshot, n.id, after) {
			l := listed{name: e.Name, place: uint64(e.ID), mode: mode(&e), ino: f.nodeID(n.snapshot, &e)}
			if known(&e) {
				l.fill = func(out *fuse.EntryOut) { f.entry(n.snapshot, &e, out) }
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// rootNames are latest and the snapshots, which are looked up when somebody goes
// there. A snapshot that has vanished is a place nevertheless.
func (f *filesystem) rootNames(place uint64) iter.Seq2[listed, error] {
	r := f.roster.Load()
	return func(yield func(listed, error) bool) {
		if d := r.newest(); d != nil && place < afterOwn {
			if !yield(listed{name: latestName, place: afterOwn, mode: syscall.S_IFLNK, ino: aliasNode | uint64(d.Number)}, nil) {
				return
			}
		}
		list := r.list
		if place >= afterDated {
			list = r.after(uint32(place - afterDated))
		}
		for _, d := range list {
			l := listed{
				name: d.name, place: uint64(d.Number) + afterDated,
				mode: syscall.S_IFDIR, ino: index.Node(d.Number, index.Root),
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

package fusefs

import (
	"iter"
	"path"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hindsight/index"
)

// Below .versions there is a directory for every path that any snapshot has. It holds
// the versions of that path, but for those that were directories, named as the first
// snapshot that shows them, and a directory for every name that was ever in it. Where
// a name means both, the version has it. .versions itself can be entered but is not
// listed, lest find and rsync go through all history twice.

// versionPath is the path whose versions a node lists.
func (f *filesystem) versionPath(n node) (string, error) {
	if n.snapshot == 0 {
		return "", nil
	}
	return f.trees.Path(n.snapshot, n.id)
}

// lookupVersion finds a name in a directory of versions. There may be more tomorrow,
// so the kernel asks each time.
func (f *filesystem) lookupVersion(n node, name string, out *fuse.EntryOut) fuse.Status {
	fail := func(err error) fuse.Status { return f.status("look up", f.treeOf(n), err) }
	dir, err := f.versionPath(n)
	if err != nil {
		return fail(err)
	}
	if d := f.roster.Load().byName[name]; d != nil {
		for v, err := range f.trees.Versions(dir) {
			if err != nil {
				return fail(err)
			}
			if v.Snapshot == d.Number && !isDir(&v.Entry) {
				f.entry(v.Snapshot, &v.Entry, out)
				out.EntryValid = 0
				return fuse.OK
			}
		}
	}
	child, ok, err := f.versionDir(path.Join(dir, name))
	if err != nil || !ok {
		if err == nil {
			err = index.ErrNotExist
		}
		return fail(err)
	}
	out.NodeId = child
	f.dirAttributes(child, &out.Attr)
	return fuse.OK
}

// versionDir is the node of the versions of a path, which is named by one that has
// it.
func (f *filesystem) versionDir(path string) (id uint64, ok bool, err error) {
	for v, err := range f.trees.Versions(path) {
		return versionsBit | index.Node(v.Snapshot, v.Entry.ID), err == nil, err
	}
	return 0, false, nil
}

// treeOf is the node of a path in a snapshot that a node lists the versions of.
func (f *filesystem) treeOf(n node) uint64 { return index.Node(n.snapshot, n.id) }

// versionNames lists the versions of a path, then the names that were in it.
func (f *filesystem) versionNames(n node, place uint64) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		dir, err := f.versionPath(n)
		if err != nil {
			yield(listed{}, err)
			return
		}
		dates, err := f.versionDates(dir)
		if err != nil {
			yield(listed{}, err)
			return
		}
		for _, l := range behind(dates, place) {
			if !yield(l, nil) {
				return
			}
		}
		f.pastNames(dir, place, dates, yield)
	}
}

// behind is the part of dates behind a place in their directory.
func behind(dates []listed, place uint64) []listed {
	if place < afterDated {
		return dates
	}
	i := slices.IndexFunc(dates, func(l listed) bool { return l.place == place })
	if i < 0 { // among the names, or a version that has just vanished
		return nil
	}
	return dates[i+1:]
}

// versionDates are the versions of a path that were no directories, by time.
func (f *filesystem) versionDates(path string) ([]listed, error) {
	r := f.roster.Load()
	var dates []listed
	for v, err := range f.trees.Versions(path) {
		if err != nil {
			return nil, err
		}
		if d := r.byNumber[v.Snapshot]; d != nil && !isDir(&v.Entry) {
			dates = append(dates, listed{
				name: d.name, place: uint64(d.Number) + afterDated, mode: mode(&v.Entry), ino: f.nodeID(v.Snapshot, &v.Entry),
			})
		}
	}
	slices.Reverse(dates)
	return dates, nil
}

// pastNames yields the names that a directory has had, after a place, which is that
// of a path if it is one of them.
func (f *filesystem) pastNames(dir string, place uint64, dates []listed, yield func(listed, error) bool) {
	after := ""
	if place > pathMask {
		last, err := f.trees.Path(index.SplitNode(place))
		if err != nil {
			yield(listed{}, err)
			return
		}
		after = path.Base(last)
	}
	for name, err := range f.trees.Names(dir, after) {
		if err != nil {
			yield(listed{}, err)
			return
		}
		id, ok, err := f.versionDir(path.Join(dir, name))
		taken := slices.ContainsFunc(dates, func(l listed) bool { return l.name == name })
		if err == nil && (!ok || taken) {
			continue
		}
		if !yield(listed{name: name, place: id & nodeMask, mode: syscall.S_IFDIR, ino: id}, err) || err != nil {
			return
		}
	}
}

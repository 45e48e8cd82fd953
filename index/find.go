package index

import (
	"context"
	"iter"

	"hindsight/chain/difftar"
)

// FoundVersion is a state of a path that Find found.
type FoundVersion struct {
	Path string
	Version
}

// Find yields all states of all paths that match accepts, in path order, and of one
// path the newest first. match says of a path whether it is wanted, and whether what
// is below it may be.
func (x *Index) Find(ctx context.Context, match func(path string) (hit, below bool)) iter.Seq2[FoundVersion, error] {
	return func(yield func(FoundVersion, error) bool) {
		views, release, err := x.views()
		if err != nil {
			yield(FoundVersion{}, err)
			return
		}
		defer release()
		var streams []iter.Seq2[found, error]
		for _, v := range views {
			streams = append(streams, func(yield func(found, error) bool) {
				f := finder{ctx: ctx, view: v, match: match, yield: yield}
				if err := f.walk(0, ""); err != nil && err != errStopped {
					yield(found{}, err)
				}
			})
		}
		for group, err := range merge(streams, func(a, b found) int { return difftar.Compare(a.path, b.path) }) {
			if err != nil {
				yield(FoundVersion{}, err)
				return
			}
			var all []Version
			for _, f := range group {
				all = append(all, f.versions...)
			}
			for _, ver := range distinct(all) {
				if !yield(FoundVersion{group[0].path, ver}, nil) {
					return
				}
			}
		}
	}
}

// found is a path with all its states in one chain, the newest first.
type found struct {
	path     string
	versions []Version
}

// finder walks over all paths that are or were in a chain.
type finder struct {
	ctx   context.Context // of the one Find that it is for
	view  *view
	match func(path string) (hit, below bool)
	yield func(found, error) bool
}

// walk walks over what is or was in a directory, whose path is given with a slash behind
// it. 0 is what has the root as its only entry.
func (f *finder) walk(dir ID, path string) error {
	from := ""
	for {
		var step []everName
		for n, err := range f.view.names(dir, from) {
			if err != nil {
				return err
			}
			if step = append(step, n); len(step) == walkStep {
				break
			}
		}
		for _, n := range step {
			if err := f.name(dir, path+n.name, n); err != nil {
				return err
			}
		}
		if len(step) < walkStep {
			return nil
		}
		from = step[walkStep-1].name + "\x00"
	}
}

func (f *finder) name(dir ID, path string, n everName) error {
	if err := context.Cause(f.ctx); err != nil {
		return err
	}
	hit, below := f.match(path)
	if hit {
		versions, err := f.view.versions(nil, dir, n.name)
		if err != nil {
			return err
		}
		if len(versions) > 0 && !f.yield(found{path, versions}, nil) {
			return errStopped
		}
	}
	if !below || !n.dir {
		return nil
	}
	if path != "" {
		path += "/"
	}
	return f.walk(n.id, path)
}

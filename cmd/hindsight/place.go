package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/toc"
)

// renames is the value of --rename: new paths by old ones, relative to the root of
// what is restored.
type renames struct {
	to  map[string]string
	old []string // in the order in which they were given
}

func (r *renames) Type() string   { return "OLD NEW" }
func (r *renames) String() string { return strings.Join(r.old, " ") }
func (r *renames) Set(arg string) error {
	from, to, both := strings.Cut(arg, "\x00")
	if !both {
		return errors.New("want two paths, OLD and NEW")
	}
	from, err := cleanPath(from)
	if err != nil {
		return err
	}
	if to, err = cleanPath(to); err != nil {
		return err
	}
	if from == "" || to == "" {
		return errors.New("the root has no other name: give another TARGET")
	}
	if _, twice := r.to[from]; twice {
		return fmt.Errorf("%q is renamed already", from)
	}
	if r.to == nil {
		r.to = make(map[string]string)
	}
	r.to[from], r.old = to, append(r.old, from)
	return nil
}

// rename is the place of a path: as with duplicity the longest beginning that has a
// new name is replaced by it, once.
func (r *renames) rename(path string) string {
	if len(r.to) == 0 {
		return path
	}
	for dir := path; dir != ""; {
		if to, ok := r.to[dir]; ok {
			return to + path[len(dir):]
		}
		dir, _ = cutLast(dir)
	}
	return path
}

// place returns a Sink that puts what a filter takes into its place in the target,
// which is another one's root.
func (r *renames) place(sink extract.Sink, target string, f extract.Filter) *placed {
	p := &placed{sink: sink, renames: r, above: make(map[string]bool)}
	if chosen, ok := f.(chosenPaths); ok {
		p.root = chosen.root()
	}
	for _, to := range r.to {
		for dir, _ := cutLast(to); dir != ""; dir, _ = cutLast(dir) {
			if !exists(filepath.Join(target, dir)) {
				p.above[dir] = false
			}
		}
	}
	return p
}

// placed is a Sink below which a path of the backup becomes the root, and others
// get new names.
type placed struct {
	sink    extract.Sink
	root    string
	file    error // what a root that is no directory meets; nil: it is welcome
	renames *renames

	mu    sync.Mutex
	above map[string]bool // directories above new names that were not there; true: the backup says what they are
}

var _ extract.Keeper = (*placed)(nil)

// path is the place of a path. Only paths within the root come here.
func (s *placed) path(path string) string {
	return s.renames.rename(strings.TrimPrefix(strings.TrimPrefix(path, s.root), "/"))
}

// refuse is the error of making a path that is no directory.
func (s *placed) refuse(path string) error {
	if path != s.root {
		return nil
	}
	return s.file
}

// WriteFile implements extract.Sink.
func (s *placed) WriteFile(h extract.Handle, path string, m *difftar.Meta, data []byte) error {
	if err := s.refuse(path); err != nil {
		return err
	}
	return s.sink.WriteFile(h, s.path(path), m, data)
}

// Create implements extract.Sink.
func (s *placed) Create(h extract.Handle, path string) error {
	if err := s.refuse(path); err != nil {
		return err
	}
	return s.sink.Create(h, s.path(path))
}

// WriteAt implements extract.Sink.
func (s *placed) WriteAt(h extract.Handle, path string, p []byte, off int64) error {
	return s.sink.WriteAt(h, s.path(path), p, off)
}

// Finish implements extract.Sink.
func (s *placed) Finish(h extract.Handle, path string, m *difftar.Meta) error {
	return s.sink.Finish(h, s.path(path), m)
}

// Release implements extract.Sink.
func (s *placed) Release(h extract.Handle, path string) error {
	return s.sink.Release(h, s.path(path))
}

// Commit implements extract.Sink.
func (s *placed) Commit(h extract.Handle, path string) error { return s.sink.Commit(h, s.path(path)) }

// Discard implements extract.Sink.
func (s *placed) Discard(h extract.Handle, path string) { s.sink.Discard(h, s.path(path)) }

// Object implements extract.Sink.
func (s *placed) Object(path string, m *difftar.Meta) error {
	if err := s.refuse(path); err != nil {
		return err
	}
	return s.sink.Object(s.path(path), m)
}

// Dir implements extract.Sink.
func (s *placed) Dir(path string, m *difftar.Meta) error { return s.sink.Dir(s.path(path), m) }

// DirMeta implements extract.Sink.
func (s *placed) DirMeta(path string, m *difftar.Meta, ifExists bool) error {
	path = s.path(path)
	s.mu.Lock()
	if _, ok := s.above[path]; ok {
		s.above[path] = true
	}
	s.mu.Unlock()
	return s.sink.DirMeta(path, m, ifExists)
}

// Kept implements extract.Keeper. A sink that is none has nothing.
func (s *placed) Kept(ctx context.Context, list []extract.Existing) error {
	keeper, ok := s.sink.(extract.Keeper)
	if !ok {
		return nil
	}
	for i := range list {
		list[i].Path = s.path(list[i].Path)
	}
	return keeper.Kept(ctx, list)
}

// Touched implements extract.Keeper.
func (s *placed) Touched(path string) bool { return s.sink.(extract.Keeper).Touched(s.path(path)) }

// Fix implements extract.Keeper.
func (s *placed) Fix(path string, m *difftar.Meta) error {
	return s.sink.(extract.Keeper).Fix(s.path(path), m)
}

// finish gives the directories that are there only because of a new name the
// metadata of any new directory.
func (s *placed) finish(disk *extract.Disk) error {
	for dir, known := range s.above {
		if known {
			continue
		}
		m := disk.Fresh()
		if err := s.sink.DirMeta(dir, &m, true); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	}
	return nil
}

// placedExtras does for the rest of a path's metadata what placed does.
type placedExtras struct {
	*placed
	disk extract.ExtraSink
}

// SetXattrs implements extract.ExtraSink.
func (s placedExtras) SetXattrs(path string, mode uint32, attrs []toc.Xattr) error {
	return s.disk.SetXattrs(s.path(path), mode, attrs)
}

// Link implements extract.ExtraSink.
func (s placedExtras) Link(path, target string) error {
	return s.disk.Link(s.path(path), s.path(target))
}

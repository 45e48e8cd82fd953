package main

import (
	"strings"
	"sync"
	"sync/atomic"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/selection"
)

// selected is the extract.Filter of --include and --exclude: it walks a selection
// down to each path, as a walk of the tree would.
type selected struct {
	sel *selection.Selection

	seen, wanted atomic.Bool // any path but the root; and not left out

	mu   sync.Mutex
	dirs map[string]selection.Answer // what came of directories, some of them
}

var _ extract.Filter = (*selected)(nil)

// maxDirs bounds the directories that are remembered. Paths come in order within
// each volume, so few are enough.
const maxDirs = 4096

func newSelected(sel *selection.Selection) *selected {
	return &selected{sel: sel, dirs: make(map[string]selection.Answer)}
}

// Wants implements extract.Filter.
func (s *selected) Wants(path string, m *difftar.Meta) extract.Verdict {
	parent, _ := cutLast(path)
	if path != "" {
		s.seen.Store(true)
	}
	if path != "" && s.dir(parent) == selection.Exclude {
		return extract.Skip
	}
	switch s.sel.Select(selection.Object{Path: path, Kind: kindOf(m.Type), MTime: m.MTime}) {
	case selection.Include:
		if path != "" {
			s.wanted.Store(true)
		}
		return extract.Take
	case selection.Scan:
		return extract.TakeOpen
	}
	return extract.Skip
}

// Touches implements extract.Filter: what lies within one directory that is left out
// need not be read.
func (s *selected) Touches(first, last string) bool {
	for dir, _ := cutLast(first); dir != ""; dir, _ = cutLast(dir) {
		if last != dir && difftar.Within(last, dir) && s.dir(dir) == selection.Exclude {
			s.seen.Store(true)
			return false
		}
	}
	return true
}

// dir says whether a directory is entered.
func (s *selected) dir(path string) selection.Answer {
	if path == "" {
		return selection.Include
	}
	s.mu.Lock()
	answer, known := s.dirs[path]
	s.mu.Unlock()
	if known {
		return answer
	}
	if parent, _ := cutLast(path); s.dir(parent) == selection.Exclude {
		answer = selection.Exclude
	} else {
		answer = s.sel.Select(selection.Object{Path: path, Kind: selection.Directory})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dirs) >= maxDirs {
		clear(s.dirs)
	}
	s.dirs[path] = answer
	return answer
}

// cutLast separates a path into directory and name.
func cutLast(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

func kindOf(t difftar.Type) selection.Kind {
	switch t {
	case difftar.Regular:
		return selection.Regular
	case difftar.Directory:
		return selection.Directory
	case difftar.CharDevice, difftar.BlockDevice:
		return selection.Device
	}
	return selection.Other
}

// subtree is a Sink below which a path of the backup becomes the root.
type subtree struct {
	sink extract.Sink
	root string
	file error // what a root that is no directory meets; nil: it is welcome
}

var _ extract.Sink = subtree{}

// path is a path relative to the new root. Only paths within the root come here.
func (s subtree) path(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, s.root), "/")
}

// refuse is the error of making a path that is no directory.
func (s subtree) refuse(path string) error {
	if path != s.root {
		return nil
	}
	return s.file
}

// WriteFile implements extract.Sink.
func (s subtree) WriteFile(h extract.Handle, path string, m *difftar.Meta, data []byte) error {
	if err := s.refuse(path); err != nil {
		return err
	}
	return s.sink.WriteFile(h, s.path(path), m, data)
}

// Create implements extract.Sink.
func (s subtree) Create(h extract.Handle, path string) error {
	if err := s.refuse(path); err != nil {
		return err
	}
	return s.sink.Create(h, s.path(path))
}

// WriteAt implements extract.Sink.
func (s subtree) WriteAt(h extract.Handle, path string, p []byte, off int64) error {
	return s.sink.WriteAt(h, s.path(path), p, off)
}

// Finish implements extract.Sink.
func (s subtree) Finish(h extract.Handle, path string, m *difftar.Meta) error {
	return s.sink.Finish(h, s.path(path), m)
}

// Release implements extract.Sink.
func (s subtree) Release(h extract.Handle, path string) error {
	return s.sink.Release(h, s.path(path))
}

// Commit implements extract.Sink.
func (s subtree) Commit(h extract.Handle, path string) error { return s.sink.Commit(h, s.path(path)) }

// Discard implements extract.Sink.
func (s subtree) Discard(h extract.Handle, path string) { s.sink.Discard(h, s.path(path)) }

// Object implements extract.Sink.
func (s subtree) Object(path string, m *difftar.Meta) error {
	if err := s.refuse(path); err != nil {
		return err
	}
	return s.sink.Object(s.path(path), m)
}

// Dir implements extract.Sink.
func (s subtree) Dir(path string, m *difftar.Meta) error { return s.sink.Dir(s.path(path), m) }

// DirMeta implements extract.Sink.
func (s subtree) DirMeta(path string, m *difftar.Meta, ifExists bool) error {
	return s.sink.DirMeta(s.path(path), m, ifExists)
}

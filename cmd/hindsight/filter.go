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

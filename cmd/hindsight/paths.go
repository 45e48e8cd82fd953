package main

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
)

// chosenPaths is the extract.Filter of --path-to-restore. A single path becomes the
// root of what is restored; of several each keeps its place, and the directories
// above come along.
type chosenPaths []*chosenPath

type chosenPath struct {
	extract.Below
	found atomic.Bool
}

var _ extract.Filter = chosenPaths{}

func newChosenPaths(args []string) (chosenPaths, error) {
	var c chosenPaths
	for _, arg := range args {
		path, err := cleanPath(arg)
		if err != nil {
			return nil, err
		}
		c = append(c, &chosenPath{Below: extract.Below(path)})
	}
	return c, nil
}

// root is the path that becomes the root, "" if there are several.
func (c chosenPaths) root() string {
	if len(c) == 1 {
		return string(c[0].Below)
	}
	return ""
}

// Wants implements extract.Filter.
func (c chosenPaths) Wants(path string, m *difftar.Meta) extract.Verdict {
	verdict := extract.Skip
	for _, p := range c {
		if p.Below.Wants(path, m) != extract.Skip {
			p.found.Store(true)
			verdict = extract.Take
		} else if verdict == extract.Skip && c.above(p, path) && m.Type == difftar.Directory {
			verdict = extract.TakeOpen
		}
	}
	return verdict
}

// above reports whether a path is on the way to one that keeps its place.
func (c chosenPaths) above(p *chosenPath, path string) bool {
	return len(c) > 1 && difftar.Within(string(p.Below), path)
}

// Touches implements extract.Filter.
func (c chosenPaths) Touches(first, last string) bool {
	for _, p := range c {
		if p.Below.Touches(first, last) {
			return true
		}
		if len(c) == 1 {
			continue
		}
		for dir := string(p.Below); dir != ""; {
			dir, _ = cutLast(dir)
			if difftar.Compare(first, dir) <= 0 && difftar.Compare(dir, last) <= 0 {
				return true
			}
		}
	}
	return false
}

// has reports whether a path is within one that was found.
func (c chosenPaths) has(path string) bool {
	return slices.ContainsFunc(c, func(p *chosenPath) bool { return p.found.Load() && difftar.Within(path, string(p.Below)) })
}

// absent names the paths that are not there, "" if all are.
func (c chosenPaths) absent() string {
	var missing []string
	for _, p := range c {
		if !p.found.Load() {
			missing = append(missing, fmt.Sprintf("%q", string(p.Below)))
		}
	}
	switch len(missing) {
	case 0:
		return ""
	case 1:
		return missing[0] + " is"
	}
	return strings.Join(missing, ", ") + " are"
}

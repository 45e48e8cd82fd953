package selection

import (
	"bytes"
	"slices"
	"strings"
)

// fileSet is the content of files-from: the listed paths and their parents.
type fileSet struct {
	children map[string][]string // directory -> names in it, sorted by bytes
	paths    map[string]struct{} // every listed path and each of its parents
}

func (f *fileSet) has(path string) bool {
	_, ok := f.paths[path]
	return ok
}

// filesFrom reads a list of paths relative to the source. Every character of a
// line counts, blanks too. A later list replaces an earlier one.
func (c *compiler) filesFrom(r Rule) error {
	if c.opt.Relative {
		return &Error{Code: CodeUsage, Option: r.Option, Value: r.Value, Reason: "works on a source only, not on a backup"}
	}
	f := &fileSet{children: make(map[string][]string), paths: make(map[string]struct{})}
	line := 0
	for item := range bytes.SplitSeq(r.List, c.separator()) {
		line++
		path, ok := cleanPath(string(item))
		if !ok {
			return &Error{
				Code: CodeAbsolutePath, Option: r.Option, Value: string(item), Line: line,
				Reason: `paths must be relative to the source, without ".."`,
			}
		}
		f.add(path)
	}
	if len(f.paths) == 0 {
		return &Error{Code: CodeEmptyFilesFrom, Option: r.Option, Value: r.Value, Reason: "the list is empty, and the backup would be too"}
	}
	for _, names := range f.children {
		slices.Sort(names)
	}
	c.sel.files = f
	return nil
}

// cleanPath drops empty and "." components. It is false for paths that are
// absolute or have a ".." component.
func cleanPath(path string) (string, bool) {
	if strings.HasPrefix(path, "/") {
		return "", false
	}
	parts := strings.Split(path, "/")
	if slices.Contains(parts, "..") {
		return "", false
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" || s == "." })
	return strings.Join(parts, "/"), true
}

// add enters path and those of its parents that are not yet known.
func (f *fileSet) add(path string) {
	for path != "" && !f.has(path) {
		f.paths[path] = struct{}{}
		dir, name := "", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			dir, name = path[:i], path[i+1:]
		}
		f.children[dir] = append(f.children[dir], name)
		path = dir
	}
}

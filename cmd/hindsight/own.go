package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hindsight/chain/selection"
)

// leaveOutOwn puts rules before all others that leave the store and the local cache
// out of a backup of a directory around them: each backup would hold the ones before.
// Of the store it warns, unless a rule of the user leaves it out; a cache in the home
// directory is as it should be.
func (r *rules) leaveOutOwn(j *job, src, url string) error {
	p, err := parseURL(url)
	if err != nil {
		return err
	}
	if !p.isS3() {
		if err := r.leaveOutStore(j, src, p.dir); err != nil {
			return err
		}
	}
	cache, err := j.cacheDir(p)
	if err != nil {
		return err
	}
	if rel, inside := below(src, cache); inside && rel != "." {
		r.leaveOut(src, rel)
	}
	return nil
}

// leaveOutStore leaves the directory of the store out.
func (r *rules) leaveOutStore(j *job, src, dir string) error {
	rel, inside := below(src, dir)
	if rel == "." {
		return usagef("SOURCE %q is the directory of the store itself", src)
	}
	if inside {
		sel, err := r.compile(j, selection.Options{Root: src})
		if err != nil {
			return err
		}
		if sel == nil || newSelected(sel).dir(rel) != selection.Exclude {
			j.console.warn(rel, errors.New("left out of the backup, as it is the directory of the store"))
		}
		r.leaveOut(src, rel)
	}
	return nil
}

// leaveOut adds a rule for exactly one path and what is below it.
func (r *rules) leaveOut(src, rel string) {
	pattern := globLiteral(strings.TrimRight(src, "/") + "/" + rel)
	r.list = slices.Insert(r.list, 0, rule{selection.ExcludeGlob, pattern})
}

// globLiteral is a glob that matches a name and no other.
func globLiteral(name string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(name)
}

// below reports whether dir is within root, and where. What is not there yet counts
// by its parents.
func below(root, dir string) (rel string, inside bool) {
	rel, err := filepath.Rel(resolved(root), resolved(dir))
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return rel, true
}

// resolved is the absolute path of name without symbolic links, as far as it exists.
func resolved(name string) string {
	abs, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	for dir, rest := abs, ""; ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest)
		}
		if !errors.Is(err, os.ErrNotExist) || dir == "/" {
			return abs
		}
	}
}

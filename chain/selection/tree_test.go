package selection_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/selection"
)

// node is one object of a tree that exists in memory only.
type node struct {
	kind  selection.Kind
	mtime int64
	other bool // on another file system
}

// tree maps paths below the source to nodes; parents are directories in it.
type tree map[string]node

// makeTree makes a tree of directories and regular files, with their parents.
func makeTree(dirs, files []string) tree {
	t := tree{}
	for _, d := range dirs {
		t.add(d, node{kind: selection.Directory})
	}
	for _, f := range files {
		t.add(f, node{kind: selection.Regular})
	}
	return t
}

func (t tree) add(p string, n node) {
	t[p] = n
	for p = path.Dir(p); p != "."; p = path.Dir(p) {
		t[p] = node{kind: selection.Directory}
	}
}

// selected walks the tree as a backup does, and returns what it would store,
// the source aside.
func (t tree) selected(s *selection.Selection) []string {
	children := map[string][]string{}
	for p := range t {
		dir := path.Dir(p)
		if dir == "." {
			dir = ""
		}
		children[dir] = append(children[dir], p)
	}
	var out []string
	var walk func(dir string, pending []string)
	walk = func(dir string, pending []string) {
		slices.Sort(children[dir])
		for _, p := range children[dir] {
			n := t[p]
			answer := s.Select(selection.Object{
				Path: p, Kind: n.kind, MTime: n.mtime, OtherFS: n.other,
				Contains: func(name string) bool { _, ok := t[p+"/"+name]; return ok },
			})
			switch answer {
			case selection.Include:
				out = append(append(out, pending...), p)
				pending = nil
				walk(p, nil)
			case selection.Scan:
				before := len(out)
				walk(p, append(slices.Clip(pending), p))
				if len(out) > before {
					pending = nil
				}
			}
		}
	}
	walk("", nil)
	slices.Sort(out)
	return out
}

// generator makes random trees and rules of few names, so that they meet often.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, 0x5e1ec7))}
}

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) name() string {
	return g.pick("a", "b", "ab", "B", "c.txt", "a.txt", "é", "a b", "x[y", "-", "\xff", "]")
}

// dir is a name without special characters.
func (g generator) dir() string {
	return g.pick("a", "b", "ab", "src", "lib", "documents", "x.d", "tmp")
}

// tree has up to 40 objects, at most four deep, with distinct mtimes around 1e9.
func (g generator) tree() tree {
	t := tree{}
	dirs := []string{""}
	for i := range 40 {
		p := path.Join(dirs[g.IntN(len(dirs))], g.name())
		if _, ok := t[p]; ok {
			continue
		}
		if g.IntN(2) == 0 && strings.Count(p, "/") < 3 {
			t[p] = node{kind: selection.Directory}
			dirs = append(dirs, p)
		} else {
			t[p] = node{kind: selection.Regular, mtime: 1e9 + int64(i)}
		}
	}
	return t
}

// glob is a random pattern, mostly one that can match below src.
func (g generator) glob() string {
	parts := []string{g.pick("src", "src", "src", "src", "src", "src", "src", "**", "**", "*", "s?c", "[s]rc", "sr[!/]", "other")}
	for range 1 + g.IntN(3) {
		parts = append(parts, g.pick(
			g.name(), g.name(), g.name(), "*", "?", "**", "[ab]", "[!a]", "[^b]*", "a*", "*.txt", "**.txt", "a**",
			"**b", "x[y", "[[]*", "[]a]", "[a-c]*", "[a/b]", "*b*", "?*", "***"))
	}
	if g.IntN(20) == 0 {
		parts = append(parts, g.pick("", "[b-a]"))
	}
	p := strings.Join(parts, "/") + g.pick("", "", "", "/")
	if g.IntN(8) == 0 {
		p = g.pick("ignorecase:", "IgnoreCase:") + p
	}
	return p
}

// rules are up to seven random options that duplicity 0.8 and 3 share.
func (g generator) rules() []selection.Rule {
	var rules []selection.Rule
	for range 1 + g.IntN(6) {
		r := selection.Rule{Option: selection.Option(g.pick(
			"include", "include", "include", "exclude", "exclude", "exclude", "include-regexp", "exclude-regexp",
			"include-filelist", "exclude-filelist", "exclude-if-present", "exclude-older-than", "exclude-device-files"))}
		switch r.Option {
		case selection.IncludeGlob, selection.ExcludeGlob:
			r.Value = g.glob()
		case selection.IncludeRegexp, selection.ExcludeRegexp:
			r.Value = g.pick(`\.txt$`, `a/b`, `^src/a`, `[ab]{2}`, `\W`, `(?i)B`, `é`, `/\w$`, `b{,2}/`)
		case selection.IncludeFilelist, selection.ExcludeFilelist:
			var list strings.Builder
			for range 1 + g.IntN(5) {
				fmt.Fprintf(&list, "%s%s\n", g.pick("", "", "+ ", "- ", "# ", "  "), g.pick("", strings.ToValidUTF8(g.glob(), "")))
			}
			r.List = []byte(list.String())
		case selection.ExcludeIfPresent:
			r.Value = g.pick("a", "c.txt")
		case selection.ExcludeOlderThan:
			r.Before = 1e9 + int64(g.IntN(40))
		}
		rules = append(rules, r)
	}
	if g.IntN(8) > 0 {
		rules = append(rules, selection.Rule{Option: selection.ExcludeGlob, Value: g.pick("**", "src/*", "src/a", "src/**b")})
	}
	return rules
}

// compile compiles rules for the source root and fails the test on error.
func compile(t testing.TB, root string, rules ...selection.Rule) *selection.Selection {
	t.Helper()
	s, err := selection.Compile(rules, selection.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// flags makes rules of "--option", "value" pairs as on a command line.
func flags(args ...string) []selection.Rule {
	var rules []selection.Rule
	for i := 0; i < len(args); i++ {
		r := selection.Rule{Option: selection.Option(strings.TrimPrefix(args[i], "--"))}
		switch r.Option {
		case selection.ExcludeDevices, selection.ExcludeOtherFS, selection.FilterGlobbing, selection.FilterLiteral,
			selection.FilterRegexp, selection.FilterStrictcase, selection.FilterIgnorecase:
		case selection.IncludeFilelist, selection.ExcludeFilelist, selection.FilesFrom:
			i++
			r.List = []byte(args[i])
		default:
			i++
			r.Value = args[i]
		}
		rules = append(rules, r)
	}
	return rules
}

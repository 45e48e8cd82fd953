package selection_test

import (
	"slices"
	"strings"
	"testing"

	"hindsight/chain/selection"
)

// TestSelect walks one tree by the options of a command line.
func TestSelect(t *testing.T) {
	tr := makeTree([]string{"empty", "a/b"}, []string{"a/b/c.txt", "a/d.log", "n/.nobackup", "n/x", "Up/X", "z"})
	tr["dev"] = node{kind: selection.Device}
	tr["link"] = node{kind: selection.Other}
	tr["mnt"] = node{kind: selection.Directory, other: true}
	tr["mnt/x"] = node{kind: selection.Regular, other: true, mtime: 500}
	all := "Up Up/X a a/b a/b/c.txt a/d.log dev empty link mnt mnt/x n n/.nobackup n/x z"
	for _, c := range []struct{ args, want string }{
		{"", all},
		{"--exclude **", ""},
		{"--exclude src", ""},
		{"--include src/a/b --exclude **", "a a/b a/b/c.txt"},
		{"--include src/a --exclude src/a/b --exclude **", "a a/b a/b/c.txt a/d.log"},
		{"--exclude src/a/b --include src/a --exclude **", "a a/d.log"},
		{"--include **.txt --exclude **", "a a/b a/b/c.txt"},
		{"--include src/empty/none --exclude **", ""},
		{"--include src/empty/none --exclude src/zz", strings.ReplaceAll(all, " empty", "")},
		{"--include src/z/none --exclude src/zz", strings.TrimSuffix(all, " z")},
		{"--include src/Up/ --exclude src/*", "Up Up/X"},
		{"--include src/z/ --exclude src/*", ""},
		{"--exclude ignorecase:SRC/up", strings.TrimPrefix(all, "Up Up/X ")},
		{"--exclude-if-present .nobackup", strings.ReplaceAll(all, " n n/.nobackup n/x", "")},
		{"--include src/n --exclude-if-present .nobackup --exclude src/*", ""},
		{"--exclude-device-files", strings.ReplaceAll(all, " dev", "")},
		{"--include src/dev --exclude-device-files --exclude **", ""},
		{"--exclude-other-filesystems", strings.ReplaceAll(all, " mnt mnt/x", "")},
		{"--include src/mnt --exclude-other-filesystems", all},
		{"--exclude-regexp /a/b$", strings.ReplaceAll(all, " a/b a/b/c.txt", "")},
		{"--include-regexp a/b --exclude **", ""},
		{"--include-regexp a($|/) --exclude **", "a a/b a/b/c.txt a/d.log"},
		{"--filter-regexp --exclude /[a-n]", "Up Up/X z"},
		{"--filter-ignorecase --exclude src/UP", strings.TrimPrefix(all, "Up Up/X ")},
		{"--filter-ignorecase --exclude-regexp /UP$", strings.TrimPrefix(all, "Up Up/X ")},
		{"--filter-ignorecase --filter-literal --exclude SRC/uP/", strings.TrimPrefix(all, "Up Up/X ")},
		{"--filter-ignorecase --filter-strictcase --exclude src/UP", all},
		{"--filter-literal --include src/a/b --exclude src", "a a/b a/b/c.txt"},
		{"--filter-literal --exclude src/*", all},
		{"--filter-literal --exclude src/* --filter-globbing --exclude src/*", ""},
		{"--files-from a/b/c.txt\nz\nmissing/x", "a a/b a/b/c.txt z"},
		{"--files-from a\n./n//x", "a n n/x"},
		{"--files-from a/b/c.txt\nz --exclude src/a", "z"},
	} {
		s, err := selection.Compile(flags(fields(c.args)...), selection.Options{Root: "src"})
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if got := strings.Join(tr.selected(s), " "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.args, got, c.want)
		}
	}
}

// fields splits at blanks, but not at line feeds.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
}

func TestOlderThan(t *testing.T) {
	s := compile(t, "src", selection.Rule{Option: selection.ExcludeOlderThan, Before: 100})
	for _, c := range []struct {
		o    selection.Object
		want selection.Answer
	}{
		{selection.Object{Path: "a", Kind: selection.Regular, MTime: 99}, selection.Exclude},
		{selection.Object{Path: "a", Kind: selection.Regular, MTime: 100}, selection.Include},
		{selection.Object{Path: "a", Kind: selection.Regular, MTime: -1}, selection.Exclude},
		{selection.Object{Path: "a", Kind: selection.Directory, MTime: 1}, selection.Include},
		{selection.Object{Path: "a", Kind: selection.Other, MTime: 1}, selection.Include},
		{selection.Object{Path: "", Kind: selection.Regular, MTime: 1}, selection.Include},
	} {
		if got := s.Select(c.o); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.o, got, c.want)
		}
	}
}

// TestScan is about the answers for what may hold something included.
func TestScan(t *testing.T) {
	for _, rules := range [][]string{
		{"--include", "src/a/b/c", "--exclude", "src/a"},
		{"--include", "src/a/b/c", "--exclude", "src/x"},
		{"--include", "src/a/*/c", "--exclude", "src/x", "--exclude", "**"},
		{"--include", "**/c", "--exclude", "**"},
		{"--include", "src/x", "--include", "src/y", "--include", "src/z", "--include", "src/a/b/c", "--exclude", "**"},
	} {
		s := compile(t, "src", flags(rules...)...)
		for kind, want := range map[selection.Kind]selection.Answer{
			selection.Directory: selection.Scan, selection.Regular: selection.Exclude, selection.Other: selection.Exclude,
		} {
			if got := s.Select(selection.Object{Path: "a/b", Kind: kind}); got != want {
				t.Errorf("%q, kind %v: got %v, want %v", rules, kind, got, want)
			}
		}
	}
	s := compile(t, "src", flags("--exclude", "src/a", "--include", "src/a/b", "--exclude", "src/x")...)
	if got := s.Select(selection.Object{Path: "a", Kind: selection.Directory}); got != selection.Exclude {
		t.Errorf("excluded before it could be scanned: got %v", got)
	}
}

func TestNilSelection(t *testing.T) {
	var s *selection.Selection
	if got := s.Select(selection.Object{Path: "a"}); got != selection.Include {
		t.Errorf("got %v, want include", got)
	}
	if names, ok := s.Names(""); ok {
		t.Errorf("got names %q of no list", names)
	}
}

func TestRoots(t *testing.T) {
	for _, c := range []struct {
		root, pattern, path string
		want                selection.Answer
	}{
		{"/", "/usr", "usr", selection.Exclude},
		{"/", "/*/x", "usr/x", selection.Exclude},
		{"/", "*", "usr", selection.Exclude},
		{"/", "/", "usr", selection.Exclude},
		{"//", "/usr", "usr", selection.Exclude},
		{"/home/me", "/", "x", selection.Exclude},
		{"/home/me", "/home", "x", selection.Exclude},
		{"src/", "src/a", "a", selection.Exclude},
		{".", "./a", "a", selection.Exclude},
		{"../x", "../x/a", "a", selection.Exclude},
		{"../x", "**/x/a", "a", selection.Exclude},
		{"src", "src/b", "a", selection.Include},
	} {
		s := compile(t, c.root, flags("--exclude", c.pattern)...)
		if got := s.Select(selection.Object{Path: c.path}); got != c.want {
			t.Errorf("source %q, exclude %q, %q: got %v, want %v", c.root, c.pattern, c.path, got, c.want)
		}
	}
}

// TestRelative is about rules for a restore, which see paths without the source.
func TestRelative(t *testing.T) {
	tr := makeTree(nil, []string{"etc/a", "etc/b", "var/x.log"})
	s, err := selection.Compile(flags("--include", "etc/a", "--include", "**.log", "--exclude", "**"), selection.Options{Relative: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tr.selected(s), []string{"etc", "etc/a", "var", "var/x.log"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNames(t *testing.T) {
	s := compile(t, "src", flags("--files-from", "b/c/d\na\nb/a\nb/c")...)
	for dir, want := range map[string][]string{"": {"a", "b"}, "b": {"a", "c"}, "b/c": {"d"}, "a": nil, "x": nil} {
		if got, ok := s.Names(dir); !ok || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v, want %q", dir, got, ok, want)
		}
	}
	if names, ok := compile(t, "src").Names(""); ok {
		t.Errorf("got names %q of no list", names)
	}
}

// TestPathSet checks that rules on plain paths answer the same one by one and
// merged: the merged run is broken up by rules that never speak.
func TestPathSet(t *testing.T) {
	for seed := range uint64(500) {
		g := newGenerator(seed)
		tr := g.tree()
		var merged, apart []selection.Rule
		for range 4 + g.IntN(12) {
			parts := []string{"src"}
			for range g.IntN(4) {
				parts = append(parts, g.pick("a", "b", "ab", "B"))
			}
			r := selection.Rule{Option: selection.Option(g.pick("include", "exclude")), Value: strings.Join(parts, "/") + g.pick("", "", "/", "//")}
			merged = append(merged, r)
			apart = append(apart, r, selection.Rule{Option: selection.ExcludeRegexp, Value: "never"})
		}
		merged = append(merged, selection.Rule{Option: selection.ExcludeRegexp, Value: "never"})
		one, many := compile(t, "src", merged...), compile(t, "src", apart...)
		for p, n := range tr {
			o := selection.Object{Path: p, Kind: n.kind, MTime: n.mtime}
			if got, want := one.Select(o), many.Select(o); got != want {
				t.Fatalf("seed %d, rules %+v, %q: got %v, want %v", seed, merged, p, got, want)
			}
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	g := newGenerator(1)
	var rules []selection.Rule
	for i := range 48 {
		p := "/home/user/" + g.dir() + "/project" + g.dir() + g.dir()
		p += []string{"", "/*.o", "/**/cache", "/build/"}[i%4]
		rules = append(rules, selection.Rule{Option: selection.Option(g.pick("include", "exclude")), Value: p})
	}
	rules = append(rules, flags("--exclude", "**.tmp", "--exclude", "**/.cache/*")...)
	s := compile(b, "/home/user", rules...)
	b.Run("rules=50", func(b *testing.B) { benchmarkSelect(b, s) })

	var list strings.Builder
	for range 100_000 {
		list.WriteString("/home/user/" + g.dir() + "/" + g.dir() + "/" + g.dir() + g.dir() + g.dir() + g.dir() + g.dir() + "\n")
	}
	s = compile(b, "/home/user", flags("--exclude-filelist", list.String())...)
	b.Run("list=100k", func(b *testing.B) { benchmarkSelect(b, s) })
}

func benchmarkSelect(b *testing.B, s *selection.Selection) {
	paths := []string{
		"documents/letters/2026/november.txt", "a/projectab/src/main.go", "pictures/holiday/IMG_0001.jpg", ".config/app/settings.json",
		"a/projectbb/deep/er/and/deeper/file.c", "mail/inbox/cur/1700000000.M1P1.host",
	}
	size := 0
	for _, p := range paths {
		size += len(p)
	}
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, p := range paths {
			s.Select(selection.Object{Path: p, Kind: selection.Regular})
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(paths)), "ns/path")
}

package selection_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/selection"
)

func TestCompileErrors(t *testing.T) {
	source := selection.Options{Root: "src"}
	relative := selection.Options{Relative: true}
	for _, c := range []struct {
		args string
		opt  selection.Options
		code int
		text string // in the message
	}{
		{"--exclude other", source, selection.CodeOutside, `"other"`},
		{"--exclude sr", source, selection.CodeOutside, ""},
		{"--exclude src?d", source, selection.CodeOutside, ""},
		{"--exclude /src", source, selection.CodeOutside, ""},
		{"--exclude /", source, selection.CodeOutside, ""},
		{"--exclude //", source, selection.CodeOutside, ""},
		{"--exclude src/a", selection.Options{Root: "./src"}, selection.CodeOutside, ""},
		{"--exclude a", selection.Options{Root: "/"}, selection.CodeOutside, ""},
		{"--filter-literal --exclude other", source, selection.CodeOutside, ""},
		{"--exclude src//a", source, selection.CodeGlob, "//"},
		{"--exclude //src/a", source, selection.CodeGlob, ""},
		{"--exclude src/[b-a]", source, selection.CodeGlob, "range"},
		{"--exclude ignorecase:", source, selection.CodeGlob, "empty"},
		{"--exclude src/" + strings.Repeat("a", 1<<17), source, selection.CodeGlob, "longer"},
		{"--exclude src/[" + strings.Repeat("/", 400) + "]", source, selection.CodeGlob, ""},
		{"--include src/a", source, selection.CodeLastInclude, `--include "src/a"`},
		{"--exclude ** --include-regexp a", source, selection.CodeLastInclude, ""},
		{"--include src/a --exclude-if-present x", source, selection.CodeLastInclude, ""},
		{"--include src/a --exclude-device-files", source, selection.CodeLastInclude, ""},
		{"--include-filelist src/a\n", source, selection.CodeLastInclude, ""},
		{"--exclude-filelist #x\n\nother\n", source, selection.CodeOutside, "line 3"},
		{"--exclude-regexp (?!a)b", source, selection.CodeUsage, "RE2"},
		{"--exclude-regexp (a)\\1", source, selection.CodeUsage, "RE2"},
		{"--exclude-regexp (", source, selection.CodeUsage, ""},
		{"--exclude-regexp \xff", source, selection.CodeUsage, "UTF-8"},
		{"--exclude-if-present  --exclude src/a", source, selection.CodeUsage, ""},
		{"--frobnicate x", source, selection.CodeUsage, "unknown"},
		{"--filter-globbing --filter-strictcase --exclude src/a", source, selection.CodeRedundantFilter, ""},
		{"--exclude src/a --filter-literal", source, selection.CodeTrailingFilter, ""},
		{"--filter-globbing", source, selection.CodeTrailingFilter, ""},
		{"--files-from a\n/b", source, selection.CodeAbsolutePath, "line 2"},
		{"--files-from a/../../b", source, selection.CodeAbsolutePath, ""},
		{"--files-from \n\n", source, selection.CodeEmptyFilesFrom, ""},
		{"--exclude /a", relative, selection.CodeUsage, "relative"},
		{"--exclude a/../b", relative, selection.CodeUsage, "relative"},
		{"--exclude ./b", relative, selection.CodeUsage, "relative"},
		{"--exclude-if-present x", relative, selection.CodeUsage, "source"},
		{"--exclude-other-filesystems", relative, selection.CodeUsage, "source"},
		{"--files-from a", relative, selection.CodeUsage, "source"},
		{"--exclude a", selection.Options{}, selection.CodeUsage, "source"},
	} {
		_, err := selection.Compile(flags(strings.Split(c.args, " ")...), c.opt)
		var e *selection.Error
		if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%.80q: got %v, want code %d and %q in the text", c.args, err, c.code, c.text)
		}
	}
}

func TestFilelist(t *testing.T) {
	tr := makeTree(nil, []string{"a/b", "c d", "e", "'q'", "+ f", "#h"})
	for _, c := range []struct {
		list string
		null bool
		want []string // excluded
	}{
		{"src/a\nsrc/e\n", false, []string{"a", "a/b", "e"}},
		{"src/a\r\n\tsrc/e \u00a0\x1f\r\n", false, []string{"a", "a/b", "e"}},
		{"# src/a\n\n  # src/e\n+ src/e\nsrc/e\nsrc/c d", false, []string{"c d"}},
		{"'src/a'\n\"src/e\"\n''\n'\n", false, []string{"a", "a/b", "e"}},
		{"- 'src/a'\n+ \"src/e\"\n- src/*", false, []string{"#h", "'q'", "+ f", "a", "a/b", "c d"}},
		{"src/'q'\nsrc/+ f\nsrc/#h", false, []string{"#h", "'q'", "+ f"}},
		{"src/a\x00#src/e\x00\x00src/c d", true, []string{"a", "a/b", "c d"}},
		{"ignorecase:src/E\n", false, []string{"e"}},
	} {
		rules := []selection.Rule{{Option: selection.ExcludeFilelist, List: []byte(c.list)}}
		s, err := selection.Compile(rules, selection.Options{Root: "src", NullSeparator: c.null})
		if err != nil {
			t.Errorf("%q: %v", c.list, err)
			continue
		}
		kept := tr.selected(s)
		var got []string
		for p := range tr {
			if !slices.Contains(kept, p) {
				got = append(got, p)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: excluded %q, want %q", c.list, got, c.want)
		}
	}
}

// TestRegexp compares with what Python's re.search answers for the same text.
func TestRegexp(t *testing.T) {
	for _, c := range []struct {
		re, text string
		want     bool
	}{
		{`a/b`, "xa/by", true},
		{`^a`, "ba", false},
		{`a$`, "ba", true},
		{`a\Z`, "ba", true},
		{`.`, "\n", false},
		{`\w`, "é", true},
		{`\W`, "é", false},
		{`\d`, "٣", true},
		{`\D`, "٣", false},
		{`\s`, "\u00a0", true},
		{`\S`, "\x1f", false},
		{`[\w-]x`, "éx", true},
		{`[^\s]x`, "\u2003x", false},
		{`[[a]`, "[", true},
		{`[]a]b`, "]b", true},
		{`[^]a]b`, "]b", false},
		{`[[:a]b`, ":b", true},
		{`[\]]b`, "]b", true},
		{`^b{,2}$`, "bb", true},
		{`^b{,2}$`, "bbb", false},
		{`^b{,}$`, "bbb", true},
		{`b{,a}`, "b{,a}", true},
		{`\u00e9`, "é", true},
		{`[\U0001F600-\U0001F64F]`, "😀", true},
		{`\.txt`, "atxt", false},
		{`\\d`, `\d`, true},
		{`(?i)AÉ`, "aé", true},
		{`(?P<n>a)b`, "ab", true},
		{``, "a", true},
	} {
		re, err := selection.CompileRegexp(c.re, false)
		if err != nil {
			t.Errorf("%q: %v", c.re, err)
			continue
		}
		if got := re.MatchString(c.text); got != c.want {
			t.Errorf("%q in %q: got %v, want %v", c.re, c.text, got, c.want)
		}
	}
}

// FuzzCompile looks for rules that make Compile or Select panic, and checks what
// holds for every selection.
func FuzzCompile(f *testing.F) {
	f.Add("src", "src/keep\n- src/drop\n+ 'src/why/**.txt'\n# c\nignorecase:src/UP", `\.[a-c]{,2}\Z`, "drop/why/inner.txt")
	f.Add("/", "- /proc\n\"/home/*/\"\n- [/a]x\n", `[[:x]\w`, "home/me")
	f.Add("..", "../**/[!a-z]**\n", `(?!x)`, "a\xffb")
	f.Fuzz(func(t *testing.T, root, list, re, path string) {
		if path == "" || len(path) > 1000 || len(list) > 5000 {
			t.Skip()
		}
		rules := []selection.Rule{
			{Option: selection.IncludeFilelist, List: []byte(list)},
			{Option: selection.ExcludeRegexp, Value: re},
			{Option: selection.ExcludeOlderThan, Before: 10},
		}
		s, err := selection.Compile(rules, selection.Options{Root: root})
		if err != nil {
			var e *selection.Error
			if !errors.As(err, &e) || e.Code == 0 || err.Error() == "" {
				t.Fatalf("not an Error with a code: %v", err)
			}
			return
		}
		for _, o := range []selection.Object{{Path: path, Kind: selection.Regular, MTime: 9}, {Path: path, Kind: selection.Regular, MTime: 10}, {Path: path, Kind: selection.Directory}} {
			got := s.Select(o)
			if got == selection.None || got == selection.Scan && o.Kind != selection.Directory {
				t.Fatalf("%+v: got %v", o, got)
			}
			if again := s.Select(o); again != got {
				t.Fatalf("%+v: got %v, then %v", o, got, again)
			}
		}
		if got := s.Select(selection.Object{Kind: selection.Directory}); got != selection.Include {
			t.Fatalf("source: got %v", got)
		}
	})
}

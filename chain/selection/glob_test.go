package selection_test

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hindsight/chain/selection"
)

func TestGlob(t *testing.T) {
	const (
		none = selection.None
		hit  = selection.Include
		scan = selection.Scan
		dir  = selection.Directory
		file = selection.Regular
	)
	for _, c := range []struct {
		pattern, path string
		kind          selection.Kind
		want          selection.Answer
	}{
		{"src/a", "src/a", file, hit},
		{"src/a", "src/a/b/c", file, hit},
		{"src/a", "src/ab", file, none},
		{"src/a", "src", dir, scan},
		{"src/a", "sr", dir, none},
		{"src/*", "src/a", file, hit},
		{"src/*.txt", "src/a.txt/b", file, hit},
		{"src/*.txt", "src/a/b.txt", file, none},
		{"src/a*", "src/a", file, hit},
		{"src/?", "src/é", file, hit},
		{"src/?", "src/\xff", file, hit},
		{"src/??", "src/é", file, none},
		{"src/??", "src/\xff\xfe", file, hit},
		{"src/\xc3*", "src/é", file, none},
		{"src/\xc3*", "src/\xc3x", file, hit},
		{"src/a?b", "src/a/b", file, none},
		{"src/a**b", "src/a/x/b", file, hit},
		{"src/a**b", "src/ax", dir, scan},
		{"src/a**b/c", "src/b", dir, none},
		{"**.log", "src/x/y.log", file, hit},
		{"**.log", "src/x", dir, scan},
		{"src/a/**.log/b", "src/a/x/y", dir, scan},
		{"src/*/b/c", "src/x/b", dir, scan},
		{"src/*/b/c", "src/x/c", dir, none},
		{"src/[ab]", "src/b", file, hit},
		{"src/[a-c]x", "src/bx", file, hit},
		{"src/[a-]x", "src/-x", file, hit},
		{"src/[-a]x", "src/-x", file, hit},
		{"src/[!ab]", "src/c", file, hit},
		{"src/[^ab]", "src/a", file, none},
		{"src/[]]", "src/]", file, hit},
		{"src/[!]]", "src/]", file, none},
		{"src/a[!x]b", "src/a/b", file, hit}, // a negated set takes "/"
		{"src/[z", "src/[z", file, hit},
		{"src/[!]", "src/[!]", file, hit},
		{"src/[*]", "src/*", file, hit},
		{"src/[*]", "src/a", file, none},
		{`src/a\*`, `src/a\x`, file, hit},
		{"src/a/", "src/a", file, none},
		{"src/a/", "src/a", dir, hit},
		{"src/a/", "src/a/b", file, hit},
		{"src/**/", "src/x", file, none},
		{"src/**/", "src/x", dir, hit},
		{"src/a//", "src/a", dir, scan},
		{"src/a", "src/a\n", file, none},
		{"src/a?c", "src/a\nc", file, hit},
		{"src/[a/b]c", "src/[a", dir, scan},
		{"src/[a/b]c", "src/bc", file, hit},
		{"/", "/x/y", file, hit},
		{"/", "x/y", file, none},
		{"/x/y", "/x", dir, scan},
	} {
		got, err := selection.AnswerOfGlob(c.pattern, selection.Include, c.path, c.kind)
		if err != nil || got != c.want {
			t.Errorf("include %q of %q: got %v, %v, want %v", c.pattern, c.path, got, err, c.want)
		}
		want := map[selection.Answer]selection.Answer{hit: selection.Exclude}[c.want]
		if got, err := selection.AnswerOfGlob(c.pattern, selection.Exclude, c.path, c.kind); err != nil || got != want {
			t.Errorf("exclude %q of %q: got %v, %v, want %v", c.pattern, c.path, got, err, want)
		}
	}
}

// TestGlobTime runs patterns that make a backtracking matcher explode.
func TestGlobTime(t *testing.T) {
	path := "src/" + strings.Repeat("a/", 2000) + strings.Repeat("a", 2000)
	for _, pattern := range []string{
		strings.Repeat("**a", 40) + "b",
		strings.Repeat("*a", 400) + "**b",
		"src" + strings.Repeat("/*", 1900) + "/b",
		"src/" + strings.Repeat("**/", 100) + "b",
		"src" + strings.Repeat("[/a]", 200) + "b",
	} {
		start := time.Now()
		got, err := selection.AnswerOfGlob(pattern, selection.Exclude, path, selection.Regular)
		if err != nil || got != selection.None {
			t.Errorf("%.20s...: got %v, %v, want none", pattern, got, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.20s...: took %v", pattern, d)
		}
	}
}

// FuzzGlob compares the matcher with regular expressions.
func FuzzGlob(f *testing.F) {
	for _, pattern := range []string{
		"src/keep/cache", "src/drop/why/**.txt", "**.log", "src/[!a-c]x/", "src/a[!x]b/c", "src/[a/b]c", "src/a//", "[z",
		"a**b/*?", "/", "[]-a]", "[a-c-e]", "[--c]", "[b-a]", "a[**]b/c", "\xc3*\xa9", "[!\xff]", "*é[à-ü]",
	} {
		f.Add(pattern, "src/drop/why/inner.txt", true)
		f.Add(pattern, "src/a/c", false)
		f.Add(pattern, "é/a*b/\xc3\xc3\xa9", true)
	}
	f.Fuzz(func(t *testing.T, pattern, path string, dir bool) {
		private := func(r rune) bool { return r >= 0xE000 && r <= 0xF8FF } // taken by plainRunes
		if path == "" || len(pattern) > 200 || len(path) > 200 || strings.ContainsFunc(pattern+path, private) {
			t.Skip()
		}
		kind := selection.Regular
		if dir {
			kind = selection.Directory
		}
		for _, answer := range []selection.Answer{selection.Include, selection.Exclude} {
			want, wantOK := naiveGlob(pattern, answer, path, dir)
			got, err := selection.AnswerOfGlob(pattern, answer, path, kind)
			if (err == nil) != wantOK {
				t.Fatalf("%q: got error %v, want valid %v", pattern, err, wantOK)
			}
			if got != want {
				t.Fatalf("%v %q of %q: got %v, want %v", answer, pattern, path, got, want)
			}
		}
	})
}

// naiveGlob is the definition of a glob, by regular expressions; ok is false if
// the pattern is malformed.
func naiveGlob(pattern string, answer selection.Answer, path string, dir bool) (got selection.Answer, ok bool) {
	if pattern == "" {
		return selection.None, false
	}
	text, dirOnly := pattern, false
	if text == "/" {
		text = "/**"
	} else if text, dirOnly = strings.CutSuffix(text, "/"); dirOnly && text == "" {
		return selection.None, false
	}
	whole, err := regexp.Compile(`(?s)\A` + globRegexp(text) + `\z`)
	if err != nil {
		return selection.None, false
	}
	below := regexp.MustCompile(`(?s)\A` + globRegexp(text) + `/`)
	head, _, deep := strings.Cut(text, "**")
	if deep {
		head += "**"
	}
	var scans []string
	parts := strings.Split(head, "/")
	for i := range parts {
		if i > 0 && i < len(parts)-1 && parts[i] == "" {
			return selection.None, false
		}
		re := globRegexp(strings.Join(parts[:i+1], "/"))
		if _, err := regexp.Compile(re); err != nil {
			return selection.None, false
		}
		scans = append(scans, re)
	}
	path = plainRunes(path)
	switch {
	case whole.MatchString(path):
		if dirOnly && !dir {
			return selection.None, true
		}
		return answer, true
	case below.MatchString(path):
		return answer, true
	case answer == selection.Include && regexp.MustCompile(`(?s)\A(?:`+strings.Join(scans, "|")+`)\z`).MatchString(path):
		return selection.Scan, true
	}
	return selection.None, true
}

// globRegexp translates a glob.
func globRegexp(glob string) string {
	rs := []rune(plainRunes(glob))
	var b strings.Builder
	for i := 0; i < len(rs); i++ {
		switch {
		case rs[i] == '*' && i+1 < len(rs) && rs[i+1] == '*':
			b.WriteString(".*")
			i++
		case rs[i] == '*':
			b.WriteString("[^/]*")
		case rs[i] == '?':
			b.WriteString("[^/]")
		case rs[i] == '[' && setEnd(rs, i) > 0:
			end := setEnd(rs, i)
			body := rs[i+1 : end]
			b.WriteString("[")
			if body[0] == '!' || body[0] == '^' {
				b.WriteString("^")
				body = body[1:]
			}
			for _, r := range body {
				if strings.ContainsRune(`\[]^`, r) {
					b.WriteByte('\\')
				}
				b.WriteRune(r)
			}
			b.WriteString("]")
			i = end
		default:
			b.WriteString(regexp.QuoteMeta(string(rs[i])))
		}
	}
	return "(?:" + b.String() + ")"
}

// setEnd is the index of the "]" that closes the set that begins at rs[i], or 0.
func setEnd(rs []rune, i int) int {
	i++
	if i < len(rs) && (rs[i] == '!' || rs[i] == '^') {
		i++
	}
	for i++; i < len(rs); i++ {
		if rs[i] == ']' {
			return i
		}
	}
	return 0
}

// plainRunes puts a private-use character in place of each byte that is
// not valid UTF-8, as regular expressions cannot tell such bytes apart.
func plainRunes(s string) string {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			r = 0xF700 + rune(s[0])
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

func TestLower(t *testing.T) {
	for in, want := range map[string]string{"": "", "aé/": "aé/", "AÉ/x": "aé/x", "A\xff\xc3B": "a\xff\xc3b", "\xed\xa0\x80Z": "\xed\xa0\x80z", "\uFFFDA": "\uFFFDa"} {
		if got := selection.Lower(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

package selection

import (
	"strings"
	"unicode"
)

// parseLine reads one line of a filelist: the pattern, which is empty if the line
// gives no rule, and what it answers (duplicity-format.md §8).
func parseLine(line string, answer Answer) (pattern string, give Answer) {
	line = strings.TrimFunc(line, isSpace)
	if strings.HasPrefix(line, "#") {
		return "", answer
	}
	if rest, ok := strings.CutPrefix(line, "+ "); ok {
		line, answer = rest, Include
	} else if rest, ok := strings.CutPrefix(line, "- "); ok {
		line, answer = rest, Exclude
	}
	return unquote(line), answer
}

// unquote removes one layer of matching quotes around s.
func unquote(s string) string {
	if s == "" || s[0] != '"' && s[0] != '\'' || s[len(s)-1] != s[0] {
		return s
	}
	if len(s) == 1 {
		return "" // a lone quote is its own partner, as in duplicity
	}
	return s[1 : len(s)-1]
}

// isSpace is Python's str.isspace: Unicode white space and four separators.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1C <= r && r <= 0x1F
}

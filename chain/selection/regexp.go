package selection

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// compileRegexp compiles a Python regular expression that RE2 can express.
func compileRegexp(text string, fold bool) (*regexp.Regexp, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("regular expression is not valid UTF-8")
	}
	text = fromPython(text)
	if fold {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	var bad *syntax.Error
	if errors.As(err, &bad) {
		return nil, fmt.Errorf("%s: %q (regular expressions are RE2: no lookaround, no backreferences)", bad.Code, bad.Expr)
	}
	return re, err
}

// pythonClass is what Python's character classes mean for text, in RE2, to be
// put between brackets.
var pythonClass = map[byte]string{
	'd': `\p{Nd}`,
	'w': `\p{L}\p{N}_`,
	's': `\s\v\x1c-\x1f\x{85}\p{Z}`,
}

// openRepeat is a repeat count without lower bound, which RE2 does not know.
var openRepeat = regexp.MustCompile(`^\{,[0-9]*\}`)

// fromPython rewrites what Python and RE2 spell differently: \Z, classes that
// know Unicode, \u and \U escapes, {,n}, and "[" within a set.
func fromPython(text string) string {
	var b strings.Builder
	inSet := 0 // where the set began that i is in, or 0
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			n, out := pythonEscape(text[i:], inSet > 0)
			b.WriteString(out)
			i += n
			continue
		case inSet > 0 && c == '[':
			b.WriteString(`\[`)
		case inSet > 0:
			if c == ']' && i >= inSet {
				inSet = 0
			}
			b.WriteByte(c)
		case c == '[':
			b.WriteByte(c)
			inSet = i + 1
			if strings.HasPrefix(text[inSet:], "^") {
				b.WriteByte('^')
				i++
				inSet++
			}
			inSet++ // a "]" in first place does not close the set
		case c == '{' && openRepeat.MatchString(text[i:]):
			b.WriteString("{0")
		default:
			b.WriteByte(c)
		}
		i++
	}
	return b.String()
}

// pythonEscape translates the escape at the start of text and says how long it is.
func pythonEscape(text string, inSet bool) (n int, out string) {
	c := text[1]
	if class, ok := pythonClass[c]; ok {
		if inSet {
			return 2, class
		}
		return 2, "[" + class + "]"
	}
	if class, ok := pythonClass[c|0x20]; ok && !inSet {
		return 2, "[^" + class + "]"
	}
	digits := map[byte]int{'u': 4, 'U': 8}[c]
	if digits > 0 && len(text) >= 2+digits {
		return 2 + digits, `\x{` + text[2:2+digits] + "}"
	}
	if c == 'Z' && !inSet {
		return 2, `\z`
	}
	_, size := utf8.DecodeRuneInString(text[1:])
	return 1 + size, text[:1+size]
}

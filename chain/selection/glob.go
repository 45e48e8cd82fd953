package selection

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// glob is a compiled pattern: of a glob, or of a literal path.
type glob struct {
	answer  Answer // Include or Exclude: for what the pattern matches
	fold    bool   // matched against the path in lower case
	dirOnly bool   // what the pattern spells must be a directory

	// head is the literal text before the first wildcard; the whole pattern if
	// tail is nil. tail is matched against what follows head.
	head string
	tail *program

	// An include pattern gives Scan for paths that equal one of its leading
	// component prefixes, up to its first "**"; an exclude pattern needs them for
	// covers only. stem is the longest of these without a wildcard; scan matches
	// the others, after head, by reaching one of marks. odd holds one program for
	// each prefix instead, where a "/" between brackets makes the prefixes read
	// differently from the whole.
	stem  string
	scan  *program
	marks states
	odd   []*program
}

// Bounds of a pattern. Paths may be longer than PATH_MAX, but hardly so long.
const (
	maxPattern = 64 << 10 // bytes
	maxOdd     = 256      // components of a pattern with a "/" between brackets
)

var (
	errEmptyPattern = errors.New("empty pattern")
	errLongPattern  = fmt.Errorf("pattern is longer than %d bytes", maxPattern)
	errDoubleSlash  = errors.New(`"//" inside a pattern matches nothing`)
	errManyParts    = fmt.Errorf(`more than %d components in a pattern with "/" between brackets`, maxOdd)
)

// compileLiteral makes the pattern of one path: it and everything below match.
func compileLiteral(path string, answer Answer, fold bool) (*glob, error) {
	if path == "" {
		return nil, errEmptyPattern
	}
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	if fold {
		path = lower(path)
	}
	return &glob{answer: answer, fold: fold, head: path, stem: path}, nil
}

// compileGlob makes the pattern of a glob without "ignorecase:" prefix. It knows
// its scans whatever the answer, for covers.
func compileGlob(text string, answer Answer, fold bool) (*glob, error) {
	if text == "" {
		return nil, errEmptyPattern
	}
	if len(text) > maxPattern {
		return nil, errLongPattern
	}
	if fold {
		text = lower(text)
	}
	g := &glob{answer: answer, fold: fold}
	if text == "/" {
		text = "/**" // everything, if the source is an absolute path
	} else if rest, ok := strings.CutSuffix(text, "/"); ok {
		text, g.dirOnly = rest, true
	}
	toks, err := scanGlob(text)
	if err != nil {
		return nil, err
	}
	n := literalTokens(toks)
	g.head = tokenText(toks[:n])
	if n < len(toks) {
		g.tail = newProgram(toks[n:])
	}
	return g, g.compileScans(text, n)
}

// compileScans sets what gives Scan; the first n tokens of text make up g.head.
func (g *glob) compileScans(text string, n int) error {
	if i := strings.Index(text, "**"); i >= 0 {
		text = text[:i+len("**")]
	}
	parts := strings.Split(text, "/")
	for i := 1; i < len(parts)-1; i++ {
		if parts[i] == "" {
			return errDoubleSlash
		}
	}
	toks, err := scanGlob(text)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(toks, func(t token) bool { return t.op == opSet && t.set.slash }) {
		return g.compileOddScans(text, n)
	}
	g.stem = tokenText(toks[:componentEnd(toks, n)])
	if n == len(toks) {
		return nil
	}
	g.scan = &program{toks: toks[n:]}
	g.marks = make(states, g.scan.words())
	for i, t := range g.scan.toks {
		if i > 0 && t.op == opRune && t.r == '/' {
			g.marks.add(i)
		}
	}
	g.marks.add(len(g.scan.toks))
	return nil
}

// compileOddScans is compileScans for a pattern with a "/" between brackets:
// prefixes that end there have an unclosed bracket, which stands for itself.
func (g *glob) compileOddScans(text string, n int) error {
	if strings.Count(text, "/") >= maxOdd {
		return errManyParts
	}
	for end := 0; end < len(text); end++ {
		next := strings.IndexByte(text[end:], '/')
		if next < 0 {
			next = len(text) - end
		}
		end += next
		toks, err := scanGlob(text[:end])
		if err != nil {
			return err
		}
		if isLiteral(toks) {
			g.stem = text[:end]
		} else {
			g.odd = append(g.odd, newProgram(toks[n:]))
		}
	}
	return nil
}

// test says what the pattern has to say of the object o whose path is full.
func (g *glob) test(full string, kind Kind) Answer {
	if whole, below := g.match(full); whole {
		if g.dirOnly && kind != Directory {
			return None
		}
		return g.answer
	} else if below {
		return g.answer
	}
	if g.answer == Include && g.scans(full) {
		return Scan
	}
	return None
}

// match says whether the pattern matches all of path, or something above it.
func (g *glob) match(path string) (whole, below bool) {
	rest, ok := strings.CutPrefix(path, g.head)
	if !ok {
		return false, false
	}
	if g.tail != nil {
		return g.tail.match(rest, g.dirOnly)
	}
	return rest == "", rest != "" && rest[0] == '/'
}

// scans says whether path equals a leading component prefix of the pattern.
func (g *glob) scans(path string) bool {
	if rest, ok := strings.CutPrefix(g.stem, path); ok && (rest == "" || rest[0] == '/') {
		return true
	}
	if g.scan == nil && g.odd == nil {
		return false
	}
	rest, ok := strings.CutPrefix(path, g.head)
	if !ok {
		return false
	}
	if g.scan != nil {
		return g.scan.reaches(rest, g.marks)
	}
	for _, p := range g.odd {
		if whole, _ := p.match(rest, true); whole {
			return true
		}
	}
	return false
}

// covers says whether the pattern can match anything in the source root: whether
// it would include or scan it (duplicity-format.md §8, exit 14).
func (g *glob) covers(root string) bool {
	if g.fold {
		root = lower(root)
	}
	if root == "/" && strings.HasPrefix(g.head, "/") {
		return true // "/" is the first component prefix of every absolute path
	}
	whole, below := g.match(root)
	return whole || below || g.scans(root)
}

// literalTokens counts the tokens before the first wildcard. A raw byte at the
// end is left out: it could be cut from a longer character of the path.
func literalTokens(toks []token) int {
	n := slices.IndexFunc(toks, func(t token) bool { return t.op != opRune })
	if n < 0 {
		n = len(toks)
	}
	for n > 0 && toks[n-1].raw() {
		n--
	}
	return n
}

func isLiteral(toks []token) bool {
	return !slices.ContainsFunc(toks, func(t token) bool { return t.op != opRune })
}

// componentEnd is where the last component prefix ends that lies within the
// first n tokens.
func componentEnd(toks []token, n int) int {
	if n == len(toks) {
		return n
	}
	for n--; n >= 0; n-- {
		if toks[n].op == opRune && toks[n].r == '/' {
			return n
		}
	}
	return 0
}

// tokenText is the text of opRune tokens.
func tokenText(toks []token) string {
	var b []byte
	for _, t := range toks {
		b = appendRune(b, t.r)
	}
	return string(b)
}

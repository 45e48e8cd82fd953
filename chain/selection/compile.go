package selection

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Options say how rules are read.
type Options struct {
	// Root is the path of the source as the user gave it; globs and regular
	// expressions see it in front of each path. Slashes at its end are ignored.
	// It must not be empty, unless Relative is set.
	Root string
	// Relative is for choosing from a backup instead of a source: patterns are
	// relative to the root of the backup, without Root. A pattern that begins
	// with "/" or has a component "." or ".." is then an error, as are
	// ExcludeIfPresent, ExcludeOtherFS and FilesFrom (duplicity-format.md §6.3).
	Relative bool
	// NullSeparator says that lists are separated by NUL instead of line feeds.
	NullSeparator bool
}

// Compile makes a Selection of rules in command-line order. An error is always an
// *Error. The rules are not kept.
func Compile(rules []Rule, opt Options) (*Selection, error) {
	if opt.Root == "" && !opt.Relative {
		return nil, &Error{Code: CodeUsage, Reason: "the source has an empty name"}
	}
	if err := checkFilters(rules); err != nil {
		return nil, err
	}
	c := compiler{opt: opt, root: opt.Root, sel: new(Selection)}
	if trimmed := strings.TrimRight(c.root, "/"); trimmed != "" {
		c.root = trimmed
	} else if c.root != "" {
		c.root = "/"
	}
	if !opt.Relative {
		c.sel.prefix = strings.TrimSuffix(c.root, "/") + "/"
	}
	for _, r := range rules {
		if err := c.add(r); err != nil {
			return nil, err
		}
	}
	if len(c.rules) > 0 && c.last().answer() == Include {
		return nil, &Error{
			Code: CodeLastInclude, Option: c.lastOption, Value: c.lastValue,
			Reason: "the last rule only includes, which is the default anyway; an exclude must follow",
		}
	}
	slices.Reverse(c.front)
	c.sel.rules = mergePaths(append(c.front, c.rules...))
	return c.sel, nil
}

// checkFilters refuses filter options that have no effect.
func checkFilters(rules []Rule) error {
	if len(rules) == 0 {
		return nil
	}
	if last := rules[len(rules)-1].Option; last.isFilter() {
		return &Error{Code: CodeTrailingFilter, Option: last, Reason: "no rule follows that it could change"}
	}
	var filter Option
	for _, r := range rules {
		switch r.Option {
		case FilterGlobbing, FilterStrictcase:
			filter = r.Option
		case FilterLiteral, FilterRegexp, FilterIgnorecase:
			return nil
		}
	}
	if filter != "" {
		return &Error{Code: CodeRedundantFilter, Option: filter, Reason: "this is the default and changes nothing"}
	}
	return nil
}

func (o Option) isFilter() bool { return strings.HasPrefix(string(o), "filter-") }

// mode is how patterns are read.
type mode uint8

const (
	globbing mode = iota
	literal
	regex
)

// compiler holds the state of Compile between rules.
type compiler struct {
	opt   Options
	root  string
	mode  mode
	fold  bool
	front []rule // tested before all others, last given first
	rules []rule
	sel   *Selection

	lastOption Option // of the newest element of rules
	lastValue  string
}

func (c *compiler) last() *rule { return &c.rules[len(c.rules)-1] }

// add compiles one option.
func (c *compiler) add(r Rule) error {
	switch r.Option {
	case FilterGlobbing:
		c.mode = globbing
	case FilterLiteral:
		c.mode = literal
	case FilterRegexp:
		c.mode = regex
	case FilterStrictcase:
		c.fold = false
	case FilterIgnorecase:
		c.fold = true
	case IncludeGlob:
		return c.pattern(r, Include)
	case ExcludeGlob:
		return c.pattern(r, Exclude)
	case IncludeRegexp:
		return c.regexp(r, Include)
	case ExcludeRegexp:
		return c.regexp(r, Exclude)
	case IncludeFilelist:
		return c.filelist(r, Include)
	case ExcludeFilelist:
		return c.filelist(r, Exclude)
	case FilesFrom:
		return c.filesFrom(r)
	default:
		return c.addTest(r)
	}
	return nil
}

// addTest compiles the options that look at more than the path.
func (c *compiler) addTest(r Rule) error {
	switch r.Option {
	case ExcludeIfPresent, ExcludeOtherFS:
		if c.opt.Relative {
			return &Error{Code: CodeUsage, Option: r.Option, Value: r.Value, Reason: "works on a source only, not on a backup"}
		}
	}
	switch r.Option {
	case ExcludeIfPresent:
		if r.Value == "" || strings.Contains(r.Value, "\x00") {
			return &Error{Code: CodeUsage, Option: r.Option, Value: r.Value, Reason: "not a file name"}
		}
		c.front = append(c.front, rule{kind: ruleIfPresent, name: r.Value})
	case ExcludeDevices:
		c.front = append(c.front, rule{kind: ruleDevice})
	case ExcludeOtherFS:
		c.push(rule{kind: ruleOtherFS}, r)
	case ExcludeOlderThan:
		c.push(rule{kind: ruleOlder, before: r.Before}, r)
	default:
		return &Error{Code: CodeUsage, Option: r.Option, Value: r.Value, Reason: "unknown option"}
	}
	return nil
}

func (c *compiler) push(compiled rule, from Rule) {
	c.rules = append(c.rules, compiled)
	c.lastOption, c.lastValue = from.Option, from.Value
}

// pattern compiles r.Value as the filter options say.
func (c *compiler) pattern(r Rule, answer Answer) error {
	if c.mode == regex {
		return c.regexp(r, answer)
	}
	text, fold := r.Value, c.fold
	compile := compileLiteral
	if c.mode == globbing {
		compile = compileGlob
		if n := len(ignorecase); len(text) >= n && strings.EqualFold(text[:n], ignorecase) {
			text, fold = text[n:], true
		}
	}
	g, err := compile(text, answer, fold)
	if err != nil {
		return &Error{Code: CodeGlob, Option: r.Option, Value: r.Value, Reason: err.Error()}
	}
	if c.opt.Relative {
		if err := checkRelative(text); err != nil {
			return &Error{Code: CodeUsage, Option: r.Option, Value: r.Value, Reason: err.Error()}
		}
	} else if !g.covers(c.root) {
		return &Error{
			Code: CodeOutside, Option: r.Option, Value: r.Value,
			Reason: fmt.Sprintf("cannot match anything in the source %q; patterns begin with the source or a wildcard", c.root),
		}
	}
	c.sel.folds = c.sel.folds || g.fold
	c.push(rule{kind: ruleGlob, glob: g}, r)
	return nil
}

// ignorecase is the prefix of a glob that ignores case; it may be in any case.
const ignorecase = "ignorecase:"

func (c *compiler) regexp(r Rule, answer Answer) error {
	re, err := compileRegexp(r.Value, c.fold)
	if err != nil {
		return &Error{Code: CodeUsage, Option: r.Option, Value: r.Value, Reason: err.Error()}
	}
	c.push(rule{kind: ruleRegexp, re: re, give: answer}, r)
	return nil
}

// checkRelative refuses patterns that cannot match below the root of a backup.
func checkRelative(pattern string) error {
	if strings.HasPrefix(pattern, "/") {
		return fmt.Errorf("patterns are relative to the root of the backup: no leading %q", "/")
	}
	for part := range strings.SplitSeq(pattern, "/") {
		if part == "." || part == ".." {
			return fmt.Errorf("patterns are relative to the root of the backup: no %q", part)
		}
	}
	return nil
}

// separator ends each item of a list.
func (c *compiler) separator() []byte {
	if c.opt.NullSeparator {
		return []byte{0}
	}
	return []byte{'\n'}
}

// filelist adds one rule for each line of r.List.
func (c *compiler) filelist(r Rule, answer Answer) error {
	line := 0
	for item := range bytes.SplitSeq(r.List, c.separator()) {
		line++
		text, give := parseLine(string(item), answer)
		if text == "" {
			continue
		}
		if err := c.pattern(Rule{Option: r.Option, Value: text}, give); err != nil {
			if e, ok := err.(*Error); ok {
				e.Line = line
			}
			return err
		}
	}
	return nil
}

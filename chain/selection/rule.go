package selection

import "fmt"

// Option is the name of a command-line option, without the leading "--".
type Option string

// The options that make rules, and those that change how later ones are read.
const (
	IncludeGlob      Option = "include"
	ExcludeGlob      Option = "exclude"
	IncludeRegexp    Option = "include-regexp"
	ExcludeRegexp    Option = "exclude-regexp"
	IncludeFilelist  Option = "include-filelist"
	ExcludeFilelist  Option = "exclude-filelist"
	ExcludeIfPresent Option = "exclude-if-present"
	ExcludeDevices   Option = "exclude-device-files"
	ExcludeOtherFS   Option = "exclude-other-filesystems"
	ExcludeOlderThan Option = "exclude-older-than"
	FilesFrom        Option = "files-from"

	// How IncludeGlob, ExcludeGlob and both filelists read their patterns.
	FilterGlobbing Option = "filter-globbing" // the default
	FilterLiteral  Option = "filter-literal"
	FilterRegexp   Option = "filter-regexp"

	// Whether globs, literals and regular expressions mind upper and lower case.
	FilterStrictcase Option = "filter-strictcase" // the default
	FilterIgnorecase Option = "filter-ignorecase"
)

// Rule is one option of the command line.
type Rule struct {
	Option Option
	// Value is the option's argument: a pattern, the name for ExcludeIfPresent,
	// or what to call a list in messages. Unused by options without argument.
	Value string
	// List is the content of the file, for the filelists and FilesFrom.
	List []byte
	// Before is the time for ExcludeOlderThan, in seconds since 1970-01-01 UTC:
	// regular files last modified before it are excluded.
	Before int64
}

// Exit codes of duplicity for errors in the rules (duplicity-format.md §6.1).
const (
	CodeUsage           = 2  // not a valid option, argument or regular expression
	CodeOutside         = 14 // a pattern that cannot match anything in the source
	CodeGlob            = 15 // malformed glob
	CodeLastInclude     = 16 // the last rule only includes
	CodeRedundantFilter = 70 // filter options that only repeat the defaults
	CodeTrailingFilter  = 71 // a filter option that nothing follows
	CodeAbsolutePath    = 72 // a path in a files-from list that is not below the source
	CodeEmptyFilesFrom  = 73 // a files-from list without paths
)

// Error says what is wrong with a rule.
type Error struct {
	Code   int    // exit code: one of the Code constants
	Option Option // the option at fault; "" for the source itself
	Value  string // its argument, or the line of the list
	Line   int    // line of the list, from 1; 0 where there is no list
	Reason string
}

func (e *Error) Error() string {
	switch {
	case e.Option == "":
		return e.Reason
	case e.Line > 0:
		return fmt.Sprintf("--%s: line %d: %q: %s", e.Option, e.Line, e.Value, e.Reason)
	case e.Value == "":
		return fmt.Sprintf("--%s: %s", e.Option, e.Reason)
	}
	return fmt.Sprintf("--%s %q: %s", e.Option, e.Value, e.Reason)
}

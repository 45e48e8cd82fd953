package selection

import "regexp"

// Answer is what one rule, or a whole selection, says of an object.
type Answer uint8

const (
	// None: the rule has no opinion. Select never returns it.
	None Answer = iota
	// Include: store the object; enter it if it is a directory.
	Include
	// Exclude: leave the object out; never enter it.
	Exclude
	// Scan: enter the directory, and store it (with its parents, in order)
	// only if something inside turns out to be included. Directories only.
	Scan
)

// String names the answer for messages and tests.
func (a Answer) String() string {
	switch a {
	case Include:
		return "include"
	case Exclude:
		return "exclude"
	case Scan:
		return "scan"
	}
	return "none"
}

// Kind is what selection needs to know of an object's type.
type Kind uint8

const (
	// Other is a symbolic link, a named pipe or anything not listed below.
	Other Kind = iota
	// Regular is a regular file.
	Regular
	// Directory is a directory.
	Directory
	// Device is a block or character device.
	Device
)

// Object is one object of the tree that a selection is asked about.
type Object struct {
	// Path is relative to the source, separated by "/", with neither a leading
	// nor a trailing "/"; the source itself is "".
	Path string
	Kind Kind
	// MTime is the modification time in whole seconds since 1970-01-01 UTC.
	MTime int64
	// OtherFS says that the object lies on another device than the source.
	OtherFS bool
	// Contains says whether the directory directly contains name. It is called
	// for directories only, and only by exclude-if-present; nil means no.
	Contains func(name string) bool
}

// Selection is a compiled rule list. It is immutable and safe for concurrent
// use. The nil Selection includes everything.
type Selection struct {
	prefix string // prepended to Object.Path: the source and "/", or ""
	rules  []rule
	folds  bool     // a glob of rules ignores case
	files  *fileSet // of files-from, or nil
}

// ruleKind is what a rule looks at.
type ruleKind uint8

const (
	ruleGlob ruleKind = iota
	rulePaths
	ruleRegexp
	ruleIfPresent
	ruleDevice
	ruleOtherFS
	ruleOlder
)

// rule is one compiled condition. It is a struct and not an interface so that
// objects stay on the stack.
type rule struct {
	kind   ruleKind
	glob   *glob
	paths  *pathSet
	re     *regexp.Regexp
	give   Answer // of a regular expression
	name   string // of ruleIfPresent
	before int64  // of ruleOlder, in seconds
}

// answer is what the rule can give, Scan aside.
func (r *rule) answer() Answer {
	switch r.kind {
	case ruleGlob:
		return r.glob.answer
	case ruleRegexp:
		return r.give
	}
	return Exclude
}

// test gives the rule's answer about o; scan says that Scan comes before it. full
// is the path that patterns see, and low is full in lower case if any glob needs
// it. These are no struct so that o need not be allocated.
func (r *rule) test(o *Object, full, low string) (answer Answer, scan bool) {
	switch r.kind {
	case ruleGlob:
		path := full
		if r.glob.fold {
			path = low
		}
		return r.glob.test(path, o.Kind), false
	case rulePaths:
		return r.paths.test(full, o.Kind)
	case ruleRegexp:
		return r.give.when(r.re.MatchString(full)), false
	case ruleIfPresent:
		return Exclude.when(o.Kind == Directory && o.Contains != nil && o.Contains(r.name)), false
	case ruleDevice:
		return Exclude.when(o.Kind == Device), false
	case ruleOtherFS:
		return Exclude.when(o.OtherFS), false
	case ruleOlder:
		return Exclude.when(o.Kind == Regular && o.MTime < r.before), false
	}
	panic("selection: rule of unknown kind")
}

// when is a if cond holds, else None.
func (a Answer) when(cond bool) Answer {
	if cond {
		return a
	}
	return None
}

// Select says what becomes of o: Include, Exclude or Scan, the last for
// directories only. Ask it about an object only after its parent answered
// Include or Scan: what lies in an excluded directory is out by not being
// entered, not by a rule of its own.
func (s *Selection) Select(o Object) Answer {
	if s == nil || o.Path == "" {
		return Include
	}
	if s.files != nil && !s.files.has(o.Path) {
		return Exclude
	}
	if len(s.rules) == 0 {
		return Include
	}
	full, low := s.prefix+o.Path, ""
	if s.folds {
		low = lower(full)
	}
	found, scan := None, false
	for i := range s.rules {
		a, scanned := s.rules[i].test(&o, full, low)
		scan = scan || scanned || a == Scan
		if a == Include || a == Exclude {
			found = a
			break
		}
	}
	switch {
	case found == Include:
		return Include
	case scan && o.Kind == Directory:
		return Scan
	case scan:
		// duplicity drops what is not a directory where it would scan one.
		return Exclude
	case found == Exclude:
		return Exclude
	}
	return Include
}

// Names returns the names to visit in the directory dir (a path as in Object)
// when a files-from list restricts the walk, sorted by bytes; ok is false when
// there is no such list and the directory is to be read. The slice is shared
// and must not be changed. Listed names may not exist.
func (s *Selection) Names(dir string) (names []string, ok bool) {
	if s == nil || s.files == nil {
		return nil, false
	}
	return s.files.children[dir], true
}

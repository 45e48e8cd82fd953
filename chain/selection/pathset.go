package selection

import "strings"

// pathSet answers for a run of rules that name plain paths, as long filelists do,
// in time that does not depend on their number.
type pathSet struct {
	byPath map[string]pathRules
	max    int // bytes of the longest path in byPath
}

// pathRules are the rules of a run that speak of one path. Positions in the run
// count from 1; 0 means that there is no such rule.
type pathRules struct {
	any  place // the first rule that names the path, whatever the path is
	dir  place // the first that names it with a trailing "/"
	scan int   // position of the first include rule for something below it
}

// place is the position of a rule in the run, and its answer.
type place struct {
	at     int
	answer Answer
}

// minMerge is the number of rules from which a pathSet is quicker than the rules
// one after the other.
const minMerge = 4

// mergePaths replaces runs of rules that name plain paths by path sets.
func mergePaths(rules []rule) []rule {
	var out []rule
	for len(rules) > 0 {
		n := 0
		for n < len(rules) && rules[n].isPath() {
			n++
		}
		if n >= minMerge {
			out = append(out, rule{kind: rulePaths, paths: newPathSet(rules[:n])})
		} else {
			n = max(n, 1)
			out = append(out, rules[:n]...)
		}
		rules = rules[n:]
	}
	return out
}

// isPath says whether r is a pattern without wildcards that minds the case.
func (r *rule) isPath() bool {
	return r.kind == ruleGlob && r.glob.tail == nil && !r.glob.fold && r.glob.odd == nil
}

func newPathSet(rules []rule) *pathSet {
	s := &pathSet{byPath: make(map[string]pathRules, len(rules))}
	for i, r := range rules {
		g := r.glob
		e := s.byPath[g.head]
		p := &e.any
		if g.dirOnly {
			p = &e.dir
		}
		if p.at == 0 {
			*p = place{i + 1, g.answer}
		}
		s.byPath[g.head] = e
		s.max = max(s.max, len(g.head))
		if g.answer == Include {
			s.addScans(g.head, i+1)
		}
	}
	return s
}

// addScans enters the parents of path. Parents that an earlier rule has entered
// have had their own parents entered too.
func (s *pathSet) addScans(path string, at int) {
	for {
		i := strings.LastIndexByte(path, '/')
		if i <= 0 {
			return
		}
		path = path[:i]
		e := s.byPath[path]
		if e.scan != 0 {
			return
		}
		e.scan = at
		s.byPath[path] = e
	}
}

// test gives the answer of the first rule of the run that includes or excludes
// the path, and says whether a rule before that gave Scan.
func (s *pathSet) test(full string, kind Kind) (answer Answer, scan bool) {
	var first place
	consider := func(p place) {
		if p.at != 0 && (first.at == 0 || p.at < first.at) {
			first = p
		}
	}
	for i := 1; i < len(full) && i <= s.max; i++ {
		if full[i] != '/' {
			continue
		}
		if e, ok := s.byPath[full[:i]]; ok {
			consider(e.any)
			consider(e.dir)
		}
	}
	at := 0
	if len(full) <= s.max {
		e := s.byPath[full]
		consider(e.any)
		if kind == Directory {
			consider(e.dir)
		}
		at = e.scan
	}
	return first.answer, at != 0 && (first.at == 0 || at < first.at)
}

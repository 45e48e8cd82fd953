package selection

import "regexp"

// AnswerOfGlob gives the answer of one glob, without a source.
func AnswerOfGlob(pattern string, answer Answer, path string, kind Kind) (Answer, error) {
	g, err := compileGlob(pattern, answer, false)
	if err != nil {
		return None, err
	}
	return g.test(path, kind), nil
}

// CompileRegexp is the translation of Python's regular expressions.
func CompileRegexp(text string, fold bool) (*regexp.Regexp, error) { return compileRegexp(text, fold) }

// Lower is the comparison form of paths that ignore case.
func Lower(s string) string { return lower(s) }

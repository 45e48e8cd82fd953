package naming

import "strings"

// scanner takes a string apart from the left. Once something does not fit it is
// failed, and what the steps gave means nothing.
type scanner struct {
	rest   string
	failed bool
}

// literal takes the string lit.
func (p *scanner) literal(lit string) {
	rest, ok := strings.CutPrefix(p.rest, lit)
	p.rest, p.failed = rest, p.failed || !ok
}

// letter takes one letter of either case; want is in upper case.
func (p *scanner) letter(want byte) {
	if p.rest == "" || upper(p.rest[0]) != want {
		p.failed = true
		return
	}
	p.rest = p.rest[1:]
}

// number takes exactly n decimal digits.
func (p *scanner) number(n int, to *int) {
	if len(p.rest) < n || !digits(p.rest[:n], to) {
		p.failed = true
		return
	}
	p.rest = p.rest[n:]
}

// digits reads a short run of decimal digits; s must not be longer than nine.
func digits(s string, to *int) bool {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	*to = n
	return s != ""
}

// parseBase36 reads digits 0-9a-z, of at most 40 bits.
func parseBase36(s string) (int64, bool) {
	var n int64
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			n = n*36 + int64(c-'0')
		case c >= 'a' && c <= 'z':
			n = n*36 + int64(c-'a') + 10
		default:
			return 0, false
		}
		if n >= 1<<40 {
			return 0, false
		}
	}
	return n, s != ""
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

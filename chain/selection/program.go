package selection

import (
	"errors"
	"math/bits"
	"strings"
)

// op is what a token of a glob matches.
type op uint8

const (
	opRune    op = iota // the rune itself
	opAny               // one rune but "/": ?
	opSet               // one rune of a set: [...]
	opRun               // any run without "/": *
	opAnyRun            // any run: **
	slashByte = '/'
)

type token struct {
	op  op
	r   rune // of opRune
	set *set // of opSet
}

// raw says that t is a byte that is not valid UTF-8.
func (t *token) raw() bool { return t.op == opRune && t.r >= rawByte && t.r <= rawByte+0xFF }

// set is the meaning of [...]. It can hold "/", unlike ? and *.
type set struct {
	negated bool
	ranges  []span
	slash   bool // a "/" is written inside the brackets
}

type span struct{ lo, hi rune }

func (s *set) has(r rune) bool {
	for _, p := range s.ranges {
		if p.lo <= r && r <= p.hi {
			return !s.negated
		}
	}
	return s.negated
}

var errRange = errors.New("character range is in reverse order")

// scanGlob takes a glob apart into tokens.
func scanGlob(glob string) ([]token, error) {
	var toks []token
	for glob != "" {
		switch {
		case strings.HasPrefix(glob, "**"):
			toks = append(toks, token{op: opAnyRun})
			glob = glob[2:]
		case glob[0] == '*':
			toks = append(toks, token{op: opRun})
			glob = glob[1:]
		case glob[0] == '?':
			toks = append(toks, token{op: opAny})
			glob = glob[1:]
		default:
			if body, rest, ok := cutSet(glob); ok {
				s, err := parseSet(body)
				if err != nil {
					return nil, err
				}
				toks = append(toks, token{op: opSet, set: s})
				glob = rest
				continue
			}
			r, n := decode(glob)
			toks = append(toks, token{op: opRune, r: r})
			glob = glob[n:]
		}
	}
	return toks, nil
}

// cutSet splits "[body]rest". A "]" right after "[", "[!" or "[^" belongs to the
// body. ok is false if glob does not begin with a set that is closed.
func cutSet(glob string) (body, rest string, ok bool) {
	if glob[0] != '[' {
		return "", "", false
	}
	i := 1
	if i < len(glob) && (glob[i] == '!' || glob[i] == '^') {
		i++
	}
	if i < len(glob) && glob[i] == ']' {
		i++
	}
	end := strings.IndexByte(glob[i:], ']')
	if end < 0 {
		return "", "", false
	}
	return glob[1 : i+end], glob[i+end+1:], true
}

// parseSet reads the inside of [...]. A "-" first or last stands for itself.
func parseSet(body string) (*set, error) {
	s := &set{slash: strings.Contains(body, "/")}
	if body[0] == '!' || body[0] == '^' {
		s.negated = true
		body = body[1:]
	}
	for body != "" {
		lo, n := decode(body)
		body = body[n:]
		hi := lo
		if len(body) > 1 && body[0] == '-' {
			hi, n = decode(body[1:])
			body = body[1+n:]
			if hi < lo {
				return nil, errRange
			}
		}
		s.ranges = append(s.ranges, span{lo, hi})
	}
	return s, nil
}

// program matches a token list as an automaton whose states are the positions
// between tokens. All states it can be in are followed at once, so that time is
// bounded by text times pattern.
type program struct {
	toks []token
	need string // the longest run of literal text in toks: a cheap first test
}

func newProgram(toks []token) *program {
	p := &program{toks: toks}
	var run []byte
	for _, t := range toks {
		if t.op != opRune {
			run = run[:0]
			continue
		}
		if run = appendRune(run, t.r); len(run) > len(p.need) {
			p.need = string(run)
		}
	}
	return p
}

// states is a set of positions in a program.
type states []uint64

func (s states) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s states) has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }

// smallStates is how many words of states are held on the stack, for each of
// two sets.
const smallStates = 4

// match runs the program from the start of text. whole says that it matches all
// of text; below that it matches what comes before some "/" in text. Unless both
// is set, it may stop at the first "/" that makes below true.
func (p *program) match(text string, both bool) (whole, below bool) {
	if !strings.Contains(text, p.need) {
		return false, false
	}
	var small [2 * smallStates]uint64
	now, next := p.start(small[:])
	end := len(p.toks)
	for text != "" {
		if text[0] == slashByte && now.has(end) {
			below = true
			if !both {
				return false, below
			}
		}
		r, n := decode(text)
		if !p.step(now, next, r) {
			return false, below
		}
		now, next = next, now
		text = text[n:]
	}
	return now.has(end), below
}

// reaches says whether reading all of text leads to one of the marked states.
func (p *program) reaches(text string, marked states) bool {
	var small [2 * smallStates]uint64
	now, next := p.start(small[:])
	for text != "" {
		r, n := decode(text)
		if !p.step(now, next, r) {
			return false
		}
		now, next = next, now
		text = text[n:]
	}
	for w := range now {
		if now[w]&marked[w] != 0 {
			return true
		}
	}
	return false
}

// words is the length of a state set of p.
func (p *program) words() int { return len(p.toks)/64 + 1 }

// start cuts two state sets from buf, or allocates them if buf is too small,
// and puts the states before any reading into the first.
func (p *program) start(buf states) (now, next states) {
	n := p.words()
	if 2*n > len(buf) {
		buf = make(states, 2*n)
	}
	now, next = buf[:n:n], buf[n:2*n]
	p.enter(now, 0)
	return now, next
}

// enter adds state i and those reached from it without reading: runs may be empty.
func (p *program) enter(s states, i int) {
	s.add(i)
	for i < len(p.toks) && p.toks[i].op >= opRun {
		i++
		s.add(i)
	}
}

// step reads r in all the states of now and leaves the result in next; it is
// false when no state is left.
func (p *program) step(now, next states, r rune) bool {
	clear(next)
	alive := false
	for w, word := range now {
		for ; word != 0; word &= word - 1 {
			i := w<<6 + bits.TrailingZeros64(word)
			if i == len(p.toks) {
				continue
			}
			switch t := &p.toks[i]; t.op {
			case opRun, opAnyRun:
				if t.op == opRun && r == slashByte {
					continue
				}
				p.enter(next, i)
			default:
				if !t.matches(r) {
					continue
				}
				p.enter(next, i+1)
			}
			alive = true
		}
	}
	return alive
}

// matches says whether a token of one character matches r.
func (t *token) matches(r rune) bool {
	switch t.op {
	case opRune:
		return r == t.r
	case opAny:
		return r != slashByte
	}
	return t.set.has(r)
}

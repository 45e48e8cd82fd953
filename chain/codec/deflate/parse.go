package deflate

import "math/bits"

// effort is what a level spends on finding matches.
type effort struct {
	depth int // earlier positions looked at
	nice  int // a match of this length is taken without looking at more of them
	lazy  int // a shorter match may give way to a better one that begins a byte later
}

// Level 6, as elsewhere the default, makes about the size that gzip -6 does of one
// long stream.
var efforts = [...]effort{
	1: {2, 16, 0},
	2: {4, 24, 0},
	3: {8, 32, 0},
	4: {12, 32, 0},
	5: {8, 32, 8},
	6: {8, 32, 16},
	7: {12, 48, 16},
	8: {24, 64, 32},
	9: {200, maxMatch, 128},
}

const (
	// After 2^skipBits literals without a match every second position is left out of
	// the search, after twice as many two of three, and so on: such data do not
	// compress.
	skipBits = 9
	skipMax  = 15
)

// parse appends the tokens of the block to tokens.
func (m *matcher) parse(tokens []token, e effort) []token {
	src := m.src
	misses := 0
	for pos := 0; pos < len(src); {
		length, dist := m.find(pos, 0, e.depth, e.nice)
		if length == 0 {
			skip := min(misses>>skipBits, skipMax, len(src)-pos-1)
			for i := range skip + 1 {
				tokens = append(tokens, token(src[pos+i]))
			}
			pos += skip + 1
			misses += skip + 1
			continue
		}
		misses = 0
		inserted := 1
		for length < e.lazy {
			// A match as long one byte later pays only if it is much closer.
			next, nextDist := m.find(pos+1, length-1, e.depth/2+1, e.nice)
			inserted = 2
			if next < length || !better(next, nextDist, length, dist) {
				break
			}
			tokens = append(tokens, token(src[pos]))
			pos++
			inserted = 1
			length, dist = next, nextDist
		}
		tokens = append(tokens, match(length, dist))
		m.cover(pos+inserted, pos+length)
		pos += length
	}
	return tokens
}

// better weighs four bits for a byte covered against the bits of the distances.
func better(length, dist, before, beforeDist int) bool {
	return 4*(length-before)+bits.Len(uint(beforeDist))-bits.Len(uint(dist)) > 2
}

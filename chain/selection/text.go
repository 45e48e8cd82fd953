package selection

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// rawByte is added to a byte that is not valid UTF-8 to make a rune of it. The
// sums are surrogates, which valid UTF-8 never yields.
const rawByte = 0xDC00

// decode is the first character of s and its length in bytes; s is not empty.
func decode(s string) (rune, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return rawByte + rune(s[0]), 1
	}
	return r, n
}

// appendRune is the inverse of decode.
func appendRune(b []byte, r rune) []byte {
	if r >= rawByte+utf8.RuneSelf && r <= rawByte+0xFF {
		return append(b, byte(r-rawByte))
	}
	return utf8.AppendRune(b, r)
}

// lower is s with each character in lower case. Unlike strings.ToLower it keeps
// bytes that are not valid UTF-8.
func lower(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf || 'A' <= r && r <= 'Z' }) {
		return s
	}
	b := make([]byte, 0, len(s))
	for s != "" {
		r, n := decode(s)
		b = appendRune(b, unicode.ToLower(r))
		s = s[n:]
	}
	return string(b)
}

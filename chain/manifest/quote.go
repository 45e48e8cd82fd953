package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// mustQuote are the bytes that make a string be quoted and are written as \xNN in
// it. All other bytes, control characters and broken UTF-8 among them, stay raw.
const mustQuote = " \t\n\r\v\f\\\"'"

const hexDigits = "0123456789abcdef"

// appendQuoted appends s to dst as it stands in a manifest: in double quotes if it has
// ASCII white space, a backslash or a quote, else as it is.
func appendQuoted(dst []byte, s string) []byte {
	if !strings.ContainsAny(s, mustQuote) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		c := s[i]
		if strings.IndexByte(mustQuote, c) < 0 {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, '"')
}

// unquote is the inverse of appendQuoted. What does not begin with a double quote is
// returned as it is. Within quotes, any byte may be escaped, and nothing but \xNN is an
// escape. It works in place: what it returns shares the memory of s.
func unquote(s []byte) ([]byte, error) {
	if len(s) == 0 || s[0] != '"' {
		return s, nil
	}
	if len(s) < 2 || s[len(s)-1] != '"' {
		return nil, errors.New("quoted string without its closing quote")
	}
	in, out := s[1:len(s)-1], s[:0]
	for i := 0; i < len(in); i++ {
		switch c := in[i]; c {
		case '"':
			return nil, errors.New("quote within a quoted string")
		case '\\':
			if i+3 >= len(in) || in[i+1] != 'x' || !isHex(in[i+2]) || !isHex(in[i+3]) {
				return nil, errors.New(`escape other than \xNN`)
			}
			out = append(out, unhex(in[i+2])<<4|unhex(in[i+3]))
			i += 3
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isSpace is ASCII white space. The functions of package bytes would also split at
// the likes of U+0085, which are bytes of a name here.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// isWord reports whether s can stand for itself between white space.
func isWord(s string) bool {
	return len(s) >= 1 && len(s) <= 255 && !strings.ContainsAny(s, " \t\n\r\v\f")
}

// cutField returns the first run of bytes that are not white space, and the rest.
func cutField(s []byte) (field, rest []byte) {
	start := 0
	for start < len(s) && isSpace(s[start]) {
		start++
	}
	end := start
	for end < len(s) && !isSpace(s[end]) {
		end++
	}
	return s[start:end], s[end:]
}

// checkPath says why p cannot be the path of an entry, nil if it can. Paths come
// from a store, and ranges are chosen by them.
func checkPath(p string) error {
	if p == "" {
		return nil
	}
	if len(p) > MaxPath {
		return fmt.Errorf("path longer than %d bytes", MaxPath)
	}
	if strings.IndexByte(p, 0) >= 0 {
		return errors.New("path with a zero byte")
	}
	for c := range strings.SplitSeq(p, "/") {
		if c == "" || c == "." || c == ".." {
			return fmt.Errorf("path with the component %q", c)
		}
	}
	return nil
}

// decodePath reads a quoted path; "." is the root.
func decodePath(field []byte) (string, error) {
	raw, err := unquote(field)
	if err != nil {
		return "", err
	}
	if len(raw) == 0 {
		return "", errors.New("empty path")
	}
	if bytes.Equal(raw, []byte(".")) {
		return "", nil
	}
	p := string(raw)
	return p, checkPath(p)
}

// appendPath appends a path quoted; the root is ".".
func appendPath(dst []byte, p string) []byte {
	if p == "" {
		return append(dst, '.')
	}
	return appendQuoted(dst, p)
}

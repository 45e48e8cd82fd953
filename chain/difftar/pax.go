package difftar

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"
)

// ErrUnsafePath is the error, by errors.Is, of a path that could lead out of the
// tree it belongs to.
var ErrUnsafePath = errors.New("unsafe path")

// extended is what the headers before an entry's own header say of it.
type extended struct {
	any  bool   // some of them are about this entry
	data []byte // theirs; what follows lies in it

	path, linkpath, uname, gname []byte
	uid, gid, size, mtime        []byte
}

// reset makes x ready for the next entry. Memory for all but monstrous headers is
// kept.
func (x *extended) reset() {
	if x.any {
		*x = extended{data: x.data[:0]}
	}
}

// add takes in the data of one extension header.
func (x *extended) add(typeflag byte, data []byte) error {
	x.any = true
	switch typeflag {
	case 'L': // GNU: a NUL-terminated name
		x.path = text(data)
		return nil
	case 'K': // the same for a link's target
		x.linkpath = text(data)
		return nil
	}
	for len(data) > 0 {
		key, value, rest, err := record(data)
		if err != nil {
			return err
		}
		if err := x.set(key, value); err != nil {
			return err
		}
		data = rest
	}
	return nil
}

// set keeps the records that matter. Values are raw bytes, with or without
// hdrcharset=BINARY (duplicity-format.md §3.2).
func (x *extended) set(key, value []byte) error {
	switch string(key) {
	case "path":
		x.path = value
	case "linkpath":
		x.linkpath = value
	case "uname":
		x.uname = value
	case "gname":
		x.gname = value
	case "uid":
		x.uid = value
	case "gid":
		x.gid = value
	case "size":
		x.size = value
	case "mtime":
		x.mtime = value
	}
	if bytes.HasPrefix(key, []byte("GNU.sparse.")) {
		return errors.New("sparse file") // whose data would be taken for its content
	}
	return nil
}

// record splits the first "length key=value\n" off data. The parts share its memory.
func record(data []byte) (key, value, rest []byte, err error) {
	bad := errors.New("malformed pax record")
	space := bytes.IndexByte(data[:min(len(data), 20)], ' ')
	if space < 1 {
		return nil, nil, nil, bad
	}
	n, err := strconv.ParseUint(string(data[:space]), 10, 31)
	if err != nil || int(n) > len(data) || int(n) < space+3 || data[n-1] != '\n' {
		return nil, nil, nil, bad
	}
	key, value, ok := bytes.Cut(data[space+1:n-1], []byte("="))
	if !ok || len(key) == 0 {
		return nil, nil, nil, bad
	}
	return key, value, data[n:], nil
}

// appendRecord appends one pax record.
func appendRecord[T ~string | ~[]byte](b []byte, key string, value T) []byte {
	body := len(key) + len(value) + 3 // space, equals sign, newline
	n := body
	for n != body+digits(n) {
		n = body + digits(n)
	}
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ' ')
	b = append(b, key...)
	b = append(b, '=')
	b = append(b, value...)
	return append(b, '\n')
}

// digits is the number of decimal digits of n.
func digits(n int) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// ascii reports whether all of s is, as a header's own fields must be.
func ascii[T ~string | ~[]byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

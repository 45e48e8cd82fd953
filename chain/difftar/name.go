package difftar

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// prefixes are the first components of entry names.
var prefixes = []struct {
	text  string
	kind  Kind
	parts bool
}{
	{"snapshot/", Snapshot, false},
	{"diff/", Diff, false},
	{"multivol_snapshot/", Snapshot, true},
	{"multivol_diff/", Diff, true},
	{"deleted/", Deleted, false},
	{"signature/", Signature, false},
}

func parseName(name []byte) (kind Kind, path string, part int, err error) {
	for i := range prefixes {
		p := &prefixes[i]
		if len(name) < len(p.text) || string(name[:len(p.text)]) != p.text {
			continue
		}
		rest := name[len(p.text):]
		if p.parts {
			rest, part, err = cutPart(rest)
		}
		if err == nil {
			path, err = cleanPath(rest)
		}
		if err != nil {
			return 0, "", 0, fmt.Errorf("name %.200q: %w", name, err)
		}
		return p.kind, path, part, nil
	}
	return 0, "", 0, fmt.Errorf("name %.200q is not duplicity's", name)
}

// maxPartDigits bounds the digits of a part number, leading zeros included.
const maxPartDigits = 20

// cutPart takes the part number off the end: everything up to the last slash is
// the path, whatever it looks like. The root's own parts have no path between.
func cutPart(s []byte) (rest []byte, part int, err error) {
	i := bytes.LastIndexByte(s, '/')
	digits := s[i+1:]
	n, err := strconv.ParseUint(string(digits[:min(len(digits), maxPartDigits)]), 10, 46)
	if err != nil || len(digits) > maxPartDigits || n < 1 {
		return nil, 0, errors.New("bad part number")
	}
	return s[:max(i, 0)], int(n), nil
}

// cleanPath turns the name behind the prefix into a path, and refuses whatever
// could lead out of a target (duplicity-format.md §3.3).
func cleanPath(s []byte) (string, error) {
	switch string(s) {
	case "", ".", "./":
		return "", nil
	case "/":
		return "", fmt.Errorf("%w: absolute path or empty component", ErrUnsafePath)
	}
	s = bytes.TrimSuffix(s, []byte("/"))
	if len(s) > MaxPath {
		return "", fmt.Errorf("path of %d bytes", len(s))
	}
	path := string(s)
	return path, CheckPath(path)
}

// CheckPath returns an error that says why path cannot name something below a
// root: because it is absolute, has an empty, "." or ".." component, or a NUL. It
// does not look at the length. The root itself, "", is fine.
func CheckPath(path string) error {
	if path == "" {
		return nil
	}
	if strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("%w: NUL byte in a path", ErrUnsafePath)
	}
	for rest, more := path, true; more; {
		var c string
		c, rest, more = strings.Cut(rest, "/")
		switch c {
		case "":
			return fmt.Errorf("%w: absolute path or empty component", ErrUnsafePath)
		case ".", "..":
			return fmt.Errorf("%w: %q component", ErrUnsafePath, c)
		}
	}
	return nil
}

// appendName appends the entry's name in the archive. The root has no name of its
// own: it is "snapshot/./" in a difftar and "snapshot/" in a sigtar; if the source is
// one file then that is "snapshot/", or "multivol_snapshot/./1" and so on, as
// duplicity 0.8.22 is seen to write it.
func (e *Entry) appendName(b []byte, sigtar bool) []byte {
	if e.Part > 0 {
		b = append(b, "multivol_"...)
	}
	b = append(b, e.Kind.String()...)
	b = append(b, '/')
	b = append(b, e.Path...)
	directory := e.Type == Directory && e.Kind != Deleted
	named := e.Path != ""
	if !named && (e.Part > 0 || directory && !sigtar) {
		b = append(b, '.')
		named = true
	}
	if named && directory {
		b = append(b, '/')
	}
	if e.Part > 0 {
		b = append(b, '/')
		b = strconv.AppendInt(b, int64(e.Part), 10)
	}
	return b
}

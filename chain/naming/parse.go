package naming

import "strings"

// form is how one kind of object is named, prefixes and suffix apart.
type form struct {
	kind Kind
	inc  bool
	head string // before the times
	tail string // after the times and, of a volume, its number
}

// tocHead begins the names of portable indexes, hindsight-toc.<T> or
// hindsight-toc.<T0>.to.<T1>, which are none of duplicity's forms.
const tocHead = "hindsight-toc."

// Of the signatures only the heads differ from those of the set they belong to. No
// head is the beginning of another one, so the order matters only where prefixes
// were chosen to be confusing; it is the one in which duplicity tries them.
var (
	longForms = []form{
		{Volume, false, "duplicity-full.", ".difftar"},
		{Manifest, false, "duplicity-full.", ".manifest"},
		{Volume, true, "duplicity-inc.", ".difftar"},
		{Manifest, true, "duplicity-inc.", ".manifest"},
		{Signatures, false, "duplicity-full-signatures.", ".sigtar"},
		{Signatures, true, "duplicity-new-signatures.", ".sigtar"},
		{Statistics, false, "duplicity-full.", ".jsonstat"},
		{Statistics, true, "duplicity-inc.", ".jsonstat"},
		{TOC, true, tocHead, ""}, // before that of a full, which takes what follows a time for a suffix
		{TOC, false, tocHead, ""},
	}
	shortForms = []form{
		{Volume, false, "df.", "dt"},
		{Manifest, false, "df.", "m"},
		{Volume, true, "di.", "dt"},
		{Manifest, true, "di.", "m"},
		{Signatures, false, "dfs.", "st"},
		{Signatures, true, "dns.", "st"},
	}
)

// prefix is what comes before the head in names of that kind.
func (s *Scheme) prefix(k Kind) string {
	switch k {
	case Volume:
		return s.Archive
	case Manifest:
		return s.Manifest
	case Signatures:
		return s.Signature
	case Statistics:
		return s.Jsonstat
	}
	return ""
}

// Parse reads the name of an object, short or long. It is as tolerant as duplicity
// (duplicity-format.md §1.5): behind the fixed part, anything may follow a dot.
// ok is false for whatever is no object of a set, which is nothing unusual.
//
// Two names may give the same Name (vol1 and vol01, or with unknown endings); a
// caller that keys objects by Name must expect it. A Name with CMS cannot be read.
func (s Scheme) Parse(name string) (n Name, ok bool) {
	rest, ok := strings.CutPrefix(name, s.Prefix)
	if !ok {
		return Name{}, false
	}
	if n, ok = s.parseForms(rest, shortForms, parseShort); !ok && !s.OnlyShort {
		n, ok = s.parseForms(rest, longForms, parseLong)
	}
	if !ok {
		return Name{}, false
	}
	n.setSuffix(name)
	return n, true
}

// parser reads the part of a name that follows the head of f.
type parser func(body string, f *form, sep string) (Name, bool)

func (s *Scheme) parseForms(name string, forms []form, parse parser) (Name, bool) {
	for i := range forms {
		f := &forms[i]
		body, ok := strings.CutPrefix(name, s.prefix(f.kind))
		if !ok {
			continue
		}
		if body, ok = strings.CutPrefix(body, f.head); !ok {
			continue
		}
		if n, ok := parse(body, f, s.TimeSeparator); ok {
			n.Kind, n.Inc = f.kind, f.inc
			return n, true
		}
	}
	return Name{}, false
}

// setSuffix reads the layers from the end of a name (duplicity-format.md §1.1, §1.3).
func (n *Name) setSuffix(name string) {
	switch dot := strings.LastIndexByte(name, '.'); name[dot+1:] {
	case "gz", "z":
		n.Compressed = true
	case "gpg", "g":
		n.Encrypted = true
	case "p7m":
		n.Encrypted, n.CMS = true, true
	}
}

// parseLong reads <T> or <T0>.to.<T1>, .vol<N> of a volume, and the tail.
func parseLong(body string, f *form, sep string) (n Name, ok bool) {
	if f.inc {
		start, rest, found := strings.Cut(body, ".to.")
		if !found {
			return n, false
		}
		if n.Start, ok = nameTime(start, sep); !ok {
			return n, false
		}
		body = rest
	}
	end := ""
	if f.kind == Volume {
		end, ok = n.cutVolume(body, f)
	} else {
		end, ok = n.cutTail(body, f)
	}
	if !ok {
		return n, false
	}
	n.End, ok = nameTime(end, sep)
	return n, ok
}

// cutTail finds the first place where the tail fits and returns what is before it.
func (n *Name) cutTail(body string, f *form) (before string, ok bool) {
	for from := 0; ; {
		i := strings.Index(body[from:], f.tail)
		if i < 0 {
			return "", false
		}
		at := from + i
		if partial, ok := closes(body[at+len(f.tail):], ".part"); ok {
			n.Partial = partial
			return body[:at], true
		}
		from = at + 1
	}
}

// cutVolume finds the first place where .vol<N> and the tail fit, and returns what
// is before it.
func (n *Name) cutVolume(body string, f *form) (before string, ok bool) {
	const mark = ".vol"
	for from := 0; ; {
		i := strings.Index(body[from:], mark)
		if i < 0 {
			return "", false
		}
		at := from + i
		from = at + 1
		number := body[at+len(mark):]
		number = number[:len(number)-len(strings.TrimLeft(number, "0123456789"))]
		rest, fits := strings.CutPrefix(body[at+len(mark)+len(number):], f.tail)
		if !fits || number == "" {
			continue
		}
		partial, fits := closes(rest, ".part")
		if !fits {
			continue
		}
		volume, ok := parseEpoch(number)
		n.Volume, n.Partial = int(volume), partial && !f.inc
		return body[:at], ok && volume >= 1 && volume <= MaxVolume
	}
}

// closes reports whether a name may go on with rest after its fixed part, and
// whether the marker of an unfinished object comes first.
func closes(rest, marker string) (partial, ok bool) {
	if after, found := strings.CutPrefix(rest, marker); found && (after == "" || after[0] == '.') {
		return true, true
	}
	return false, rest == "" || rest[0] == '.'
}

// parseShort reads <T> or <T0>.<T1>, <N> of a volume, and the tail: all in base 36
// and with dots between.
func parseShort(body string, f *form, _ string) (n Name, ok bool) {
	if f.inc {
		start, rest, _ := strings.Cut(body, ".")
		if n.Start, ok = shortTime(start); !ok {
			return n, false
		}
		body = rest
	}
	end, body, _ := strings.Cut(body, ".")
	if n.End, ok = shortTime(end); !ok {
		return n, false
	}
	if f.kind == Volume {
		number, rest, _ := strings.Cut(body, ".")
		volume, ok := parseBase36(number)
		if !ok || volume < 1 || volume > MaxVolume {
			return n, false
		}
		n.Volume, body = int(volume), rest
	}
	rest, ok := strings.CutPrefix(body, f.tail)
	if !ok {
		return n, false
	}
	partial, ok := closes(rest, ".p")
	n.Partial = partial && (!f.inc || f.kind != Volume)
	return n, ok
}

package codec

import "strings"

// Format is the layers around an object's plain bytes. Encrypted decides the
// suffix: an encrypted object is compressed inside its message, never by gzip
// (duplicity-format.md §1.2).
type Format struct {
	Encrypted  bool // an OpenPGP message
	Compressed bool // gzip, or a compressed packet inside the message
}

// FormatOf is the format that an object's name announces by its last suffix
// (duplicity-format.md §1.5): .gpg, .g and .p7m are encrypted, .gz and .z
// compressed, anything else is plain. What lies inside a message is known from
// the message alone; it counts as compressed.
func FormatOf(name string) Format {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return Format{}
	}
	switch name[dot:] {
	case ".gpg", ".g", ".p7m":
		return Format{Encrypted: true, Compressed: true}
	case ".gz", ".z":
		return Format{Compressed: true}
	}
	return Format{}
}

// Suffix is what the format adds to an object's long name: ".gpg", ".gz" or "".
func (f Format) Suffix() string {
	switch {
	case f.Encrypted:
		return ".gpg"
	case f.Compressed:
		return ".gz"
	}
	return ""
}

func (f Format) String() string {
	switch {
	case f.Encrypted && f.Compressed:
		return "gpg"
	case f.Encrypted:
		return "gpg without compression"
	case f.Compressed:
		return "gz"
	}
	return "plain"
}

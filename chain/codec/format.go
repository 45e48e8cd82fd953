package codec

// Format is the layers around an object's plain bytes. Encrypted decides the
// suffix: an encrypted object is compressed inside its message, never by gzip
// (duplicity-format.md §1.2).
type Format struct {
	Encrypted  bool // an OpenPGP message
	Compressed bool // gzip, or a compressed packet inside the message
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

package naming

import (
	"errors"
	"fmt"
	"strconv"
)

// Validate says why no object can have the name n, nil if one can. Whatever Parse
// gives is valid.
func (n Name) Validate() error {
	switch {
	case n.Kind > TOC:
		return fmt.Errorf("object of %s", n.Kind)
	case !validTime(n.End):
		return fmt.Errorf("object with end time %d", int64(n.End))
	case n.Inc && !validTime(n.Start):
		return fmt.Errorf("object of an incremental set with start time %d", int64(n.Start))
	case !n.Inc && n.Start != 0:
		return errors.New("object of a full set with a start time")
	case n.Kind == Volume && (n.Volume < 1 || n.Volume > MaxVolume):
		return fmt.Errorf("volume number %d is not 1 to %d", n.Volume, MaxVolume)
	case n.Kind != Volume && n.Volume != 0:
		return fmt.Errorf("volume number %d for %s", n.Volume, n.Kind)
	case n.Kind == Volume && n.Inc && n.Partial:
		return errors.New("partial volume of an incremental set")
	case n.Encrypted && n.Compressed:
		return errors.New("object that is both encrypted and compressed by name")
	case n.CMS && !n.Encrypted:
		return errors.New("object of gpgsm that is not encrypted")
	}
	return nil
}

// Format returns the long name of an object with its prefixes; Parse gives n again.
// A name that is not valid (see Name.Validate) is a mistake of the caller, who
// would store under it what nobody can find: Format panics.
func (s Scheme) Format(n Name) string {
	if err := n.Validate(); err != nil {
		panic("naming: " + err.Error())
	}
	b := make([]byte, 0, 96+len(s.Prefix))
	b = append(b, s.Prefix...)
	b = append(b, s.prefix(n.Kind)...)
	for _, f := range longForms {
		if f.kind != n.Kind || f.inc != n.Inc {
			continue
		}
		b = append(b, f.head...)
		if n.Inc {
			b = append(b, n.Start.String()...)
			b = append(b, ".to."...)
		}
		b = append(b, n.End.String()...)
		if n.Kind == Volume {
			b = append(b, ".vol"...)
			b = strconv.AppendInt(b, int64(n.Volume), 10)
		}
		b = append(b, f.tail...)
	}
	if n.Partial {
		b = append(b, ".part"...)
	}
	return string(append(b, n.suffix()...))
}

// suffix is the end of a name that tells how the content is wrapped.
func (n *Name) suffix() string {
	switch {
	case n.CMS:
		return ".p7m"
	case n.Encrypted:
		return ".gpg"
	case n.Compressed:
		return ".gz"
	}
	return ""
}

// ListPrefix is the longest prefix that all names have for certain: those of the
// other kinds of prefix differ, and so do the names of objects that are not
// duplicity's but lie beside its own.
func (s Scheme) ListPrefix() string { return s.Prefix }

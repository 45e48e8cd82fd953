package naming

import "fmt"

// Kind says what an object holds.
type Kind uint8

// The kinds of objects of a set (duplicity-format.md §1.1).
const (
	Volume     Kind = iota // a numbered archive of entries
	Manifest               // the volumes of the set, with their path ranges and hashes
	Signatures             // archive of block sums, the basis of the next incremental
	Statistics             // the numbers of a run as JSON (duplicity 3 with --jsonstat)
	TOC                    // the portable index of the set: hindsight's own, of which duplicity sees nothing
)

// String returns the kind as an English word in lower case.
func (k Kind) String() string {
	switch k {
	case Volume:
		return "volume"
	case Manifest:
		return "manifest"
	case Signatures:
		return "signatures"
	case Statistics:
		return "statistics"
	case TOC:
		return "portable index"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MaxVolume is the highest volume number that is accepted.
const MaxVolume = 4 << 20

// Name is what the name of an object says.
type Name struct {
	Kind Kind
	Inc  bool // of an incremental set; false: of a full one

	// Start is the time of the set that an incremental builds on, 0 for a full.
	// End is the set's own time, never 0.
	Start, End Time

	Volume int // 1 to MaxVolume for a Volume, else 0

	Partial    bool // still being written (only in an archive directory, never on a store)
	Compressed bool // .gz
	Encrypted  bool // .gpg, or .p7m if CMS; the compression is then inside
	CMS        bool // encrypted by gpgsm, which hindsight cannot read
}

// Scheme is how the objects of one repository are named. The zero value is
// duplicity's default.
type Scheme struct {
	Prefix string // --file-prefix, before every name

	Archive   string // --file-prefix-archive, after Prefix, for volumes
	Manifest  string // --file-prefix-manifest
	Signature string // --file-prefix-signature
	Jsonstat  string // --file-prefix-jsonstat

	OnlyShort     bool   // --short-filenames: long names are not recognised
	TimeSeparator string // --time-separator, within old times in names; "" is ":"
}

package manifest

import (
	"errors"
	"fmt"
	"strings"
)

// Limits on what is read and written. They are far beyond real backups and keep a
// hostile manifest from filling the memory.
const (
	MaxPath    = 64 << 10          // bytes of a path
	MaxLine    = 4*MaxPath + 1<<10 // bytes of one line, its end included: a path with every byte escaped, and what is around it
	MaxVolumes = 4 << 20           // the highest volume number, and the entries of a manifest, repeats counted
	MaxBlock   = 1<<31 - 1         // the highest block number
	MaxHashes  = 8                 // hashes of one volume

	maxListed = 1 << 40 // changes of a Filelist
)

// DefaultMemory is how many bytes of memory volumes with their paths and hashes may take
// where nothing else is said. In practice they take some 250 each.
const DefaultMemory = 64 << 20

// Manifest is what a set's manifest says, without its Filelist.
type Manifest struct {
	Hostname string // host that was backed up, "" if not said
	LocalDir string // source directory as given to the backup, "" if not said

	// Volumes are in the order of their numbers, which differ. There may be gaps.
	Volumes []Volume

	// Listed is the number of changes that the Filelist claims, -1 if there is no
	// Filelist. Changes is the number that it has. Should they differ then the
	// Filelist is not complete; duplicity merely complains.
	Listed, Changes int
}

// Volume is the entry of one volume.
type Volume struct {
	Number     int      // 1 to MaxVolumes
	Start, End Position // first and last entry in it, both included
	Hashes     []Hash   // of the object as stored; at most MaxHashes
}

// Position is a place in the sequence of a set's entries.
type Position struct {
	Path  string // raw bytes, components joined by "/", the root is ""
	Block int    // number of the part of a file split over blocks, 0 if none is given
}

// Hash is a digest of a volume as it is stored.
type Hash struct {
	Algorithm string // "SHA1" in practice; a word
	Hex       string // lower case as a rule; 40 digits of SHA1, 32 of MD5, any word of another
}

// check says why h cannot stand in a manifest, nil if it can.
func (h Hash) check() error {
	want := 0
	switch {
	case strings.EqualFold(h.Algorithm, "SHA1"):
		want = 40
	case strings.EqualFold(h.Algorithm, "MD5"):
		want = 32
	case !isWord(h.Algorithm) || !isWord(h.Hex):
		return errors.New("hash whose algorithm or value is not a word of 1 to 255 bytes")
	}
	if want > 0 && (len(h.Hex) != want || !allHex(h.Hex)) {
		return fmt.Errorf("%s hash that is not %d hex digits", strings.ToUpper(h.Algorithm), want)
	}
	return nil
}

// Change is one line of the Filelist: what happened to a regular file.
type Change struct {
	Word string // New, Changed or Deleted
	Path string // as in Position
}

// The words of a Change (duplicity-format.md §2).
const (
	New     = "new"     // stored whole
	Changed = "changed" // stored as a difference
	Deleted = "deleted"
)

// SyntaxError says where and why a text is no manifest.
type SyntaxError struct {
	Line   int // from 1
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("manifest line %d: %s", e.Line, e.Reason) }

// ErrTooLarge says that a manifest takes more memory than it may: one of very many
// volumes, or a hostile one.
var ErrTooLarge = errors.New("the manifest takes too much memory")

// Best returns the digest to check the stored volume by: SHA1 if there is one, else
// MD5, else whichever came last. ok is false if the entry has none.
func (v Volume) Best() (h Hash, ok bool) {
	for _, algorithm := range []string{"SHA1", "MD5"} {
		if hex, ok := v.Hash(algorithm); ok {
			return Hash{algorithm, hex}, true
		}
	}
	if len(v.Hashes) == 0 {
		return Hash{}, false
	}
	return v.Hashes[len(v.Hashes)-1], true
}

// SHA1 returns the SHA-1 of the stored volume as 40 lower-case hex digits; ok is
// false if the entry has none.
func (v Volume) SHA1() (hex string, ok bool) { return v.Hash("SHA1") }

// Hash returns the digest of that algorithm in lower case; ok is false if the
// entry has none. Of several the last one counts.
func (v Volume) Hash(algorithm string) (hex string, ok bool) {
	for i := len(v.Hashes) - 1; i >= 0; i-- {
		if strings.EqualFold(v.Hashes[i].Algorithm, algorithm) {
			return strings.ToLower(v.Hashes[i].Hex), true
		}
	}
	return "", false
}

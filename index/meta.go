package index

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/zeebo/blake3"

	"hindsight/chain"
	"hindsight/chain/naming"
)

// schema is the version of all that is on disk. An index of another one is rebuilt.
const schema = 2

const (
	maxMeta   = 256 << 20 // bytes of a meta file
	maxOwners = 1 << 16   // user names of an index, and group names; more have none
	maxOwner  = 256       // bytes of such a name; a longer one is none
)

// meta is what is known of a generation as a whole. It lies in a file of its own, so
// that a reader can tell whether it wants the database at all.
type meta struct {
	Schema   int
	Identity string // hash of Options.Identity
	Chains   []*chainMeta
	Users    [][]byte // by number, from 1
	Groups   [][]byte
	// Dead is the records in the database that belong to no chain any more.
	Dead int64
}

// chainMeta is a chain as far as it is in the index.
type chainMeta struct {
	Number uint32 // its own in the index, never used again
	NextID ID
	Sets   []*setMeta // from the full on, oldest first
	// Closed says that sets at the chain's end were removed from the store. Their
	// records are still there, behind all that is shown: nothing may be added.
	Closed bool
}

// setMeta is a set in the index, and the snapshot that it ends.
type setMeta struct {
	Number     uint32 // never used again
	Inc        bool
	Start, End naming.Time
	Manifest   string // object
	Size       int64  // bytes of the manifest
	Volumes    int    // found on the store
	Stored     int64  // bytes of these
	Source     Source
	TOC        string // object that was there when the set was taken in, with its size; or ""
	Records    int64  // written for this set
	Totals     Totals
}

// Source says what a set was learned from.
type Source string

// The sources, best first.
const (
	FromTOC        Source = "toc"        // all is known
	FromVolumes    Source = "volumes"    // all is known but what only a toc can tell
	FromSignatures Source = "signatures" // of files only the metadata, until their volumes are scanned
)

// Totals count what is in a snapshot.
type Totals struct {
	Files   int64 // regular files
	Dirs    int64
	Others  int64
	Bytes   int64 // of the files whose size is known; hard links count as often as they are there
	Unknown int64 // files whose size is not known yet
}

func (s *setMeta) id() chain.SetID { return chain.SetID{Inc: s.Inc, Start: s.Start, End: s.End} }

// version is the set's time as badger counts it.
func (s *setMeta) version() uint64 { return uint64(s.End) }

func newSetMeta(s *chain.Set) *setMeta {
	m := &setMeta{Inc: s.Inc, Start: s.Start, End: s.End, Manifest: s.Manifest.Key, Size: s.Manifest.Size, Volumes: len(s.Volumes)}
	for _, v := range s.Volumes {
		m.Stored += v.Size
	}
	if s.TOC != nil {
		m.TOC = fmt.Sprintf("%s %d", s.TOC.Key, s.TOC.Size)
	}
	return m
}

// outdone reports whether the store has more to tell of a set by now: a portable index
// that was not there when the set was taken in.
func (m *setMeta) outdone(s *chain.Set) bool {
	return m.Source != FromTOC && s.TOC != nil && newSetMeta(s).TOC != m.TOC
}

// same reports whether m speaks of the set that is on the store. A set that lost
// volumes is still the same.
func (m *setMeta) same(s *chain.Set) bool {
	if m.id() != s.SetID || m.Manifest != s.Manifest.Key || m.Size != s.Manifest.Size {
		return false
	}
	now := newSetMeta(s)
	return now.Volumes != m.Volumes || now.Stored == m.Stored
}

func identityHash(identity string) string {
	sum := blake3.Sum256([]byte("hindsight index of " + identity))
	return hex.EncodeToString(sum[:])
}

func (m *meta) last(c *chainMeta) *setMeta { return c.Sets[len(c.Sets)-1] }

// records is the number of records of all sets that are shown.
func (m *meta) records() int64 {
	var n int64
	for _, c := range m.Chains {
		for _, s := range c.Sets {
			n += s.Records
		}
	}
	return n
}

// clone is a copy that shares nothing that is ever changed.
func (m *meta) clone() *meta {
	c := *m
	c.Chains = make([]*chainMeta, len(m.Chains))
	for i, ch := range m.Chains {
		cc := *ch
		cc.Sets = make([]*setMeta, len(ch.Sets))
		for k, s := range ch.Sets {
			sc := *s
			cc.Sets[k] = &sc
		}
		c.Chains[i] = &cc
	}
	c.Users, c.Groups = slices.Clone(m.Users), slices.Clone(m.Groups)
	return &c
}

// ErrDamaged says that an index is not what was written. It must be dropped.
var ErrDamaged = errors.New("damaged index")

var (
	errSchema  = errors.New("index of another version")
	errForeign = errors.New("index of another repository")
)

// encode is the meta file: JSON, and the BLAKE3 hash of it in hexadecimal on a line.
func (m *meta) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	sum := blake3.Sum256(b)
	return append(hex.AppendEncode(b, sum[:]), '\n'), nil
}

// parseMeta reads a meta file. Errors: ErrDamaged, errSchema.
func parseMeta(b []byte) (*meta, error) {
	const tail = 64 + 1
	if len(b) < tail+1 {
		return nil, fmt.Errorf("%w: meta file of %d bytes", ErrDamaged, len(b))
	}
	body, sum := b[:len(b)-tail], b[len(b)-tail:]
	want := blake3.Sum256(body)
	if !bytes.Equal(sum, append(hex.AppendEncode(nil, want[:]), '\n')) {
		return nil, fmt.Errorf("%w: hash of the meta file", ErrDamaged)
	}
	var m meta
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("%w: meta file: %w", ErrDamaged, err)
	}
	if m.Schema != schema {
		return nil, errSchema
	}
	return &m, m.check()
}

// check sees that later code may rely on what the meta file says.
func (m *meta) check() error {
	numbers := make(map[uint32]bool)
	for _, c := range m.Chains {
		if c == nil || c.Number == 0 || len(c.Sets) == 0 || c.NextID < firstID {
			return fmt.Errorf("%w: chain in the meta file", ErrDamaged)
		}
		var end naming.Time
		for _, s := range c.Sets {
			if s == nil || s.Number == 0 || s.Number > MaxNumber || numbers[s.Number] || s.End <= end {
				return fmt.Errorf("%w: set in the meta file", ErrDamaged)
			}
			numbers[s.Number] = true
			end = s.End
		}
	}
	return nil
}

func readMeta(path string) (*meta, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxMeta {
		return nil, fmt.Errorf("%w: meta file of %d bytes", ErrDamaged, fi.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseMeta(b)
}

// owners gives numbers to the names of users or groups.
type owners struct {
	list    *[][]byte
	numbers map[string]uint32
}

func newOwners(list *[][]byte) *owners {
	o := &owners{list: list, numbers: make(map[string]uint32, len(*list))}
	for i, name := range *list {
		o.numbers[string(name)] = uint32(i + 1)
	}
	return o
}

// number is that of a name, 0 for no name, or where there are too many.
func (o *owners) number(name string) uint32 {
	if name == "" || len(name) > maxOwner {
		return 0
	}
	n, ok := o.numbers[name]
	if !ok && len(*o.list) < maxOwners {
		*o.list = append(*o.list, []byte(name))
		n = uint32(len(*o.list))
		o.numbers[name] = n
	}
	return n
}

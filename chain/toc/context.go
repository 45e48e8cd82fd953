package toc

import (
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
)

// The flags of an entry, which say what follows (doc.go). What most files have comes
// first.
const (
	flagKind       = 3 // a difftar.Kind
	flagExtent     = 1 << 2
	flagHash       = 1 << 3
	flagNsec       = 1 << 4
	flagSignature  = 1 << 5
	flagSize       = 1 << 6
	flagStream     = 1 << 7
	flagSec        = 1 << 8
	flagLinkname   = 1 << 9
	flagDevice     = 1 << 10
	flagXattrs     = 1 << 11
	flagLink       = 1 << 12
	flagOps        = 1 << 13
	flagOpsUnknown = 1 << 14

	flagSigShift = 1 << 15

	flagsEnd = 1 << 16
)

// The flags of an extent in a list.
const (
	extentHole   = 1 << 0 // it does not begin where the one before ends
	extentVolume = 1 << 1 // it lies in another volume
	extentGap    = 1 << 2
	extentHead   = 1 << 3 // the first part is cut, there is less than PartSize of it

	extentFlagsEnd = 1 << 4
)

// context is what entries are coded against: what those before have said. Encoder and
// decoder each keep one and advance it alike.
type context struct {
	started bool
	path    string
	mtime   int64
	place   cursor // in the volumes
	sig     int64  // in the sigtar: where the data of the entry before ended
	link    Link
	owners  owners
}

// cursor is where a stream ended in the volumes.
type cursor struct {
	volume uint32
	tar    int64
}

const tarBlock = 512

// expect is where data are expected in a tar in which those before ended at end:
// behind one header.
func expect(end int64) int64 { return (end+tarBlock-1)&^(tarBlock-1) + tarBlock }

// maxShift bounds how far offsets, which are below 2^56, can be from each other.
const maxShift = 1 << 60

// codeOffset codes how far off is from where it is expected. All that tars hold begins
// at a multiple of 512, which is made use of.
func codeOffset(off, expected int64) uint64 {
	d := off - expected
	if d%tarBlock != 0 {
		return zigzag(d)<<1 | 1
	}
	return zigzag(d/tarBlock) << 1
}

// decodeOffset is the opposite. ok is false for what codeOffset does not make, or
// an offset beyond limit.
func decodeOffset(u uint64, expected, limit int64) (off int64, ok bool) {
	d := unzigzag(u >> 1)
	if u&1 == 0 {
		if d > maxShift/tarBlock || d < -maxShift/tarBlock {
			return 0, false
		}
		d *= tarBlock
	} else if d%tarBlock == 0 || d > maxShift || d < -maxShift {
		return 0, false
	}
	off = expected + d
	return off, off >= 0 && off <= limit
}

// at moves the cursor to a volume, and says where in its tar data are expected.
func (c *cursor) at(volume uint32) int64 {
	if volume != c.volume {
		*c = cursor{volume: volume}
	}
	return expect(c.tar)
}

// behind moves the cursor behind an extent.
func (c *cursor) behind(e *extent.Extent) {
	c.volume, c.tar = e.Volume, tarEnd(e)
}

// tarEnd is where an extent ends in its tar.
func tarEnd(e *extent.Extent) int64 { return e.After(e.Len-1).Tar + 1 }

// advance takes in an entry that was coded.
func (c *context) advance(e *Entry) {
	c.started = true
	c.path = e.Path
	if len(e.Stream) == 0 {
		c.place.tar = expect(c.place.tar)
	}
	if e.SigLen > 0 {
		c.sig = e.SigOffset + e.SigLen
	} else {
		c.sig = expect(c.sig)
	}
	if e.Kind == difftar.Deleted {
		return
	}
	c.mtime = e.MTime
	if e.Link != (Link{}) {
		c.link = e.Link
	}
}

// owner is what most entries have in common with one of those before.
type owner struct {
	typ          difftar.Type
	mode         uint32
	uid, gid     int64
	uname, gname string
}

func ownerOf(m *difftar.Meta) owner {
	return owner{m.Type, m.Mode, m.UID, m.GID, m.Uname, m.Gname}
}

// Bounds of what is kept of owners.
const (
	maxOwners     = 4096
	maxOwnerBytes = 1 << 20 // of names
)

// owners are those met so far, up to a bound at which all are forgotten.
type owners struct {
	list  []owner
	index map[owner]int
	bytes int
	last  int // looked up last
}

// find returns the number of an owner.
func (o *owners) find(w *owner) (int, bool) {
	if o.last < len(o.list) && o.list[o.last] == *w {
		return o.last, true
	}
	i, ok := o.index[*w]
	if ok {
		o.last = i
	}
	return i, ok
}

// add takes in an owner that is not there.
func (o *owners) add(w owner) {
	size := len(w.uname) + len(w.gname)
	if o.index == nil || len(o.list) == maxOwners || o.bytes+size > maxOwnerBytes {
		*o = owners{list: o.list[:0], index: make(map[owner]int)}
	}
	o.index[w] = len(o.list)
	o.last = len(o.list)
	o.list = append(o.list, w)
	o.bytes += size
}

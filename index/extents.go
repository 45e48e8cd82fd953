package index

import (
	"encoding/binary"
	"fmt"
	"math"

	"hindsight/chain/extent"
)

// maxInline is the most bytes of extents that are kept in the dirent: most files are
// one extent, and a second record would double what they cost.
const maxInline = 48

// appendExtents encodes extents of a version that the set own stored. Places name
// their set by its distance from own, which is 0 for all of a full.
//
//	extent: gap before it | length | own-set | volume | tar offset | header gap | [head]
func appendExtents(b []byte, own uint32, extents []extent.Extent) []byte {
	b = binary.AppendUvarint(b, uint64(len(extents)))
	var end int64
	for _, e := range extents {
		b = binary.AppendUvarint(b, uint64(e.Off-end))
		b = binary.AppendUvarint(b, uint64(e.Len))
		b = binary.AppendVarint(b, int64(own)-int64(e.Set))
		b = binary.AppendUvarint(b, uint64(e.Volume))
		b = binary.AppendUvarint(b, uint64(e.Tar))
		b = binary.AppendUvarint(b, uint64(e.Gap))
		if e.Gap > 0 {
			b = binary.AppendUvarint(b, uint64(e.Head))
		}
		end = e.End()
	}
	return b
}

// extents decodes what appendExtents wrote.
func (d *decoder) extents(own uint32) []extent.Extent {
	const least = 6 // bytes of one
	n := d.uint("number of extents", extent.MaxExtents)
	if n > uint64(len(d.b)/least) {
		d.fail("number of extents")
		return nil
	}
	out := make([]extent.Extent, 0, n)
	var end int64
	for range n {
		var e extent.Extent
		e.Off = end + int64(d.uint("extent offset", uint64(math.MaxInt64-end)))
		e.Len = int64(d.uint("extent length", uint64(math.MaxInt64-e.Off)))
		set := int64(own) - d.int("extent set")
		e.Volume = uint32(d.uint("extent volume", math.MaxUint32))
		e.Tar = int64(d.uint("extent place", math.MaxInt64))
		e.Gap = int32(d.uint("extent gap", extent.MaxGap))
		if e.Gap > 0 {
			e.Head = int32(d.uint("extent head", extent.PartSize))
		}
		if set < 1 || set > MaxNumber {
			d.fail(fmt.Sprintf("extent in set %d", set))
			return nil
		}
		e.Set = uint32(set)
		end = e.End()
		out = append(out, e)
	}
	if d.err != nil {
		return nil
	}
	if err := extent.Check(out); err != nil {
		d.fail(err.Error())
		return nil
	}
	return out
}

package extract

import (
	"encoding/binary"
	"errors"
	"slices"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
)

// Handle stands for a file that has no name in the target yet. 0 is none.
type Handle uint64

// state is what the ledger knows of a path.
type state uint8

const (
	done    state = iota // nothing more is wanted of it: deleted, unwanted, lost, or a file that is whole
	open                 // a file with demands on older versions
	object               // a symlink, fifo or device
	dir                  // a directory
	dirOpen              // a directory that is wanted only if something in it is

	dirKept // a directory that the target had already

	// What was found when the target was inspected:
	pending // a file that is to be extracted; no set says anything of it yet
	fix     // a file of which only the metadata are to be set
)

// record is what the ledger keeps of a path.
type record struct {
	state   state
	handle  Handle       // of an open file, and of a whole one until its volume is proved right
	size    int64        // in bytes, of these files
	meta    difftar.Meta // of open, object, dir, dirOpen
	demands []extent.Demand
}

func (r *record) append(b []byte) []byte {
	b = append(b, byte(r.state))
	b = binary.AppendUvarint(b, uint64(r.handle))
	if r.handle != 0 {
		b = binary.AppendUvarint(b, uint64(r.size))
	}
	if r.state == done {
		return b
	}
	b = appendMeta(b, &r.meta)
	if r.state != open {
		return b
	}
	b = slices.Grow(b, 12*len(r.demands)+binary.MaxVarintLen64)
	b = binary.AppendUvarint(b, uint64(len(r.demands)))
	var from int64
	for _, d := range r.demands {
		b = binary.AppendUvarint(b, uint64(d.From-from))
		b = binary.AppendUvarint(b, uint64(d.To))
		b = binary.AppendUvarint(b, uint64(d.Len))
		from = d.From
	}
	return b
}

func appendMeta(b []byte, m *difftar.Meta) []byte {
	b = append(b, byte(m.Type))
	b = binary.AppendUvarint(b, uint64(m.Mode))
	b = binary.AppendUvarint(b, uint64(m.UID))
	b = binary.AppendUvarint(b, uint64(m.GID))
	b = binary.AppendVarint(b, m.MTime)
	b = binary.AppendUvarint(b, uint64(m.Nanos))
	b = binary.AppendUvarint(b, uint64(m.Major))
	b = binary.AppendUvarint(b, uint64(m.Minor))
	for _, s := range []string{m.Uname, m.Gname, m.Linkname} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

var errRecord = errors.New("extract: temporary record is damaged")

// decoder takes a record apart; its error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.err, d.b = errRecord, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.err, d.b = errRecord, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.err = errRecord
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.err = errRecord
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// meta decodes what appendMeta made.
func (d *decoder) meta() difftar.Meta {
	return difftar.Meta{
		Type: difftar.Type(d.byte()), Mode: uint32(d.uvarint()), UID: int64(d.uvarint()), GID: int64(d.uvarint()),
		MTime: d.varint(), Nanos: int32(d.uvarint()), Major: uint32(d.uvarint()), Minor: uint32(d.uvarint()),
		Uname: d.text(), Gname: d.text(), Linkname: d.text(),
	}
}

func decodeRecord(b []byte) (record, error) {
	d := decoder{b: b}
	r := record{state: state(d.byte()), handle: Handle(d.uvarint())}
	if r.handle != 0 {
		r.size = int64(d.uvarint())
	}
	if r.state == done {
		return r, d.err
	}
	r.meta = d.meta()
	if r.state != open {
		return r, d.err
	}
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		return r, errRecord
	}
	r.demands = make([]extent.Demand, n)
	var from int64
	for i := range r.demands {
		from += int64(d.uvarint())
		r.demands[i] = extent.Demand{From: from, To: int64(d.uvarint()), Len: int64(d.uvarint())}
	}
	return r, d.err
}

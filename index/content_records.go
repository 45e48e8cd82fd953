package index

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"hindsight/chain/extent"
	"hindsight/chain/toc"
)

// Xattr is an extended attribute.
type Xattr = toc.Xattr

func appendXattrs(b []byte, xattrs []Xattr) []byte {
	for _, x := range xattrs {
		b = appendText(appendText(b, x.Name), x.Value)
	}
	return b
}

func parseXattrs(b []byte) ([]Xattr, error) {
	d := decoder{b: b}
	var out []Xattr
	for len(d.b) > 0 {
		name := d.text("attribute", toc.MaxXattrName)
		value := d.text("attribute", toc.MaxXattrs)
		out = append(out, Xattr{Name: string(name), Value: append([]byte(nil), value...)})
	}
	return out, d.end()
}

// extents is where a version's content lies. The error is ErrUnscanned if that is not
// known.
func (v *view) extents(s *stored) ([]extent.Extent, error) {
	switch s.extents {
	case extentsInline:
		return s.inline, nil
	case extentsUnknown:
		return nil, ErrUnscanned
	case extentsNone:
		return nil, nil
	}
	value, err := v.large(extentKind, s)
	if err != nil {
		return nil, err
	}
	d := decoder{b: value}
	extents := d.extents(s.changed)
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return extents, nil
}

// large reads a version's record of a kind that has its own.
func (v *view) large(kind byte, s *stored) ([]byte, error) {
	txn := v.g.db.NewTransactionAt(s.version, false)
	defer txn.Discard()
	value, err := getLarge(txn, appendLarge(nil, kind, v.chain, s.id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, fmt.Errorf("%w: no record of kind %c", ErrDamaged, kind)
	}
	return value, err
}

// Extents says where a regular file's content lies: a sorted list without holes, empty
// of an empty file. Place.Set is the number of a snapshot, whose set has the volume.
// Errors: ErrUnscanned, ErrNotExist, ErrGone.
func (s *Snapshot) Extents(id ID) ([]extent.Extent, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.release()
	var found stored
	if err := v.find(id, &found); err != nil {
		return nil, err
	}
	return v.extents(&found)
}

// Xattrs lists the extended attributes of a path by name. Errors: ErrNotExist, ErrGone.
func (s *Snapshot) Xattrs(id ID) ([]Xattr, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.release()
	var found stored
	if err := v.find(id, &found); err != nil || !found.xattrs {
		return nil, err
	}
	value, err := v.large(xattrKind, &found)
	if err != nil {
		return nil, err
	}
	return parseXattrs(value)
}

package index

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"

	"hindsight/chain"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
)

// volumes writes what is known of a set's volumes.
func (in *ingest) volumes(s *chain.Set) error {
	for _, o := range s.Volumes {
		key := appendVolume(nil, volumeKind, in.set.Number, uint32(o.Volume))
		value := appendText(binary.AppendUvarint(nil, uint64(o.Size)), o.Key)
		if err := in.w.Set(key, value); err != nil {
			return err
		}
	}
	return nil
}

// readVolume reads one volume.
func (in *ingest) readVolume(ctx context.Context, repo *chain.Repository, s *chain.Set, v manifest.Volume, g *gather, add func(*piece) error) error {
	vr, err := repo.Volume(ctx, s, v)
	if err != nil {
		return err
	}
	defer vr.Close()
	return g.volume(ctx, vr, add)
}

// ChainSet is the set that a snapshot is the end of, as far as it is needed to read its
// volumes: those that the store had when it was taken in, by names in scheme. Errors:
// ErrGone.
func (s *Snapshot) ChainSet(scheme naming.Scheme) (*chain.Set, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.release()
	p := v.g.byNumber[s.Number]
	m := p.chain.Sets[p.at]
	set := &chain.Set{SetID: m.id()}
	if set.Manifest, err = object(scheme, m.Manifest, m.Size); err != nil {
		return nil, err
	}
	prefix := binary.BigEndian.AppendUint32([]byte{volumeKind}, s.Number)
	txn := v.g.db.NewTransactionAt(allVersions, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		err := it.Item().Value(func(value []byte) error {
			d := decoder{b: value}
			size := d.uint("size", math.MaxInt64)
			key := string(d.text("object", 4<<10))
			if err := d.end(); err != nil {
				return fmt.Errorf("%w: %w", errDamaged, err)
			}
			o, err := object(scheme, key, int64(size))
			if err == nil {
				set.Volumes = append(set.Volumes, *o)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return set, nil
}

// object is an object as its name tells.
func object(scheme naming.Scheme, key string, size int64) (*chain.Object, error) {
	name, ok := scheme.Parse(key)
	if !ok {
		return nil, fmt.Errorf("%w: object %q", errForeign, key)
	}
	return &chain.Object{Name: name, Key: key, Size: size}, nil
}

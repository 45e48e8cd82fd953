package index

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"

	"hindsight/chain"
	"hindsight/chain/codec"
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

// table writes a volume's table, if there is one.
func (in *ingest) table(ctx context.Context, repo *chain.Repository, volume int, t *codec.Table) error {
	if t == nil {
		return nil
	}
	b, err := sealTable(ctx, repo, t)
	if err != nil {
		return err
	}
	return putLarge(in.w, appendVolume(nil, tableKind, in.set.Number, uint32(volume)), b)
}

// readVolume reads one volume and keeps its table.
func (in *ingest) readVolume(ctx context.Context, repo *chain.Repository, s *chain.Set, v manifest.Volume, g *gather, add func(*piece) error) error {
	vr, err := repo.OpenVolume(ctx, s, v, chain.VolumeOptions{Gather: true})
	if err != nil {
		return err
	}
	defer vr.Close()
	if err := g.volume(ctx, vr, add); err != nil {
		return err
	}
	return in.table(ctx, repo, v.Number, vr.Table())
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
		o, err := volumeObject(scheme, it.Item())
		if err != nil {
			return nil, err
		}
		set.Volumes = append(set.Volumes, *o)
	}
	return set, nil
}

// volumeObject is the object that a volume's record tells of.
func volumeObject(scheme naming.Scheme, item *badger.Item) (o *chain.Object, err error) {
	err = item.Value(func(value []byte) error {
		d := decoder{b: value}
		size := d.uint("size", math.MaxInt64)
		key := string(d.text("object", 4<<10))
		if err := d.end(); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		o, err = object(scheme, key, int64(size))
		return err
	})
	return o, err
}

// volume is the object of a volume of the snapshot's set. The error is
// chain.ErrMissingVolume if the store had none.
func (s *Snapshot) volume(scheme naming.Scheme, number uint32) (*chain.Object, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.release()
	item, err := v.txn.Get(appendVolume(nil, volumeKind, s.Number, number))
	if err == badger.ErrKeyNotFound {
		return nil, fmt.Errorf("volume %d of %v: %w", number, s.Set, chain.ErrMissingVolume)
	}
	if err != nil {
		return nil, err
	}
	return volumeObject(scheme, item)
}

// table is the table of a volume of the snapshot's set as sealTable made it, nil if it
// is not in the index.
func (s *Snapshot) table(number uint32) ([]byte, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.release()
	b, err := getLarge(v.txn, appendVolume(nil, tableKind, s.Number, number))
	if err == badger.ErrKeyNotFound {
		return nil, nil
	}
	return b, err
}

// object is an object as its name tells.
func object(scheme naming.Scheme, key string, size int64) (*chain.Object, error) {
	name, ok := scheme.Parse(key)
	if !ok {
		return nil, fmt.Errorf("%w: object %q", errForeign, key)
	}
	return &chain.Object{Name: name, Key: key, Size: size}, nil
}

package index

import (
	"encoding/binary"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

const (
	maxChunk = 256 << 10 // bytes of a large value under one key: badger takes 2 MiB or so
	maxLarge = 64 << 20  // of a large value
)

// writer is what takes records of one version.
type writer interface {
	Set(key, value []byte) error
}

// putLarge writes a value of any length: as chunks, whose numbers follow the key. The
// first begins with the length of all.
func putLarge(w writer, key, value []byte) error {
	if len(value) > maxLarge {
		return fmt.Errorf("record of %d bytes", len(value))
	}
	rest := append(binary.AppendUvarint(make([]byte, 0, len(value)+4), uint64(len(value))), value...)
	for n := uint16(0); n == 0 || len(rest) > 0; n++ {
		size := min(len(rest), maxChunk)
		k := binary.BigEndian.AppendUint16(append(make([]byte, 0, len(key)+2), key...), n)
		if err := w.Set(k, rest[:size:size]); err != nil {
			return err
		}
		rest = rest[size:]
	}
	return nil
}

// getLarge reads the newest version of a value that txn sees. The error is
// badger.ErrKeyNotFound if there is none.
func getLarge(txn *badger.Txn, key []byte) ([]byte, error) {
	var value []byte
	for n, left := uint16(0), uint64(1); left > 0; n++ {
		item, err := txn.Get(binary.BigEndian.AppendUint16(append(make([]byte, 0, len(key)+2), key...), n))
		if err != nil {
			return nil, err
		}
		chunk, err := item.ValueCopy(nil)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			total, head := binary.Uvarint(chunk)
			if head <= 0 || total > maxLarge {
				return nil, fmt.Errorf("%w: length of a large record", ErrDamaged)
			}
			left, chunk = total, chunk[head:]
		}
		if uint64(len(chunk)) > left || len(chunk) == 0 && left > 0 {
			return nil, fmt.Errorf("%w: chunk of a large record", ErrDamaged)
		}
		value = append(value, chunk...)
		left -= uint64(len(chunk))
	}
	return value, nil
}

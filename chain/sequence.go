package chain

import (
	"context"
	"fmt"
	"io"

	"github.com/zeebo/blake3"

	"hindsight/chain/codec"
)

// sequence is Each for an object into which no way leads but from its beginning.
func (r *RangeReader) sequence(ctx context.Context, want []int, fn func(block int, plain []byte) error) error {
	if err := r.check(want); err != nil || len(want) == 0 {
		return err
	}
	p, err := r.repo.open(ctx, r.object, access{ahead: volumeAhead})
	if err != nil {
		return err
	}
	defer p.Close() // nothing is written by it
	at := int64(0)
	for _, i := range want {
		b := &r.table.Blocks[i]
		if _, err := io.CopyN(io.Discard, p, b.TarOffset-at); err != nil {
			return p.explain(cutShort(err))
		}
		plain := make([]byte, b.Len)
		if _, err := io.ReadFull(p, plain); err != nil {
			return p.explain(cutShort(err))
		}
		if blake3.Sum256(plain) != b.Sum {
			return &CorruptError{r.object.Key, fmt.Errorf("at tar offset %d: %w: other bytes than before", b.TarOffset, codec.ErrCorrupt)}
		}
		if err := fn(i, plain); err != nil {
			return err
		}
		at = b.TarOffset + int64(b.Len)
	}
	return nil
}

// cutShort is for an end where there were bytes before.
func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

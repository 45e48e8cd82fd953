package chain

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/blake3"

	"hindsight/chain/codec"
	"hindsight/chain/store"
	"hindsight/chain/toc"
)

// OldSignatures reads signatures of a set out of the middle of the archive's copy of
// its signature archive. No byte is returned that was not in a copy that was whole. It
// is for one goroutine.
type OldSignatures struct {
	ranges *RangeReader
	block  int // that plain is of; -1: none
	plain  []byte
}

// OldSignatures opens the archive's copy of a set's signatures, made first if there is
// none. A copy is read whole once in its life, when it is found out how it is read in
// the middle; that is kept beside it. Errors as those of Signatures.
func (r *Repository) OldSignatures(ctx context.Context, s *Set) (*OldSignatures, error) {
	if s.Signatures == nil {
		return nil, fmt.Errorf("%v: %w", s.SetID, ErrNoSignatures)
	}
	if r.Archive == nil {
		return nil, errors.New("signatures in the middle: no local archive")
	}
	local := &Repository{Store: r.archive()}
	size, table, err := r.sigTable(ctx, s.SetID)
	if err != nil {
		if size, table, err = r.findSigTable(ctx, s); err != nil {
			return nil, err
		}
	}
	o := Object{Key: archiveKey(s.SetID), Size: size}
	o.Compressed = true
	ranges, err := local.Ranges(o, table)
	if err != nil {
		return nil, localError(err)
	}
	return &OldSignatures{ranges: ranges, block: -1}, nil
}

// Read reads from offset off of the sigtar, at least one byte. Reading on is cheap.
// io.EOF: there is nothing.
func (o *OldSignatures) Read(ctx context.Context, p []byte, off int64) (int, error) {
	t := o.ranges.Table()
	b := t.Find(off)
	if off < 0 || b == len(t.Blocks) {
		return 0, io.EOF
	}
	if b != o.block {
		plain, err := o.ranges.Block(ctx, b)
		if err != nil {
			return 0, localError(err)
		}
		o.block, o.plain = b, plain
	}
	return copy(p, o.plain[off-t.Blocks[b].TarOffset:]), nil
}

// sigTablePrefix begins the names of tables of signature copies in the archive, which no
// parser of backups takes for one of its own.
const sigTablePrefix = "table."

func sigTableKey(id SetID) string { return sigTablePrefix + archiveKey(id) }

// maxSigTable bounds, in bytes, the table of a copy.
const maxSigTable = 256 << 20

// errSigTable says that a table of the archive is not what was written.
var errSigTable = errors.New("table of signatures in the local archive is damaged")

// sigTable reads what is kept of a copy: its size as stored, a varint, its table in the
// form of toc.AppendTable, and the BLAKE3 hash of both.
func (r *Repository) sigTable(ctx context.Context, id SetID) (size int64, t *codec.Table, err error) {
	rc, err := r.archive().Get(ctx, sigTableKey(id), 0, -1)
	if err != nil {
		return 0, nil, err
	}
	b, err := io.ReadAll(io.LimitReader(rc, maxSigTable+1))
	if err := errors.Join(err, rc.Close()); err != nil {
		return 0, nil, err
	}
	n := len(b) - 32
	if n < 1 || len(b) > maxSigTable || blake3.Sum256(b[:n]) != [32]byte(b[n:]) {
		return 0, nil, errSigTable
	}
	u, k := binary.Uvarint(b[:n])
	if k <= 0 || u > maxStoredSize {
		return 0, nil, errSigTable
	}
	if t, err = toc.ParseTable(b[k:n]); err == nil && t == nil {
		err = errSigTable
	}
	return int64(u), t, err
}

// maxStoredSize bounds the size of an object, in bytes.
const maxStoredSize = 1 << 50

// findSigTable reads a copy, made first if there is none, for its table, and keeps that.
func (r *Repository) findSigTable(ctx context.Context, s *Set) (size int64, t *codec.Table, err error) {
	for {
		size, t, err = r.gatherSigTable(ctx, s.SetID)
		if !errors.Is(err, store.ErrNotExist) {
			break
		}
		if err := r.fetchSignatures(ctx, s); err != nil {
			return 0, nil, err
		}
	}
	if err != nil {
		return 0, nil, r.dropArchived(ctx, archiveKey(s.SetID), err)
	}
	b := toc.AppendTable(binary.AppendUvarint(nil, uint64(size)), t)
	sum := blake3.Sum256(b)
	up := startUpload(ctx, r.archive(), sigTableKey(s.SetID), store.PutOptions{}, nil)
	if _, err := io.Copy(up, bytes.NewReader(append(b, sum[:]...))); err != nil {
		up.abort(err)
		return 0, nil, localError(err)
	}
	if err := up.close(); err != nil {
		return 0, nil, localError(err)
	}
	return size, t, nil
}

// gatherSigTable reads a copy whole. It must end with the mark without which it was cut.
func (r *Repository) gatherSigTable(ctx context.Context, id SetID) (size int64, t *codec.Table, err error) {
	local := Repository{Store: r.archive()}
	o := Object{Key: archiveKey(id)}
	o.Compressed = true
	count := &countingWriter{w: io.Discard}
	p, err := local.open(ctx, o, access{tap: count, ahead: volumeAhead, gather: true})
	if err != nil {
		return 0, nil, localError(err)
	}
	defer p.Close() // nothing is written by it
	err = toEnd(p)
	if t := p.Table(); err == nil && (t == nil || t.Sequential) {
		err = fmt.Errorf("%w: it has none", codec.ErrTable)
	}
	if err != nil {
		return 0, nil, localError(p.explain(err))
	}
	return count.n, p.Table(), nil
}

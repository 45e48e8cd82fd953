package codec

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/zeebo/blake3"
	"golang.org/x/sync/errgroup"

	"hindsight/chain/inflate"
	"hindsight/chain/pgp"
)

// errBlock is wrapped by what is wrong with the stored bytes of a block.
var errBlock = fmt.Errorf("block: %w", ErrCorrupt)

// BlockError says which block cannot be read: its stored bytes are not those that the
// table was made of. It wraps ErrCorrupt.
type BlockError struct {
	TarOffset int64 // of the block
	Offset    int64 // in the object, of its stored bytes
	Err       error
}

func (e *BlockError) Error() string {
	return fmt.Sprintf("at %d, for tar offset %d: %v", e.Offset, e.TarOffset, e.Err)
}
func (e *BlockError) Unwrap() error { return e.Err }

// Range is the part of the stored object, offset and length, that holds the blocks from
// first to last.
func (t *Table) Range(first, last int) (off, length int64) {
	off, n := t.place(first)
	end := off + n
	// A block may end before one that precedes it, as they may share a deflate block.
	for i := first + 1; i <= last; i++ {
		o, n := t.place(i)
		end = max(end, o+n)
	}
	return off, end - off
}

// place is where a block lies in the object.
func (t *Table) place(i int) (off, length int64) {
	b := &t.Blocks[i]
	if t.Message == nil {
		return b.StoredOffset, int64(b.StoredLen)
	}
	off, length, err := t.Message.Layout.Range(b.StoredOffset, int64(b.StoredLen))
	if err != nil {
		panic("codec: table was not checked: " + err.Error())
	}
	return off, length
}

// Decode returns the plain bytes of some blocks, in the order of want. stored is the
// object from offset off on, as much of it as Range says for all of them, and key opens
// the message if it is one. Nothing is returned that does not match its Sum; the error
// is a *BlockError then. Several blocks are decoded in parallel. stored is not changed.
// It takes the plain bytes, and some 700 KiB and twice Block.StoredLen for each CPU.
func (t *Table) Decode(want []int, stored []byte, off int64, key pgp.SessionKey) ([][]byte, error) {
	return t.DecodeHeads(want, nil, stored, off, key)
}

// DecodeHeads is as Decode, but of the k-th block only the first heads[k] plain bytes are
// decoded. Those of a head that is not the whole block are compared with nothing: that is
// for who knows another hash of what lies in them. Without heads blocks are whole.
func (t *Table) DecodeHeads(want []int, heads []int32, stored []byte, off int64, key pgp.SessionKey) ([][]byte, error) {
	plain := make([][]byte, len(want))
	one := func(k int) (err error) {
		i := want[k]
		at, n := t.place(i)
		if at < off || n > int64(len(stored))-(at-off) {
			err = fmt.Errorf("%w: cut short", errBlock)
		} else {
			head := t.Blocks[i].Len
			if heads != nil {
				head = min(head, heads[k])
			}
			plain[k], err = t.decode(i, head, stored[at-off:at-off+n], key)
		}
		if err != nil {
			return &BlockError{TarOffset: t.Blocks[i].TarOffset, Offset: at, Err: err}
		}
		return nil
	}
	if len(want) == 1 {
		err := one(0)
		return plain, err
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for k := range want {
		group.Go(func() error { return one(k) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return plain, nil
}

// scratches hold the ciphertext of one block, which is decrypted in place.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// plains are plain bytes that somebody is done with.
var plains sync.Pool

// Recycle takes back plain bytes that Decode returned and nobody uses any more, so that
// their memory need not be had anew.
func Recycle(plain []byte) {
	if cap(plain) > 0 {
		plains.Put(&plain)
	}
}

// room is an empty slice for n bytes.
func room(n int) []byte {
	if p, ok := plains.Get().(*[]byte); ok && cap(*p) >= n {
		return (*p)[:0]
	}
	return make([]byte, 0, n)
}

// decode decodes the first plain bytes of one block out of its stored bytes.
func (t *Table) decode(i int, head int32, stored []byte, key pgp.SessionKey) ([]byte, error) {
	b := &t.Blocks[i]
	plain := room(int(b.Len))
	if t.Message == nil {
		return t.decodeContent(plain, b, head, stored)
	}
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	*scratch = append((*scratch)[:0], stored...)
	content, err := t.Message.Layout.ReadRange(key, *scratch, b.StoredOffset, int64(b.StoredLen))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBlock, err)
	}
	return t.decodeContent(plain, b, head, content)
}

// decodeContent appends the first plain bytes of the block to dst, which is empty and has
// room for all of it. content is its stored bytes, decrypted.
func (t *Table) decodeContent(dst []byte, b *Block, head int32, content []byte) ([]byte, error) {
	plain, err := t.unwrap(dst, b, int(head), content)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBlock, err)
	}
	if head < b.Len {
		return plain, nil
	}
	if blake3.Sum256(plain) != b.Sum {
		return nil, fmt.Errorf("%w: checksum does not match", errBlock)
	}
	return plain, nil
}

// unwrap undoes what is below the encryption, for the first head plain bytes.
func (t *Table) unwrap(dst []byte, b *Block, head int, stored []byte) ([]byte, error) {
	if t.Deflated && t.Message == nil && b.Resume == nil {
		n, _, err := inflate.Inflate(dst[:head], stored)
		if n == head { // what follows is not wanted, or of the next block
			return dst[:n], nil
		}
		return nil, fmt.Errorf("%d bytes in place of %d: %w", n, head, err)
	}
	r := b.Resume
	if r == nil {
		r = new(Resume)
	}
	f := unwrapper{message: t.Message != nil, skip: int(r.Skip), want: head, dst: dst}
	if r.Chunk > 0 {
		f.frame.Resume(r.Chunk)
	}
	if !t.Deflated {
		return f.end(f.take(stored))
	}
	z := inflaters.Get().(*inflate.Reader)
	defer func() {
		z.ResetBytes(nil) // so that it holds nothing
		inflaters.Put(z)
	}()
	window, err := unpackWindow(r.Window)
	if err != nil {
		return nil, err
	}
	start := inflate.Checkpoint{Bit: int64(r.Bit), Out: int64(len(window)), Window: window}
	if err := z.ResetBytesAt(start, stored); err != nil {
		return nil, err
	}
	for f.want > 0 {
		p, err := z.Next()
		if err == nil {
			err = f.take(p)
		}
		if err != nil {
			return nil, err
		}
	}
	return f.end(nil)
}

// unwrapper takes a block out of what is inflated.
type unwrapper struct {
	message bool
	frame   pgp.Unframer
	skip    int // bytes to pass over
	want    int // plain bytes still wanted
	dst     []byte
}

func (u *unwrapper) take(p []byte) error {
	n := min(u.skip, len(p))
	u.skip -= n
	p = p[n:]
	before := len(u.dst)
	var err error
	if u.message {
		u.dst, err = u.frame.Unframe(u.dst, p, u.want)
	} else {
		u.dst = append(u.dst, p[:min(len(p), u.want)]...)
	}
	u.want -= len(u.dst) - before
	return err
}

// end returns the block if it is whole.
func (u *unwrapper) end(err error) ([]byte, error) {
	if err == nil && u.want > 0 {
		err = fmt.Errorf("%d bytes are missing", u.want)
	}
	return u.dst, err
}

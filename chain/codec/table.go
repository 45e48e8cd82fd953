package codec

import (
	"errors"
	"fmt"
	"sort"

	"hindsight/chain/pgp"
)

// ErrTable is wrapped by errors about a Table: it cannot be right, or it is not the
// object's.
var ErrTable = errors.New("no table of the object")

// Limits of a block that a Writer makes, in plain bytes. It ends at the first Mark
// after MinBlock and at MaxBlock at the latest; the room between them takes one whole
// part of a file (64 KiB) with its headers, so that every block of a difftar begins at
// a header. Blocks are about 256 KiB on average: large enough to lose little
// compression (+0.6 %), small enough to read one file's worth.
const (
	MinBlock = 224 << 10
	MaxBlock = 320 << 10
)

// Limits of what a Table may say, whoever made it. An object that would need more is
// read from its beginning: its table is Sequential or, with too many blocks, there is none.
const (
	MaxBlocks = 1 << 20  // blocks of a table
	MaxPlain  = 2 << 20  // Block.Len
	MaxStored = 4 << 20  // Block.StoredLen
	MaxSkip   = 16 << 20 // Resume.Skip
	MaxWindow = 33 << 10 // len(Resume.Window): 32 KiB that do not compress, and a frame around them
	MaxESK    = 16 << 10 // len(Message.ESK)
)

// Table is all that is needed to read an object in the middle, which the object
// itself does not say or says only to who reads it from its beginning. A Writer makes
// one in passing, and so does a Reader that is asked to. It is plain data: keep it
// wherever, in any form. One that was kept must pass Check before it is used. It must
// not be changed while in use; then it is safe for concurrent use.
type Table struct {
	// Deflated says that what the object or message holds is compressed; it is not
	// told by the name of an encrypted object.
	Deflated bool
	Message  *Message // nil: the object is not encrypted
	// Sequential says that no way leads into the object but from its beginning: one
	// compressed by bzip2, a message without MDC, be it old or AEAD, and others that only rare programs
	// made. Of blocks there are Len, TarOffset and Sum then, and neither Deflated nor
	// Message is set.
	Sequential bool
	// Blocks are the object's plain bytes in order, without a gap, from 0 on.
	Blocks []Block
}

// Message says how the content of an encrypted object is found and decrypted.
type Message struct {
	// ESK is what pgp.ReadESK makes of the object's head: the session key packets.
	// All objects of a set that we wrote have the same. Public, as the object is.
	ESK []byte
	// Prefix is the first pgp.PrefixSize encrypted octets, which tell a wrong session
	// key. They differ from message to message.
	Prefix []byte
	Layout pgp.Layout
}

// Block is a run of plain bytes that can be read by itself.
//
// Its stored bytes are those of the object or, if that is encrypted, of the message's
// content, which Message.Layout maps to the object. In a deflated object they begin
// with the byte in which a deflate block begins, and there may be more of them than
// needed: those of neighbours may overlap. What they inflate to, or are, is the plain
// bytes in a gzip or plain object. In a message it is a part of a literal data packet,
// that is, of chunks with a length before each (RFC 4880 §4.2.2.4).
type Block struct {
	TarOffset    int64    // of its first plain byte
	StoredOffset int64    // of its first stored byte
	StoredLen    int32    // stored bytes, 1..MaxStored
	Len          int32    // plain bytes, 1..MaxPlain
	Sum          [32]byte // BLAKE3 of the plain bytes
	// Resume is what must be known of what lies before the block. Nil: nothing. Its
	// first stored byte then begins a deflate block if the object is deflated, and the
	// first byte that this gives begins a chunk's length if the object is a message. So
	// are all blocks of a Writer but the first of a message.
	Resume *Resume
}

// Resume is the state of the layers where a block begins.
type Resume struct {
	Bit uint8 // of the first stored byte, 0..7, where the deflate block begins; the lowest is 0
	// Skip is how many inflated (or, where nothing is compressed, stored) bytes go
	// before the block's first: of what precedes the literal's data, or where a deflate
	// block is too long to be one block. 0..MaxSkip.
	Skip int32
	// Chunk is how many bytes are left of the literal's chunk that the block's first
	// byte lies in; 0: the length of a chunk comes first. Only in a message.
	Chunk int64
	// Window is the inflated bytes before the deflate block, as many as it refers to,
	// in one zstd frame; empty: none. They are 32 KiB at most.
	Window []byte
}

// Size is the number of plain bytes.
func (t *Table) Size() int64 {
	if len(t.Blocks) == 0 {
		return 0
	}
	b := &t.Blocks[len(t.Blocks)-1]
	return b.TarOffset + int64(b.Len)
}

// Check reports what is wrong with a table that comes from somewhere else. All methods
// are safe on one that passed, and never take more memory than the limits above.
func (t *Table) Check() error {
	if len(t.Blocks) > MaxBlocks {
		return fmt.Errorf("%w: %d blocks", ErrTable, len(t.Blocks))
	}
	end := int64(maxOffset)
	if t.Sequential && (t.Deflated || t.Message != nil) {
		return fmt.Errorf("%w: both sequential and not", ErrTable)
	}
	if m := t.Message; m != nil {
		if len(m.ESK) > MaxESK || len(m.Prefix) > pgp.PrefixSize {
			return fmt.Errorf("%w: message head of %d bytes", ErrTable, len(m.ESK)+len(m.Prefix))
		}
		if err := m.Layout.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrTable, err)
		}
		end = m.Layout.Len
	}
	var tar, stored int64
	for i := range t.Blocks {
		b := &t.Blocks[i]
		if b.TarOffset != tar || !t.checkBlock(b) {
			return fmt.Errorf("%w: block %d", ErrTable, i)
		}
		tar += int64(b.Len)
		if b.StoredOffset < stored || b.StoredOffset > end || int64(b.StoredLen) > end-b.StoredOffset {
			return fmt.Errorf("%w: block %d at %d, stored at %d+%d", ErrTable, i, b.TarOffset, b.StoredOffset, b.StoredLen)
		}
		stored = b.StoredOffset
	}
	return nil
}

// maxOffset bounds the size of an object, in bytes.
const maxOffset = 1 << 50

func (t *Table) checkBlock(b *Block) bool {
	if b.Len < 1 || b.Len > MaxPlain {
		return false
	}
	if t.Sequential {
		return b.StoredOffset == 0 && b.StoredLen == 0 && b.Resume == nil
	}
	if b.StoredLen < 1 || b.StoredLen > MaxStored {
		return false
	}
	if !t.Deflated && b.StoredLen < b.Len {
		return false
	}
	r := b.Resume
	return r == nil || r.Bit < 8 && r.Skip >= 0 && r.Skip <= MaxSkip && r.Chunk >= 0 && r.Chunk <= maxOffset &&
		(r.Chunk == 0 || t.Message != nil) && len(r.Window) <= MaxWindow &&
		(t.Deflated || r.Bit == 0 && len(r.Window) == 0 && r.Skip < b.StoredLen)
}

// Find is the number of the block with the plain byte at offset tar, or that of
// blocks if there is none.
func (t *Table) Find(tar int64) int {
	return sort.Search(len(t.Blocks), func(i int) bool {
		b := &t.Blocks[i]
		return tar < b.TarOffset+int64(b.Len)
	})
}

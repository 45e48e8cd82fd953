package codec

// Limits of a block, in plain bytes. A block ends at the first Mark after
// MinBlock and at MaxBlock at the latest; the room between them takes one whole
// part of a file (64 KiB) with its headers, so that every block of a difftar
// begins at a header. Blocks are about 256 KiB on average: large enough to lose
// little compression (+0.6 %), small enough to read one file's worth.
const (
	MinBlock = 224 << 10
	MaxBlock = 320 << 10
)

// Block is one independently readable run of an object: neither its compression
// nor its framing needs a byte from before it.
type Block struct {
	TarOffset int64 // of its first plain byte
	// StoredOffset is where its stored bytes begin: in a .gz or plain object the
	// offset in the object, in a .gpg object the offset in the message's content,
	// which pgp.Layout maps to the object.
	StoredOffset int64
	StoredLen    int32    // stored bytes
	Len          int32    // plain bytes, 1..MaxBlock
	Sum          [32]byte // BLAKE3 of the plain bytes
}

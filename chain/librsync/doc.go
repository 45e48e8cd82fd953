// Package librsync writes and reads the signatures and deltas of librsync, byte for
// byte as rdiff does. It knows bytes alone, nothing of backups.
//
// A signature is a list of block sums of a file, the basis. A delta is a script that
// makes another file from the basis: an op copies a range of the basis or carries a
// literal. Whoever has the signature alone can make the delta; whoever has the basis
// and the delta can make the file.
//
// # Signature (duplicity-format.md §4.4)
//
// All integers are big-endian.
//
//	u32 magic | u32 block length | u32 strong length | block*
//	block: u32 weak sum | strong sum
//
//	magic       weak sum    strong sum   strong length
//	0x72730136  rollsum     MD4          1..16
//	0x72730137  rollsum     BLAKE2b-256  1..32
//	0x72730146  Rabin-Karp  MD4          1..16
//	0x72730147  Rabin-Karp  BLAKE2b-256  1..32
//
// Blocks follow one another in the basis; the last may be shorter, by how much is
// not stored. [SignatureWriter] writes the first kind with 8 bytes of MD4, as
// duplicity does; [ReadSignature] takes all four.
//
// # Delta (duplicity-format.md §4.5)
//
//	u32 0x72730236 | command* | 0x00
//
//	0x01..0x40  literal of 1..64 bytes, which follow
//	0x41..0x44  literal; its length is in the next 1, 2, 4, 8 bytes, then the bytes
//	0x45..0x54  copy; k = opcode - 0x45; position in 1<<(k/4) bytes, length in 1<<(k%4)
//	0x55..0xff  reserved
//
// [DeltaWriter] writes it, [OpDecoder] reads it, [Patch] applies it.
//
// # Contract
//
// Everything streams: nothing here holds a file, and what a signature may take in
// memory is bounded by the caller. Input is not trusted: bytes that break the format
// give a [CorruptError], input that ends early gives [io.ErrUnexpectedEOF], both to
// be found with errors.As and errors.Is. A [Signature] is never changed after it was
// read and may be shared; every other type is for one goroutine at a time.
package librsync

// Package codec puts on and takes off the layers around the plain bytes of an
// object, which are mostly a tar: gzip, an OpenPGP message, or none.
//
// # Blocks
//
// A [Writer] cuts the plain bytes into blocks of about 256 KiB, at tar headers where
// it is told of them by [Writer.Mark], and compresses each by itself. That is what
// lets a [Pool] compress in parallel, and a reader begin in the middle; any other
// reader sees one ordinary stream.
//
//	.gz    one gzip member per block (RFC 1952). Its header has an extra field with
//	       the subfield "HB", whose 4-byte little-endian value is the length of the
//	       whole member, so that members can be found from the file alone:
//
//	         1f 8b 08 04  00 00 00 00  00 ff     no time, no name, unknown system
//	         08 00  'H' 'B'  04 00  LL LL LL LL
//	         raw deflate | CRC-32 | length
//
//	.gpg   one message (see package pgp). Its compressed packet holds raw deflate;
//	       each block of it begins without history at a byte boundary and ends with
//	       an empty stored block. Inflated, it is literal data packet chunks that
//	       hold just the block. A last deflate block has the signature packet, if any.
//
//	plain  the bytes as they are.
//
// # Tables
//
// A [Table] says where each block lies, what its plain bytes hash to, and what else must
// be known to begin there: [Table.Range] is the part of the object to fetch, and
// [Table.Decode] makes verified plain bytes of it. There are two ways to one:
//
//   - [Writer.Table], of an object that was just written;
//   - [Reader.Table], of any object that is read whole with ReaderOptions.Gather, who
//     ever wrote it: gzip files of one stream or more, messages of gpg's with their
//     signatures, compressed by ZIP, ZLIB or not at all, plain files. Where the deflate
//     stream has no restart points a checkpoint is kept about every MiB, at the start of
//     a deflate block: its bit, and as much of the window as is referred to.
//
// A whole message whose table is known is decoded in parallel: ReaderOptions.Table.
//
// # Concurrency and errors
//
// Readers and Writers serve one goroutine each, a Pool any number. Memory is bounded:
// by the pool for blocks in flight, by one more block of every Writer, and by some
// 200 KiB of every Reader, but for AEAD encrypted data, see pgp.Reader. Errors stick. Those of the underlying reader or writer are
// passed on as they are. What Table.Decode cannot read is a [BlockError].
package codec

// Package codec puts on and takes off the layers around the plain bytes of an
// object, which are mostly a tar: gzip, an OpenPGP message, or none.
//
// # Blocks
//
// A [Writer] cuts the plain bytes into blocks of about 256 KiB, at tar headers where
// it is told of them by [Writer.Mark], and compresses each by itself. That is what
// lets a [Pool] compress in parallel, and a reader begin in the middle; any other
// reader sees one ordinary stream. The block table, [Writer.Blocks], says where each
// block lies and what its plain bytes hash to; [DecodeBlock] reads one.
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
// # Concurrency and errors
//
// Readers and Writers serve one goroutine each, a Pool any number. Memory is bounded:
// by the pool for blocks in flight, by one more block of every Writer, and by some
// 200 KiB of every Reader. Errors stick. Those of the underlying reader or writer are
// passed on as they are.
package codec

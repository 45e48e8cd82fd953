// Package inflate decodes DEFLATE data (RFC 1951): the contents of gzip members and
// of compressed OpenPGP packets. It exists beside the standard library's package for
// two reasons: every restore waits for this decoder, and a volume that somebody else
// wrote can be read in the middle only with checkpoints taken at block boundaries.
//
// There are three ways in:
//
//   - [Inflate] decodes one stream that lies in memory, of known length, such as a
//     block of a volume that we wrote;
//   - [Reader] reads a stream from an io.Reader, says where its blocks begin, and
//     resumes at any of them from a [Checkpoint];
//   - [Decoder] is what both are made of: it turns a window of input into output and
//     stops where either ends.
//
// # Terms
//
// A stream is a sequence of blocks. A block is either stored or symbols in two
// Huffman codes, one for literals and lengths, one for distances; its header says
// which. Positions in the input are bits from the start of the stream, as blocks need
// not begin at a byte; those in the output are bytes. The window is the last 32 KiB
// of output before a position, to which matches may refer. How much of it some output
// really refers to is its reach, [Reader.Reach]: a checkpoint needs no more window than
// the reach of what is read from it.
//
// # How it is fast
//
// Input and output lie in memory, so that one loop keeps 56 or more bits of input in
// a register, looks a symbol up in one load mostly, and copies matches in pieces
// wider than they are, without a look at the ends: [tables.fast] runs while both ends
// are far enough away. Blocks of nothing but eight-bit literals have a loop of their
// own, flatRun. The last symbols before either end are decoded one by one. Only the
// two loops use package unsafe; each states why it stays within bounds.
//
// # Hostile input
//
// What the standard library refuses is refused, and nothing else. Memory does not
// depend on the data. No output is ever made of bytes that were not decoded or given
// as a window. Data cut short gives io.ErrUnexpectedEOF, other invalid data a
// [CorruptError]; what was decoded before is delivered first.
package inflate

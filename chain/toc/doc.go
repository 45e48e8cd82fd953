// Package toc reads and writes the portable index of one set: an object of hindsight's
// own that lies beside the set, compressed and sealed like it, and that nothing needs.
// It says what the set's other objects say only to who reads all of them, or do not say:
// where in the volumes each path's bytes lie, true sizes, hashes of contents, times to
// the nanosecond, extended attributes and hard links; and how each volume is read in
// the middle. It speaks of its own set alone, and names that set's volumes by their
// SHA-1: a reader ignores one that disagrees with the manifest.
//
// # Format
//
// These are the plain bytes, which chain/codec compresses and seals. A number is a
// varint as in encoding/binary, in as few bytes as can be; a signed one is folded so
// that 0, -1, 1, -2 are 0, 1, 2, 3. A text is its length and that many bytes.
//
//	"hindsight-toc\n"
//	version    1
//	records    tag (1 byte), length, payload
//
// Records, in this order:
//
//	'h'  once      header
//	'v'  any       a volume, by number
//	's'  0 or 1    the signatures
//	'e'  any       an entry, by path in difftar.Compare's order
//	'z'  once      trailer, with which the object ends
//
// What is added later is records of other tags, which a reader skips wherever they are,
// and more at the end of a payload, which it ignores. The version goes up only when a
// reader must not go on without understanding what is new. But for such additions there
// is one way to write a thing, and a reader refuses any other.
//
// A header is
//
//	flags      1: the set is an incremental
//	start      signed; time of the set that it builds on, 0 for a full
//	end        signed; time of the set
//
// A trailer is
//
//	volumes    how many there were
//	entries    likewise
//	digest     32 bytes: BLAKE3 of everything before it
//
// A volume is its number and an object; the signatures are an object:
//
//	size       of the stored object, in bytes
//	sha1       20 bytes, of the stored object; zero: not known
//	table
//
// A table, which says how the object is read in the middle (codec.Table):
//
//	flags      4: there is none, nothing follows
//	           1: what is in the object is compressed
//	           2: it is a message, and then
//	             esk, text     prefix, text
//	             head     start     len     of the layout
//	             how many runs, and for each: lengths, text     count
//	blocks     how many, and for each:
//	             len     stored length
//	             (signed; stored offset, more than the stored end of the one before)
//	               * 2, and 1 if there is something to resume
//	             sum, 32 bytes
//	             to resume: bit     skip     chunk     window, text
//
// # Entries
//
// An entry is coded against those before it; nothing is known before the first. So the
// run of entries may be written before the volumes and copied behind them. Where data
// in a tar are "expected" is the next multiple of 512 at or behind the end of the last
// data, and 512 more for a header; an entry that has none moves that end to where data
// were expected. The end is 0 at first, and in another volume. A place is a number,
// (signed d)*2 or (signed d)*2+1: data lie d times 512, or d bytes, behind where they
// are expected.
//
//	shared     bytes of path that are those of the path before, as many as can be
//	path       text; the rest of it
//	flags      bits 0 and 1: 1 snapshot, 2 diff, 3 deleted: the entry ends here;
//	           other bits say that what is marked with their number follows
//
//	owner      number of an owner met before, from 1; or 0 and then
//	             type     1 file, 2 directory, 3 symlink, 4 character device,
//	                      5 block device, 6 fifo
//	             mode     uid     gid     uname, text     gname, text
//	mtime      signed; more than in the last entry that was not deleted
//	8  sec     signed; seconds of the exact time, more than mtime
//	4  nsec    4 bytes, little endian
//	9  link    text; target of a symlink
//	10 device  major     minor
//	2  extent  place, in the same volume as the last data     length
//	             and no more: it is contiguous, and all of the stream
//	7  stream  how many extents, and for each:
//	             flags
//	             1: hole    bytes of the stream that are left out before it
//	             2: volume  number, if not that of the last data
//	             4: gap     Place.Gap; Place.Head is PartSize
//	             8: head    Place.Head if less
//	             place      length
//	13 ops     how many, and for each:
//	             length * 2, and 1 if it is a copy
//	             signed; offset, more than the end of the last one of its kind
//	14         nothing follows; the ops are not known
//	6  size    1 more than the size, 0 if it is not known. Else it is the length of
//	             the stream, or of a diff's ops, not known if these are not known
//	3  hash    32 bytes, BLAKE3 of the content
//	5  sig     place in the sigtar     length
//	15 shift   signed; the time in the sigtar, more than mtime
//	11 xattrs  how many, and for each:
//	             name, text     value, text
//	12 link    signed device, more than in the last such entry
//	             signed inode, likewise
//
// Owners are numbered as they appear. Before one more than 4096, or than 1 MiB of user
// and group names, all are forgotten and numbers begin at 1 again.
//
// # Contracts
//
// Readers and writers stream: neither holds more than one record. All are for one
// goroutine. What a store hands out is not trusted: all lengths are bounded, memory
// grows with what really comes, paths and values are checked as chain/difftar does. A
// Reader hands out entries before it can know that the toc is whole: nothing may
// become of them until it says io.EOF. Errors wrap ErrFormat, ErrVersion or
// io.ErrUnexpectedEOF and name the offset of the record, or are those of the source.
package toc

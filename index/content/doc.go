// Package content reads files of snapshots: any byte of any version by what the index
// says of where it lies.
//
// # Blocks
//
// Volumes are read in blocks (chain/codec), each checked against its hash. Decoded
// blocks are kept in one cache for all files, whose budget in bytes is never exceeded:
// it covers the blocks that are there, decoded or as they are stored, those on their way,
// the tables that tell how volumes are read, and the extents of open files. Where there
// is no room a read waits for some; blocks that nobody reads at the moment make room,
// those used longest ago first. A block that is missing is fetched once, however many
// wait for it.
//
// # Reading ahead
//
// Two things are noticed. A file that is read from its beginning, or on from where the
// last read ended, has the bytes behind that fetched. And files lie in volumes in path
// order, so who reads one after the other walks through a volume: what lies behind in
// the volume is fetched then. Both begin small and double, up to an eighth of the budget,
// whenever a read comes before what it wants does, which near a store is seldom and far
// from one is until requests hide its latency. What is fetched ahead is decoded when it is
// wanted, or just before: of what turns out to be in vain that would be the dearest part.
//
// # Errors
//
// A read ends when its context does, also if the network hangs: what it has asked for goes
// on by itself and is there for the next who asks. An error is for those who wait just then,
// and is forgotten: the next read tries again.
package content

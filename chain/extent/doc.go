// Package extent is the algebra by which the bytes of one version of a file are
// found in the versions before it. It is pure: no archive and no file is touched.
//
// An incremental stores a file as a delta: literal bytes, and copies from the
// version before. There are two ways to a version's bytes:
//
// Demands run backwards, without an index. Extraction reads versions from the newest
// to the oldest. What is still missing of the target is a list of demands on the
// version to be read next: bytes [From, From+Len) of it belong at To in the target. A
// Resolver takes the demands on one version and that version's ops in output order;
// literals serve demands, copies turn them into demands on the next older version. The
// whole file is the first demand, so every byte of the target is demanded, and
// written, exactly once.
//
// Extents run forwards and are kept. A version is a sorted list of extents, each of
// which says where a run of its bytes lies as literals: in which volume of which set,
// at which offset of the tar. A Composer makes the extents of a version of those of
// its basis and its ops, so that after any number of incrementals one byte is one
// binary search and one read. How a stored stream itself, a snapshot's content or a
// delta, lies in volumes is a list of extents too; parts cut by headers
// (duplicity-format.md §3.4) are one extent for each volume.
//
// # Memory
//
// Lists are held whole, for one file at a time: extents 40 bytes each and at most
// MaxExtents, demands 24 bytes each, at most MaxDemands of one version and as many of the
// version before it. Ordinary files have a few of either. A disk image of 100 GiB of which
// each night a hundredth is changed, here and there, comes to millions of demands after a
// month, 200 MiB of memory at the limit: to refuse it would be worse, as nothing else could
// restore it, and demands cannot be cut by ranges of the target without reading each
// older volume once for each range.
package extent

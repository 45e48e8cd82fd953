// Package chain is the model of what lies on a store, and reads and writes one set
// of it.
//
// A set is one run of a backup: numbered volumes, a signature archive, a manifest and,
// if we wrote it, a portable index (package toc), which duplicity does not see and
// nothing needs. A full set holds a whole tree, an incremental one what changed since
// the set it builds on. A full and the incrementals upon it are a chain. Load turns
// a listing into a Collection of chains and of what belongs to none.
//
// # Commit order
//
// A set's objects are put in this order: volumes, signatures, index, manifest. Only the
// manifest waits until the others are durable: it
// is the mark of a complete set: whatever lacks one is ignored by every reader, and
// removed by cleanup. (duplicity-format.md §1.7) Just before it the volumes are
// listed: a set that somebody has cleaned up meanwhile is not committed.
//
// # Reading
//
// Repository opens the objects of a set: manifest, volumes, signatures. A
// VolumeReader hands out entries with their positions and does not say io.EOF before
// the stored bytes agree with the manifest's hash, so whoever waits for that may
// trust all that came before. A TOCReader says without that what is in the volumes,
// and where. By the way a VolumeReader gathers the volume's table, if asked to, with
// which a RangeReader reads verified blocks out of the middle of any object, whoever
// wrote it, in few requests, and with which a message is decoded in parallel.
// MergeStates walks several sets abreast and yields the
// state of the tree after the newest of them.
//
// # Memory
//
// All is streamed but manifests: some 250 bytes a volume, and at most
// Repository.ManifestMemory for each that is held; an extraction holds those of all its
// sets. Streams that are merged are all open at once, each with a file descriptor or a
// connection: half a MiB each up to 32 sets, of more the full's half a MiB and 100 KiB for
// each incremental, which is 100 MiB for a thousand. Less would take rounds that write
// signatures, most of what there is, to disk and read them again. One in AEAD packets takes
// as much again as it is long, up to 8 MiB. Only a backup without an
// index, and a comparison, merge a whole chain.
//
// # Writing
//
// SetWriter takes entries in path order, cuts them into volumes, compresses and
// uploads those in parallel, and commits.
//
// The store is the truth. The archive, a second Store with plain copies of the
// signatures and portable indexes, saves fetching them again and may be lost at any time; a damaged
// copy is fetched again.
package chain

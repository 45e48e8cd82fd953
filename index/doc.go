// Package index keeps what chains hold in a local database, so that any snapshot can be
// browsed at once: every path's versions with their metadata, where in the volumes a
// version's bytes lie, and how volumes are read in the middle. It is made from the
// store, and may be deleted at any time.
//
// # Time
//
// The database is badger in managed mode: the version of a record is the time of its
// set in seconds since 1970. Looking at a chain as of a version shows the tree as of
// that set; a path that was deleted has a record that says so; and all versions of a
// path are one run of keys. Nothing that was written is ever discarded while its chain
// is there. Sets from before 1970 have no such time, and their chains are left out.
//
// A path is named by an ID, given to it when it is first seen in a chain, and a snapshot
// by a number that no other snapshot ever gets. The two together are a node.
//
// # Keys
//
// See key.go. A chain has a number, which is part of all its keys. A chain whose sets
// are not those of the store any more, as one of them was replaced, gets another number
// and is taken in again. What no chain or set of the meta file has is never looked at,
// and is left out when there is enough of it for a rewrite to be worth it.
//
// # Generations
//
// Badger lets one process write or several read. So a directory has generations:
//
//	current       which generation is the current one, and the next numbers
//	lock          locked (flock) by who writes
//	gen-N/        a generation; each reader holds a shared lock of it
//	  meta        schema, repository, chains and sets, names of owners; JSON and a hash
//	  db/         badger's files, never written again
//	  files       their sizes and sums
//	  verified    when they were last compared with these
//	new-*/        a generation in the making
//
// A writer copies the current generation, adds sets to the copy, closes it, makes it
// durable, renames it and replaces the pointer. If it dies before that nothing has
// happened. Readers go on with what they have opened until they Refresh; what nobody
// reads is removed by the next writer. Whatever is wrong with an index, it is of another
// repository or version, damaged or lost, Open says so in the log and shows nothing, and
// Build begins anew. As badger takes a block that it cannot read for the end of a table,
// all files are compared with their sums when a generation is first opened after the
// machine was started.
//
// # Sources
//
// A set is taken in from the best thing that can be read: its portable index
// (chain/toc), which tells all; its signature archive, which tells the tree but no sizes
// and places of files; or its volumes. What the entries of a set say is believed path by
// path, as extraction does: whoever deletes a directory must delete what is in it.
//
// # Scans
//
// What signatures do not tell, a Scanner learns when it is asked for: it reads the
// volume with a file's end, or for a difference all that hold it, whole and each once
// ever, and keeps all that it has seen in a scan file beside the generations:
//
//	scans/S.V.scan       what volume V of the snapshot numbered S has of each path,
//	                     and how it is read in the middle
//	scans/S.V.scan.lock  locked by who reads the volume
//
// All processes see it: sizes that a generation does not know are looked up there. A
// difference that lies in several volumes is decoded from what is fetched by range when
// it is needed. The places where a foreign volume can be entered need bytes of files; of
// an encrypted volume these are sealed with a key made of its session key, so that
// nothing of it lies open.
package index

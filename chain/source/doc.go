// Package source reads the tree that is to be backed up: it walks it in archive
// order, with the metadata a tar header keeps and what it does not keep, and
// opens its files so that neither a fifo nor a swapped link is met.
//
// # Order
//
// A walk yields a directory before what it holds and names in byte order, that
// is in the order of [difftar.Compare] (duplicity-format.md §3.6). The selection
// is asked about every object but the root (§8). A directory that is only
// scanned for included objects is yielded just before the first of them.
//
// # Reading ahead
//
// The work is a list of nodes in archive order. A node is a directory to be
// read, the rest of a directory whose names are known, or a run of finished
// items:
//
//	root: [items .. a] (read a) [items .. b] (read b) (rest of root, from 256)
//
// Running a node puts its results in its own place, so that the list stays in
// order whatever order the nodes are run in. Workers run the first node nobody
// runs yet; the consumer takes nodes off the front and runs the front one itself
// if no worker has. So the consumer never waits for room, and a budget in bytes
// holds the workers back.
//
// Held in memory are the names of the directories above the current item, at
// most 256 items for each of them, and what was read ahead.
//
// # The file system is not trusted to keep still
//
// All calls are relative to descriptors of directories, so paths may be longer
// than PATH_MAX. No symbolic link below the root is followed, except on request
// ([Options.CopyLinks]). What vanished or cannot be read is told to
// [Options.Warn] and passed over; only a root that cannot be read ends a walk.
// The path of the root itself may be a symbolic link: what it leads to is walked.
package source

// Package extract brings the tree of one moment back from a chain.
//
// It reads sets from the newest to the oldest, every volume at most once and
// several at a time:
//
//	for each set, newest first
//	    for each volume that may hold something wanted, in parallel
//	        for each entry
//	            path not seen yet:  it decides: deleted, or what the path is;
//	                                a snapshot's bytes go to their place,
//	                                a delta's literals too, and its copies
//	                                become demands on the next older version
//	            path with demands:  this version serves them, or passes them on
//	            path done:          skip
//	        the volume's hash is right: files that are whole get their names
//	give directories their metadata
//
// So every byte of the target is written once, nothing is staged, and a chain costs
// what its live bytes cost. The engine drives a Sink; Disk is the one that writes
// below a directory.
//
// What is known of the paths seen so far, the ledger, is kept as runs sorted by path,
// since that is the order in which every set is read; beyond a budget they lie in
// an unnamed temporary file. They hold names and metadata, never content.
//
// A file whose parts lie in several volumes of a set, a straddle, is finished by the
// last of them. The parts of a snapshot say where they belong; those of a delta are
// read in turn.
//
// # In place
//
// Before any volume is read the sets are inspected, by their portable indexes or else
// signatures, newest first: the first sighting of a path decides here too, so a file
// that the target has already, directories, links and deletions need no volume. What is
// left is in the volumes whose range holds a path that is wanted in their set or was
// sighted, and wanted, in a newer one; and where the portable index says in which
// blocks, and these are few, they are read in place of the volume. Nothing is changed
// before all is inspected. A restore of some paths alone goes the same way, as if the
// target were empty, where there is a portable index.
//
// # Check
//
// With Options.Check every file's content is compared with its signature. A path that
// is sighted in a set has its newest signature in the same set's archive, which is read
// before the volumes and kept as one fingerprint a path; as bytes of a file come in any
// order, from several sets, so do the blocks that are summed up. Into Nowhere that
// checks a backup, into Compare it compares one with a live tree.
//
// # Damage
//
// A volume that is missing or wrong ends the run, or, with IgnoreErrors, costs the
// paths that the set's signatures name in the volume's range: files are lost, and
// each is reported; what needs no content (directories, links, devices,
// deletions) is taken from the signatures instead. A file that depends on lost bytes
// is never completed from an older version. A number that the manifest leaves out
// between others counts as a missing volume, and a manifest that cannot be read as
// the loss of all volumes of its set. Where the signatures are lost too, nobody knows
// what a volume held: files that wait for an older version of a path in its range are
// lost, others may come back as an earlier backup has them, and that is reported.
//
// How much of a file is lost is found out at the end, from the portable indexes: they say
// where each byte of a version lies, or which bytes of an older one it copies. Each set's
// is read once more, newest first, for all lost files together.
//
// An error of one path in the target costs that path; one that all paths would meet,
// such as a full disk, ends the run.
package extract

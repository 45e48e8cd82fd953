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
// unnamed temporary files. They hold names and metadata, never content.
//
// # Damage
//
// A volume that is missing or wrong ends the run, or, with IgnoreErrors, costs the
// paths that the set's signatures name in the volume's range: files are lost, and
// each is reported; what needs no content (directories, links, devices,
// deletions) is taken from the signatures instead. A file that depends on lost bytes
// is never completed from an older version.
package extract

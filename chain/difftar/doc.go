// Package difftar reads and writes duplicity's two kinds of tar archive: the
// difftar, whose entries say what became of each path in a set, and the sigtar,
// which keeps the librsync signature of each file (duplicity-format.md §3, §4).
//
// The bytes of an entry lie in the archive behind its header. Names carry the
// meaning:
//
//	snapshot/<path>               the new state; content follows for a file
//	diff/<path>                   a file; a librsync delta follows
//	multivol_snapshot/<path>/<k>  part k, from 1, of a longer snapshot
//	multivol_diff/<path>/<k>      part k of a longer delta
//	deleted/<path>                the path is gone
//	signature/<path>              a file; its signature follows (sigtar only)
//
// Reader takes the pax, GNU and V7 dialects, raw bytes in every name, and archives
// that end with no, one or many zero blocks. Writer writes pax. Both are for one
// goroutine at a time.
package difftar

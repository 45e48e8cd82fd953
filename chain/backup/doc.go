// Package backup makes a set out of a source tree: all of it, or what changed since
// the chain's newest set.
//
//	walk of the source --\
//	                      +-- collate --> readers --> in order --> SetWriter
//	merged signatures --/     (path by path)  (content, signature, delta)
//
// The walk and the state that the chain's signatures tell are read abreast, path by
// path (duplicity-format.md §4.2). What changed becomes a task: a goroutine reads
// the file once, and makes of it its content or the delta against the old signature,
// and the new signature. The tasks' results are written in path order. Memory is
// bounded in bytes: a task is begun only when the budget has room for what it may
// hold, and a large file streams through a fixed number of buffers.
//
// Nothing about a single file ends a backup. A file that cannot be read, vanished or
// changed while it was read is told to Options.Warn and counted.
package backup

// Package backup makes a set out of a source tree: all of it, or what changed since
// the chain's newest set.
//
//	walk of the source --\
//	                      +-- collate --> readers --> in order --> SetWriter
//	merged signatures --/     (path by path)  (content, signature, delta)
//	or the index
//
// The walk and the state that the chain's signatures tell are read abreast, path by
// path (duplicity-format.md §4.2). What changed becomes a task: a goroutine reads
// the file once, and makes of it its content or the delta against the old signature,
// and the new signature. The tasks' results are written in path order. Memory is
// bounded in bytes: a task is begun only when the budget has room for what it may
// hold, and a large file streams through a fixed number of buffers.
//
// # Trouble with single files
//
// Nothing about a single file ends a backup, unless it is the source itself.
//
//   - What cannot be read stays as it was in the last backup, with all that is below
//     it. Where something of another type was then, the path is deleted.
//   - What vanishes while the backup runs counts as deleted.
//   - A small file that changes while it is read is read again. If it goes on
//     changing, or if it is a large one, what was read is stored.
//   - Of a large file that becomes unreadable half-way, what was read is stored.
//
// The first and the last two are told to Options.Warn and counted. A file that is
// stored so gets another time in the signatures than in the volumes, which makes the
// next backup, ours or duplicity's, read it again.
//
// What is compared of a file is what signatures keep, and its size and the fraction of
// its time where Options.Last knows them. Where it does not a file that is written twice
// within one second, with a backup of it in between, is taken for unchanged by the next
// one, as it is by duplicity.
//
// # Other writers
//
// Before the manifest is put the store is listed once more: a set that somebody else
// has committed meanwhile, and beside which this one has no place, is ErrRaced.
package backup

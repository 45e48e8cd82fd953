// Package extent is the algebra by which the bytes of one version of a file are
// found in the versions before it. It is pure: no archive and no file is touched.
//
// An incremental stores a file as a delta: literal bytes, and copies from the
// version before. Extraction reads versions from the newest to the oldest. What is
// still missing of the target is a list of demands on the version to be read next:
// bytes [From, From+Len) of it belong at To in the target. A Resolver takes the
// demands on one version and that version's ops in output order; literals serve
// demands, copies turn them into demands on the next older version. The whole file
// is the first demand, so every byte of the target is demanded, and written,
// exactly once.
package extent

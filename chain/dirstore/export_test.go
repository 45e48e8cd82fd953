package dirstore

// LinkAbsent renames from to to in the directory dir as on file systems without
// RENAME_NOREPLACE.
var LinkAbsent = linkAbsent

// OpError exposes the classification of errors.
var OpError = opError

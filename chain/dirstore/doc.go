// Package dirstore is a store.Store in one directory of a local or mounted file
// system: an object is a regular file of that name, as duplicity's file:// backend
// has it (duplicity-format.md §9.2).
//
// A Put writes a file with a temporary name beside its target, syncs it, renames it
// and syncs the directory. So an object is whole or absent at every instant, a power
// cut included, and a killed Put leaves at most a temporary file, which is not an
// object and which Store shows as store.Remains. Files are made with mode 0600,
// directories with 0700: backups hold everything that the machine keeps secret.
//
// Subdirectories, symbolic links and other things that are no regular files are not
// objects: nothing here follows, lists, reads or removes them. A Put does replace a
// link or a pipe of its object's name.
//
// The directory is held open and everything is done relative to it: if it is moved,
// the store moves along, and if another file system is mounted over it, the store
// goes on with what it opened.
package dirstore

package treetest

import (
	"crypto/sha256"
	"slices"

	"hindsight/chain/difftar"
)

// Type is the file type of an Entry. The values are those of the golden
// repositories' records.
type Type string

// The file types that a record can hold.
const (
	TypeFile    Type = "file"
	TypeDir     Type = "dir"
	TypeSymlink Type = "symlink"
	TypeFifo    Type = "fifo"
	TypeSocket  Type = "socket"
	TypeChar    Type = "char"
	TypeBlock   Type = "block"
)

// Entry is the record of one path of a tree.
type Entry struct {
	Path       string // raw bytes, components joined by "/"; the root is ""
	Type       Type
	Mode       uint32 // permission bits with setuid, setgid and sticky: 0..07777
	UID, GID   int64
	MTime      int64             // Unix seconds, rounded down; may be negative
	MTimeNanos int64             // 0..999999999 within that second; 0 in golden records
	Size       int64             // bytes, of a regular file
	SHA256     [sha256.Size]byte // of a regular file's content
	Target     string            // of a symlink, raw bytes
	Major      uint32            // of a device
	Minor      uint32
}

// Tree is the record of a tree in the order of [difftar.Compare], a parent before
// its children. The first entry is the root, unless the tree is empty.
type Tree []Entry

// Lookup returns the entry of a path.
func (t Tree) Lookup(path string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(t, path, func(e Entry, path string) int {
		return difftar.Compare(e.Path, path)
	})
	if !ok {
		return Entry{}, false
	}
	return t[i], true
}

// Sub is the part of the tree at and below path, with path as its root: what a
// restore of that path alone should leave.
func (t Tree) Sub(path string) Tree {
	var sub Tree
	for _, e := range t {
		if !difftar.Within(e.Path, path) {
			continue
		}
		if path != "" {
			e.Path = e.Path[min(len(path)+1, len(e.Path)):]
		}
		sub = append(sub, e)
	}
	return sub
}

// Without is the tree less the entries that drop says true of.
func (t Tree) Without(drop func(Entry) bool) Tree {
	return slices.DeleteFunc(slices.Clone(t), drop)
}

// Count is the number of entries of one type.
func (t Tree) Count(typ Type) int {
	n := 0
	for _, e := range t {
		if e.Type == typ {
			n++
		}
	}
	return n
}

// Bytes is the sum of the sizes of the regular files.
func (t Tree) Bytes() int64 {
	var n int64
	for _, e := range t {
		n += e.Size
	}
	return n
}

// sortTree puts entries into the order of difftar.Compare.
func sortTree(t Tree) {
	slices.SortFunc(t, func(a, b Entry) int { return difftar.Compare(a.Path, b.Path) })
}

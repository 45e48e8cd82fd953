package index

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ID is a path of a chain. It stays the same in all snapshots of the chain and in
// all generations of the index.
type ID uint64

const (
	// Root is the tree's root.
	Root ID = 1
	// firstID is the first that other paths get: numbers below it are free for the
	// "." and ".." of a directory listing, whose positions are IDs.
	firstID ID = 16
	// maxID is the last: an ID has 40 bits.
	maxID ID = 1<<idBits - 1

	idBits = 40
	// MaxNumber is the highest number of a snapshot. There are never more in the life
	// of an index.
	MaxNumber = 1<<22 - 1
	// MaxName is the longest name in bytes: the kernel takes no longer ones from a
	// file system in user space. An entry with a longer one is left out.
	MaxName = 1024
)

// Node says which path of which snapshot is meant in one number: the snapshot's
// number in the bits 40 to 61, the path in those below. It is never below 1<<40, and
// its two highest bits are 0.
func Node(number uint32, id ID) uint64 { return uint64(number)<<idBits | uint64(id) }

// SplitNode takes a node apart. Numbers that Node does not make give a snapshot or a
// path that does not exist.
func SplitNode(node uint64) (number uint32, id ID) {
	return uint32(node >> idBits), ID(node) & maxID
}

// The kinds of keys. All numbers in keys are big-endian, so that keys sort by them.
//
//	'd' chain:4 parent:5 name         dirent and inode, versioned
//	'i' chain:4 id:5                  parent:5 name
//	'l' chain:4 link:8 id:5           a name that is, or was, one of several of its inode
//	'a' chain:4 id:5 chunk:2          extended attributes, versioned
//	'x' chain:4 id:5 chunk:2          extents, versioned
//	'v' set:4 volume:4                a volume's object
//	't' set:4 volume:4 chunk:2        its block table
const (
	direntKind = 'd'
	parentKind = 'i'
	linkKind   = 'l'
	xattrKind  = 'a'
	extentKind = 'x'
	volumeKind = 'v'
	tableKind  = 't'
)

// maxKey is the longest key.
const maxKey = 1 + 4 + 5 + MaxName

var errKey = errors.New("malformed key")

func appendID(b []byte, id ID) []byte {
	return append(b, byte(id>>32), byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func getID(b []byte) ID {
	return ID(b[0])<<32 | ID(b[1])<<24 | ID(b[2])<<16 | ID(b[3])<<8 | ID(b[4])
}

func appendChainKey(b []byte, kind byte, chain uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, kind), chain)
}

// appendDirent is the key of name in the directory parent. With no name it is the
// prefix of all of them.
func appendDirent[T ~string | ~[]byte](b []byte, chain uint32, parent ID, name T) []byte {
	return append(appendID(appendChainKey(b, direntKind, chain), parent), name...)
}

func appendParent(b []byte, chain uint32, id ID) []byte {
	return appendID(appendChainKey(b, parentKind, chain), id)
}

// appendLink is the key of a name of the inode link. Without id it is the prefix of
// all of them.
func appendLink(b []byte, chain uint32, link uint64, id ID) []byte {
	b = binary.BigEndian.AppendUint64(appendChainKey(b, linkKind, chain), link)
	if id == 0 {
		return b
	}
	return appendID(b, id)
}

// appendLarge is the key of a large value, less the number of its chunk.
func appendLarge(b []byte, kind byte, chain uint32, id ID) []byte {
	return appendID(appendChainKey(b, kind, chain), id)
}

// appendVolume is a key of a volume; that of its table lacks the number of the chunk.
func appendVolume(b []byte, kind byte, set, volume uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(append(b, kind), set), volume)
}

// direntKey is a 'd' key taken apart. name shares the key's memory.
type direntKey struct {
	chain  uint32
	parent ID
	name   []byte
}

// parseDirent takes a 'd' key apart. An empty name is that of the root, whose parent
// is 0.
func parseDirent(key []byte) (direntKey, error) {
	const head = 1 + 4 + 5
	if len(key) < head || len(key) > maxKey || key[0] != direntKind {
		return direntKey{}, fmt.Errorf("%w: dirent of %d bytes", errKey, len(key))
	}
	k := direntKey{chain: binary.BigEndian.Uint32(key[1:]), parent: getID(key[5:]), name: key[head:]}
	if (k.parent == 0) != (len(k.name) == 0) {
		return direntKey{}, fmt.Errorf("%w: name of %d bytes in directory %d", errKey, len(k.name), k.parent)
	}
	return k, nil
}

// parseParentValue takes the value of an 'i' key apart. name shares its memory.
func parseParentValue(value []byte) (parent ID, name []byte, err error) {
	if len(value) < 5 || len(value) > 5+MaxName || (getID(value) == 0) != (len(value) == 5) {
		return 0, nil, fmt.Errorf("%w: parent of %d bytes", errRecord, len(value))
	}
	return getID(value), value[5:], nil
}

// owner says whose a key is: the chain or, if bySet, the set of that number.
func owner(key []byte) (number uint32, bySet bool, err error) {
	if len(key) < 5 {
		return 0, false, fmt.Errorf("%w: %d bytes", errKey, len(key))
	}
	number = binary.BigEndian.Uint32(key[1:])
	switch key[0] {
	case direntKind, parentKind, linkKind, xattrKind, extentKind:
		return number, false, nil
	case volumeKind, tableKind:
		return number, true, nil
	}
	return 0, false, fmt.Errorf("%w: kind %q", errKey, key[0])
}

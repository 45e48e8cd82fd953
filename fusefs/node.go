package fusefs

import "hindsight/index"

// Node ids say all that there is to say about a node, so nothing is remembered of
// the nodes that the kernel knows, and Forget does nothing:
//
//	 63 62  61        40 39                   0
//	+--+--+-------------+---------------------+
//	| 0  0 |      0      |          1          |  the root of the mount
//	| 0  0 |      0      | 1<<32 | snapshot    |  a symlink to a snapshot
//	| 0  0 |  snapshot   |         path        |  a path of a snapshot (index.Node)
//	| 1  0 |  snapshot   |         path        |  the versions of that path; 0, 0: .versions
//	+--+--+-------------+---------------------+
//
// A file has the node of the oldest snapshot that shows it as it is, for all of them:
// what did not change is cached once, and diff knows the two for the same. A file with
// several names, whose number may differ between snapshots, has in each of these the
// node of one of its names. The number that stat shows is that of the node.
const (
	rootNode    = uint64(1)
	aliasNode   = uint64(1) << 32
	versionsBit = uint64(1) << 63

	pathBits = 40
	pathMask = uint64(1)<<pathBits - 1
	nodeMask = uint64(1)<<62 - 1
)

// kind says what sort of node an id is.
type kind uint8

const (
	kindRoot kind = iota
	kindAlias
	kindTree
	kindVersions
	kindNone
)

// node is a node id taken apart.
type node struct {
	kind     kind
	snapshot uint32   // of an alias, a tree, versions
	id       index.ID // of a tree, versions
}

// node takes an id apart. In a mount of a single snapshot the root is its root.
func (f *filesystem) node(id uint64) node {
	switch {
	case id == rootNode && f.single != 0:
		return node{kindTree, f.single, index.Root}
	case id == rootNode:
		return node{kind: kindRoot}
	case id < 2*aliasNode:
		return node{kind: kindAlias, snapshot: uint32(id)}
	}
	n, path := index.SplitNode(id & nodeMask)
	switch id &^ nodeMask {
	case 0:
		return node{kindTree, n, path}
	case versionsBit:
		return node{kindVersions, n, path}
	}
	return node{kind: kindNone}
}

// nodeID is the node of an entry that a snapshot shows.
func (f *filesystem) nodeID(snapshot uint32, e *index.Entry) uint64 {
	switch {
	case e.ID == index.Root && snapshot == f.single:
		return rootNode
	case e.Link != 0:
		return index.Node(snapshot, e.Link)
	case isDir(e):
		return index.Node(snapshot, e.ID)
	}
	return index.Node(e.Changed, e.ID)
}

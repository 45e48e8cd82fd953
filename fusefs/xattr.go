package fusefs

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hindsight/index"
)

// Attributes that every path of a snapshot has on top of its own. They are not
// listed, so that cp -a and rsync -X copy what was backed up and nothing else.
const (
	xattrPrefix  = "user.hindsight."
	xattrSet     = xattrPrefix + "set"        // that stored it as it is
	xattrChanged = xattrPrefix + "changed-at" // the time of that set
	xattrVolume  = xattrPrefix + "volume"     // where its bytes are: TIME/NUMBER of each volume
)

// GetXAttr reads one attribute.
func (f *filesystem) GetXAttr(_ <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	value, err := f.xattr(h.NodeId, name)
	if err != nil {
		return 0, f.status("read attribute", h.NodeId, err)
	}
	return deliver(dest, value)
}

// ListXAttr lists the attributes that were backed up.
func (f *filesystem) ListXAttr(_ <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	list, err := f.xattrs(h.NodeId)
	if err != nil {
		return 0, f.status("list attributes", h.NodeId, err)
	}
	var names []byte
	for _, x := range list {
		names = append(append(names, x.Name...), 0)
	}
	return deliver(dest, names)
}

// deliver hands out a value, or how long it is where it does not fit.
func deliver(dest, value []byte) (uint32, fuse.Status) {
	if len(dest) < len(value) {
		return uint32(len(value)), fuse.ERANGE
	}
	return uint32(copy(dest, value)), fuse.OK
}

// xattrs are the attributes that were backed up. ls asks for several of each file that
// mostly has none.
func (f *filesystem) xattrs(id uint64) ([]index.Xattr, error) {
	n := f.node(id)
	if n.kind != kindTree || f.bare.has(id) {
		return nil, nil
	}
	e, err := f.trees.Entry(n.snapshot, n.id)
	if err != nil {
		return nil, err
	}
	if !e.HasXattrs {
		f.bare.add(id)
		return nil, nil
	}
	return f.trees.Xattrs(n.snapshot, n.id)
}

func (f *filesystem) xattr(id uint64, name string) ([]byte, error) {
	if n := f.node(id); n.kind == kindTree && strings.HasPrefix(name, xattrPrefix) {
		return f.origin(n, name)
	}
	list, err := f.xattrs(id)
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		if x.Name == name {
			return x.Value, nil
		}
	}
	return nil, errNoAttribute
}

// origin is an attribute that says where a path comes from.
func (f *filesystem) origin(n node, name string) ([]byte, error) {
	e, err := f.trees.Entry(n.snapshot, n.id)
	if err != nil {
		return nil, err
	}
	set := f.roster.Load().byNumber[e.Changed]
	switch {
	case set == nil: // a directory that no set describes
	case name == xattrSet:
		return []byte(set.Set), nil
	case name == xattrChanged:
		return []byte(set.Time.Time().Format(time.RFC3339)), nil
	case name == xattrVolume && e.Size != 0 && fileTypes[e.Type] == fuse.S_IFREG:
		return f.volumes(n)
	}
	return nil, errNoAttribute
}

// maxXattr is how long the kernel lets an attribute be, in bytes.
const maxXattr = 64 << 10

func (f *filesystem) volumes(n node) ([]byte, error) {
	list, err := f.trees.Volumes(n.snapshot, n.id)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for i, v := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%v/%d", v.Time, v.Number)
		if b.Len() > maxXattr-64 {
			break
		}
	}
	return b.Bytes(), nil
}

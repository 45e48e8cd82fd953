package fusefs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hindsight/index"
)

// filesystem answers the kernel. All its methods may be called concurrently.
type filesystem struct {
	readOnly
	trees   Trees
	opt     Options
	owner   fuse.Owner // of the directories that are ours
	single  uint32     // the snapshot at the root; 0: the root lists all
	roster  atomic.Pointer[roster]
	aliases aliases
	files   *files
	pusher  pusher
	ends    ends
	bare    nodes // that are known to have no extended attributes
	log     *slog.Logger
	repeat  repeats
}

func (f *filesystem) String() string { return name }

// Lookup finds a name in a directory. What a snapshot does not have it never will.
func (f *filesystem) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	n := f.node(h.NodeId)
	switch n.kind {
	case kindRoot:
		return f.lookupRoot(name, out)
	case kindVersions:
		return f.lookupVersion(n, name, out)
	case kindTree:
		e, err := f.trees.Lookup(n.snapshot, n.id, name)
		if errors.Is(err, index.ErrNotExist) {
			out.EntryValid = forever // without a node: there is nothing
			return fuse.OK
		}
		if err == nil {
			f.entry(n.snapshot, &e, out)
		}
		return f.status("look up", h.NodeId, err)
	}
	return fuse.ENOTDIR
}

// brief is how long the kernel may believe what changes with time, in seconds: what a
// symlink by time stands for, and the attributes of our own directories. Each path is
// looked up by way of them. Of new snapshots it is told at once.
const brief = 1

// lookupRoot finds a dated directory or what stands for one. Symlinks are asked for
// anew when they are old, as now and latest move on.
func (f *filesystem) lookupRoot(name string, out *fuse.EntryOut) fuse.Status {
	if d := f.roster.Load().byName[name]; d != nil {
		e, err := f.trees.Entry(d.Number, index.Root)
		if err == nil {
			f.entry(d.Number, &e, out)
		}
		return f.status("look up", index.Node(d.Number, index.Root), err)
	}
	if name == versionsName {
		out.NodeId, out.EntryValid, out.AttrValid = versionsBit, forever, brief
		f.dirAttributes(out.NodeId, &out.Attr)
		return fuse.OK
	}
	d, err := f.resolve(name)
	if err != nil {
		return fuse.ENOENT
	}
	out.NodeId = aliasNode | uint64(d.Number)
	out.AttrValid = forever
	if f.aliases.add(name) {
		out.EntryValid = brief
	}
	f.aliasAttributes(d, &out.Attr)
	return fuse.OK
}

// Forget has nothing to forget: see node.
func (f *filesystem) Forget(nodeid, nlookup uint64) {}

// GetAttr is where a size is asked for that may have to be found out first.
func (f *filesystem) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := f.node(in.NodeId)
	switch n.kind {
	case kindRoot, kindVersions:
		out.AttrValid = brief
		f.dirAttributes(in.NodeId, &out.Attr)
		return fuse.OK
	case kindAlias:
		d := f.roster.Load().byNumber[n.snapshot]
		if d == nil {
			return fuse.Status(estale)
		}
		out.AttrValid = forever
		f.aliasAttributes(d, &out.Attr)
		return fuse.OK
	case kindTree:
		e, err := f.stat(cancel, n)
		if err == nil {
			out.AttrValid = forever
			f.attributes(n.snapshot, &e, &out.Attr)
		}
		return f.status("stat", in.NodeId, err)
	}
	return fuse.ENOENT
}

// stat is an entry with its size.
func (f *filesystem) stat(cancel <-chan struct{}, n node) (index.Entry, error) {
	e, err := f.trees.Entry(n.snapshot, n.id)
	if err != nil || known(&e) {
		return e, err
	}
	r := newRequest(cancel)
	defer r.end()
	return f.trees.Stat(r, n.snapshot, n.id)
}

// Readlink says where a symlink leads to.
func (f *filesystem) Readlink(cancel <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	n := f.node(h.NodeId)
	switch n.kind {
	case kindAlias:
		if d := f.roster.Load().byNumber[n.snapshot]; d != nil {
			return []byte(d.name), fuse.OK
		}
		return nil, fuse.Status(estale)
	case kindTree:
		e, err := f.trees.Entry(n.snapshot, n.id)
		return []byte(e.Linkname), f.status("read link", h.NodeId, err)
	}
	return nil, fuse.EINVAL
}

// Access is asked for only where the kernel does not check permissions itself: then
// everything may be read. It knows itself that nothing may be written.
func (f *filesystem) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

// Open says that opening is needless: the kernel opens files by itself from then on,
// keeps what it has of them, and saves three questions for each.
func (f *filesystem) Open(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status {
	return fuse.ENOSYS
}

// Flush says that there is nothing to do at a close, and need not be asked for again.
func (f *filesystem) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

// Read reads a part of a file. Less than was asked for would mean that the file ends
// there: only its end may do that.
func (f *filesystem) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n := f.node(in.NodeId)
	if n.kind != kindTree {
		return nil, fuse.EINVAL
	}
	r := newRequest(cancel)
	defer r.end()
	got, err := f.read(r, n, buf[:min(int(in.Size), len(buf))], int64(in.Offset))
	if err != nil {
		return nil, f.status("read", in.NodeId, err)
	}
	if 0 < got && got < int(in.Size) { // the file ends here
		f.pusher.push(f, in.NodeId)
	}
	return fuse.ReadResultData(buf[:got]), fuse.OK
}

func (f *filesystem) read(ctx context.Context, n node, buf []byte, off int64) (int, error) {
	file, err := f.files.open(ctx, n)
	if err != nil {
		return 0, err
	}
	defer f.files.release(file)
	got, err := file.ReadAt(ctx, buf, off)
	if err == io.EOF {
		err = nil
	}
	return got, err
}

// StatFs counts what is below a node: one snapshot, or all.
func (f *filesystem) StatFs(_ <-chan struct{}, h *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	r := f.roster.Load()
	list := r.list
	if n := f.node(h.NodeId); n.kind == kindTree && r.byNumber[n.snapshot] != nil {
		list = []*dated{r.byNumber[n.snapshot]}
	}
	var bytes, entries uint64
	for _, s := range list {
		bytes += uint64(s.Bytes)
		entries += uint64(s.Entries)
	}
	*out = fuse.StatfsOut{
		Bsize: blockSize, Frsize: blockSize, NameLen: 255,
		Blocks: (bytes + blockSize - 1) / blockSize, Files: entries,
	}
	return fuse.OK
}

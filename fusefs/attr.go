package fusefs

import (
	"math"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hindsight/chain/difftar"
	"hindsight/index"
)

// forever is how long the kernel may believe what never changes: snapshots are
// immutable. In seconds, some thirty years.
const forever = 1 << 30

// blockSize is what statfs counts in, in bytes; stat counts in sectors of 512.
const (
	blockSize  = 4096
	sectorSize = 512
)

// overflowID stands for an owner that does not fit into 32 bits, as the kernel has it.
const overflowID = 65534

func isDir(e *index.Entry) bool { return e.Type == difftar.Directory }

// known reports whether all attributes of an entry are.
func known(e *index.Entry) bool { return e.Size >= 0 }

// fileTypes are the bits of st_mode for each type.
var fileTypes = [...]uint32{
	difftar.Regular:     syscall.S_IFREG,
	difftar.Directory:   syscall.S_IFDIR,
	difftar.Symlink:     syscall.S_IFLNK,
	difftar.CharDevice:  syscall.S_IFCHR,
	difftar.BlockDevice: syscall.S_IFBLK,
	difftar.Fifo:        syscall.S_IFIFO,
}

// mode is st_mode of an entry.
func mode(e *index.Entry) uint32 {
	if int(e.Type) >= len(fileTypes) {
		return syscall.S_IFREG
	}
	return fileTypes[e.Type] | e.Mode&0o7777
}

// attributes fills in what stat shows of an entry. Directories have one link, which
// to find and its like means that nobody counted them.
func (f *filesystem) attributes(snapshot uint32, e *index.Entry, a *fuse.Attr) {
	size := uint64(max(e.Size, 0))
	*a = fuse.Attr{
		Ino: f.nodeID(snapshot, e), Size: size, Blocks: (size + sectorSize - 1) / sectorSize, Blksize: blockSize,
		Mode: mode(e), Nlink: max(e.Links, 1), Rdev: device(e),
		Owner: fuse.Owner{Uid: ownerID(e.UID), Gid: ownerID(e.GID)},
		Mtime: uint64(e.Sec), Mtimensec: uint32(e.Nsec),
	}
	if isDir(e) {
		a.Size, a.Blocks = blockSize, 0
	}
	if f.opt.OwnerRoot {
		a.Owner = fuse.Owner{}
	}
	a.Atime, a.Atimensec = a.Mtime, a.Mtimensec
	a.Ctime, a.Ctimensec = a.Mtime, a.Mtimensec
	if s, ok := f.roster.Load().byNumber[e.Changed]; ok { // when this was first seen as it is
		a.Ctime, a.Ctimensec = uint64(s.Time), 0
	}
}

func ownerID(id int64) uint32 {
	if id < 0 || id > math.MaxUint32-1 {
		return overflowID
	}
	return uint32(id)
}

// device is st_rdev in the kernel's spelling, which has 12 bits for the major number
// and 20 for the minor.
func device(e *index.Entry) uint32 {
	if e.Type != difftar.CharDevice && e.Type != difftar.BlockDevice {
		return 0
	}
	return e.Minor&0xff | e.Major&0xfff<<8 | e.Minor&0xfff00<<12
}

// entry answers a lookup with what a snapshot shows. Without the size the attributes
// are good for nothing but the type: the kernel asks again before it shows them.
func (f *filesystem) entry(snapshot uint32, e *index.Entry, out *fuse.EntryOut) {
	out.NodeId = f.nodeID(snapshot, e)
	out.EntryValid = forever
	if known(e) {
		out.AttrValid = forever
	}
	if !e.HasXattrs {
		f.bare.add(out.NodeId)
	}
	f.attributes(snapshot, e, &out.Attr)
}

// dirAttributes are those of a directory of our own: the root and what is below
// .versions. It changes when the list of snapshots does.
func (f *filesystem) dirAttributes(ino uint64, a *fuse.Attr) {
	r := f.roster.Load()
	*a = fuse.Attr{
		Ino: ino, Size: blockSize, Blksize: blockSize, Mode: syscall.S_IFDIR | 0o555, Nlink: 1, Owner: f.owner,
	}
	a.SetTimes(&r.changed, &r.changed, &r.changed)
}

// aliasAttributes are those of a symlink to a snapshot.
func (f *filesystem) aliasAttributes(s *dated, a *fuse.Attr) {
	*a = fuse.Attr{
		Ino: aliasNode | uint64(s.Number), Size: uint64(len(s.name)), Blksize: blockSize,
		Mode: syscall.S_IFLNK | 0o777, Nlink: 1, Owner: f.owner,
	}
	at := s.Time.Time()
	a.SetTimes(&at, &at, &at)
}

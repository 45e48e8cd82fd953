package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/zeebo/blake3"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/toc"
)

// ingest takes in the entries of one set, in path order. What is written is read again
// only as the tree before the next set.
type ingest struct {
	old    *view // the tree before the set; nil for a full
	w      writer
	chain  *chainMeta
	set    *setMeta
	users  *owners
	groups *owners
	log    *slog.Logger

	dirs  []dir // the root and those on the way to the last path
	last  string
	begun bool
	key   []byte
	value []byte
}

// dir is a directory that entries may be in.
type dir struct {
	path  string
	id    ID
	fresh bool // its ID is new, so nothing was ever in it
}

var (
	// errNowhere says that a path to be deleted is not there.
	errNowhere = errors.New("index: no such path before this set")
	errTooLong = errors.New("index: name too long")
)

// add takes in the next entry. What is wrong with the set itself is an ErrFormat.
func (in *ingest) add(e *toc.Entry) error {
	if in.begun && difftar.Compare(e.Path, in.last) <= 0 {
		return fmt.Errorf("%w: %q comes after %q", difftar.ErrFormat, e.Path, in.last)
	}
	in.last, in.begun = e.Path, true
	err := in.place(e)
	switch err {
	case errNowhere:
		return nil
	case errTooLong:
		in.log.Warn("a path is left out of the index: a name in it is too long", "path", fmt.Sprintf("%.100q", e.Path))
		return nil
	}
	return err
}

// place finds the directory that an entry belongs in.
func (in *ingest) place(e *toc.Entry) error {
	parent, name := dir{fresh: in.old == nil}, e.Path
	if e.Path != "" {
		above := ""
		if i := strings.LastIndexByte(e.Path, '/'); i >= 0 {
			above, name = e.Path[:i], e.Path[i+1:]
		}
		var err error
		if parent, err = in.directory(above, e.Kind == difftar.Deleted); err != nil {
			return err
		}
	}
	return in.put(parent, name, e)
}

// directory finds the directory at a path. Where there is none it is made, as implied
// by what is below it, unless it is only to be looked at.
func (in *ingest) directory(path string, look bool) (dir, error) {
	for len(in.dirs) > 0 && !difftar.Within(path, in.dirs[len(in.dirs)-1].path) {
		in.dirs = in.dirs[:len(in.dirs)-1]
	}
	if len(in.dirs) == 0 {
		if err := in.descend(dir{fresh: in.old == nil}, "", "", look); err != nil {
			return dir{}, err
		}
	}
	for {
		at := in.dirs[len(in.dirs)-1]
		if at.path == path {
			return at, nil
		}
		rest := strings.TrimPrefix(path[len(at.path):], "/")
		name, _, _ := strings.Cut(rest, "/")
		if err := in.descend(at, name, path[:len(path)-len(rest)+len(name)], look); err != nil {
			return dir{}, err
		}
	}
}

// descend puts the directory name of parent, whose path is given, on top of dirs.
func (in *ingest) descend(parent dir, name, path string, look bool) error {
	var was stored
	there, err := in.before(parent, name, &was)
	if err != nil {
		return err
	}
	d := dir{path: path, id: was.id}
	if !there || was.deleted || was.Type != difftar.Directory {
		if look {
			return errNowhere
		}
		r := record{id: was.id, implied: true}
		r.Type, r.Mode = difftar.Directory, 0o755
		if d.fresh, err = in.write(parent, name, &r, there, &was); err != nil {
			return err
		}
		d.id = r.id
	}
	in.dirs = append(in.dirs, d)
	return nil
}

// before finds what was there before the set, deleted or not.
func (in *ingest) before(parent dir, name string, was *stored) (bool, error) {
	if len(name) > MaxName {
		return false, errTooLong
	}
	if parent.fresh {
		return false, nil
	}
	switch err := in.old.child(parent.id, name, was); {
	case err == nil:
		return true, nil
	case err == ErrNotExist:
		return false, nil
	default:
		return false, err
	}
}

// put writes what the set says of a path.
func (in *ingest) put(parent dir, name string, e *toc.Entry) error {
	var was stored
	there, err := in.before(parent, name, &was)
	if err != nil {
		return err
	}
	r := record{id: was.id}
	if e.Kind == difftar.Deleted {
		if !there || was.deleted {
			return nil
		}
		r.deleted = true
		_, err := in.write(parent, name, &r, there, &was)
		return err
	}
	r.Meta, r.Sec, r.Nsec = e.Meta, e.Sec, e.Nsec
	r.xattrs = len(e.Xattrs) > 0
	var extents []extent.Extent
	switch e.Type {
	case difftar.Regular:
		extents = in.content(e, there, &was, &r)
	case difftar.Symlink:
		r.Size = int64(len(e.Linkname))
	}
	r.link = linkDigest(e)
	fresh, err := in.write(parent, name, &r, there, &was)
	if err != nil {
		return err
	}
	if err := in.extras(e, &r, extents); err != nil {
		return err
	}
	if e.Type == difftar.Directory {
		in.dirs = append(in.dirs[:in.depth(e.Path)], dir{path: e.Path, id: r.id, fresh: fresh})
	}
	return nil
}

// depth is how many of dirs are above a path.
func (in *ingest) depth(path string) int {
	n := len(in.dirs)
	for n > 0 && (in.dirs[n-1].path == path || !difftar.Within(path, in.dirs[n-1].path)) {
		n--
	}
	return n
}

// write writes a dirent; a path that never was there gets its ID. was is what was there
// before.
func (in *ingest) write(parent dir, name string, r *record, there bool, was *stored) (fresh bool, err error) {
	if !there {
		fresh = true
		if err := in.number(parent.id, name, r); err != nil {
			return false, err
		}
	}
	r.user, r.group = in.users.number(r.Uname), in.groups.number(r.Gname)
	in.key = appendDirent(in.key[:0], in.chain.Number, parent.id, name)
	in.value = appendRecord(in.value[:0], in.set.Number, r)
	if err := in.set1(in.key, in.value); err != nil {
		return false, err
	}
	if r.link != 0 {
		in.key = appendLink(in.key[:0], in.chain.Number, r.link, r.id)
		if err := in.set1(in.key, nil); err != nil {
			return false, err
		}
	}
	if there && !was.deleted {
		in.set.Totals.count(&was.inode, -1)
	}
	if !r.deleted {
		in.set.Totals.count(&r.inode, 1)
	}
	in.set.Records++
	return fresh, nil
}

// set1 writes a record. badger keeps what it is given until it is written.
func (in *ingest) set1(key, value []byte) error {
	return in.w.Set(append([]byte(nil), key...), append([]byte(nil), value...))
}

// number gives a path its ID.
func (in *ingest) number(parent ID, name string, r *record) error {
	if name == "" {
		r.id = Root
		return nil
	}
	if r.id = in.chain.NextID; r.id > maxID {
		return errors.New("the index has no more numbers for paths")
	}
	in.chain.NextID++
	in.key = appendParent(in.key[:0], in.chain.Number, r.id)
	in.value = append(appendID(in.value[:0], parent), name...)
	return in.set1(in.key, in.value)
}

// content says what a regular file's size and extents are, as far as they are known.
func (in *ingest) content(e *toc.Entry, there bool, was *stored, r *record) []extent.Extent {
	r.Size, r.HasHash, r.Hash = e.Size, e.HasHash, e.Hash
	r.sigOff, r.sigLen, r.shift = e.SigOffset, e.SigLen, e.SigShift
	extents, known := in.extents(e, there, was)
	switch {
	case known && r.Size < 0:
		r.Size = extent.Size(extents)
	case known && r.Size != extent.Size(extents):
		in.log.Warn("the portable index gives a file two sizes", "path", e.Path)
		known = false
	}
	switch {
	case !known && r.Size != 0:
		r.extents = extentsUnknown
		return nil
	case len(extents) == 0:
		return nil
	}
	if b := appendExtents(in.value[:0], in.set.Number, extents); len(b) <= maxInline {
		r.extents, r.inline = extentsInline, extents
	} else {
		r.extents = extentsLarge
	}
	return extents
}

// extents finds where a version's content lies; known is false if that takes a scan.
func (in *ingest) extents(e *toc.Entry, there bool, was *stored) (extents []extent.Extent, known bool) {
	stream := make([]extent.Extent, len(e.Stream))
	for i, s := range e.Stream {
		s.Set = in.set.Number
		stream[i] = s
	}
	if e.Kind == difftar.Snapshot {
		return stream, e.Size >= 0
	}
	if e.OpsUnknown {
		return nil, false
	}
	var base []extent.Extent
	if there && was.Type == difftar.Regular {
		var err error
		if base, err = in.old.extents(was); err != nil && !errors.Is(err, ErrUnscanned) {
			in.log.Warn("the index cannot say where a file lies", "path", e.Path, "reason", err)
			return nil, false
		}
	}
	extents, err := extent.Compose(base, stream, e.Ops)
	if err != nil && was.extents != extentsUnknown {
		in.log.Warn("a difference does not fit what it is based on", "path", e.Path, "reason", err)
	}
	return extents, err == nil
}

// extras writes what has records of its own.
func (in *ingest) extras(e *toc.Entry, r *record, extents []extent.Extent) error {
	if r.extents == extentsLarge {
		key := appendLarge(nil, extentKind, in.chain.Number, r.id)
		if err := putLarge(in.w, key, appendExtents(nil, in.set.Number, extents)); err != nil {
			return err
		}
	}
	if !r.xattrs {
		return nil
	}
	return putLarge(in.w, appendLarge(nil, xattrKind, in.chain.Number, r.id), appendXattrs(nil, e.Xattrs))
}

// linkDigest tells hard links from other files. That of one name must be that of all,
// and nothing else may have it: device numbers change, and inodes are used again. So
// all that links share goes into it.
func linkDigest(e *toc.Entry) uint64 {
	if e.Link == (toc.Link{}) || e.Type == difftar.Directory || e.Type == difftar.Regular && !e.HasHash {
		return 0
	}
	b := binary.AppendUvarint(nil, e.Link.Dev)
	b = binary.AppendUvarint(b, e.Link.Ino)
	b = fmt.Appendf(b, "%d %d %d %d %d %d %d %d %d %x", e.Type, e.Mode, e.UID, e.GID, e.Sec, e.Nsec, e.Major, e.Minor, e.Size, e.Hash)
	sum := blake3.Sum256(appendText(b, e.Linkname))
	return max(1, binary.LittleEndian.Uint64(sum[:]))
}

// count adds an object to the totals, or takes it away.
func (t *Totals) count(o *inode, n int64) {
	switch o.Type {
	case difftar.Regular:
		t.Files += n
		if o.Size < 0 {
			t.Unknown += n
		} else {
			t.Bytes += n * o.Size
		}
	case difftar.Directory:
		t.Dirs += n
	default:
		t.Others += n
	}
}

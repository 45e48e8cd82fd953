package extract

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/toc"
)

// Extras says what is brought back that archives have no room for and the portable
// indexes of sets know. A set without one, or with one that cannot be used, is
// extracted without; the log says so.
type Extras struct {
	Times bool // of modification, to the nanosecond and before 1970
	// Hashes compares the content of small files, which are whole in one entry, with their
	// hashes. That costs 5 % of a restore; of all files it would be 10 %, and the hash of
	// the volume is checked anyway. One that is not so is lost.
	Hashes bool
	// Sink takes the rest; nil: nothing does.
	Sink   ExtraSink
	Xattrs bool // extended attributes but ACLs
	ACLs   bool
	Links  bool // hard links
}

func (x *Extras) any() bool {
	return x.Times || x.Hashes || x.Sink != nil && (x.Xattrs || x.ACLs || x.Links)
}

// ExtraSink takes, from one goroutine, what is done when all files have their names and
// directories do not have their metadata yet. A path may be missing: it was lost. Errors
// end the run.
type ExtraSink interface {
	// SetXattrs sets attributes of an object of that mode.
	SetXattrs(path string, mode uint32, attrs []toc.Xattr) error
	// Link makes path another name of the file that has the name target; both are whole
	// and the same.
	Link(path, target string) error
}

// extra is what an index knows of one path.
type extra struct {
	sec    int64
	nsec   int32
	xattrs []toc.Xattr
	link   toc.Link
	hashed bool // size and hash are known
	size   int64
	hash   [32]byte
}

// held is about how many bytes it takes.
func (x *extra) held() (n int64) {
	if x == nil {
		return 0
	}
	for _, a := range x.xattrs {
		n += int64(len(a.Name)+len(a.Value)) + 40
	}
	return n + 120
}

const (
	extraXattrs = 1 << iota
	extraLink
	extraHash
)

func (x *extra) append(b []byte) []byte {
	var flags byte
	if len(x.xattrs) > 0 {
		flags |= extraXattrs
	}
	if x.link != (toc.Link{}) {
		flags |= extraLink
	}
	if x.hashed {
		flags |= extraHash
	}
	b = binary.AppendVarint(append(b, flags), x.sec)
	b = binary.AppendUvarint(b, uint64(x.nsec))
	if flags&extraXattrs != 0 {
		b = binary.AppendUvarint(b, uint64(len(x.xattrs)))
		for _, a := range x.xattrs {
			b = append(binary.AppendUvarint(b, uint64(len(a.Name))), a.Name...)
			b = append(binary.AppendUvarint(b, uint64(len(a.Value))), a.Value...)
		}
	}
	if flags&extraLink != 0 {
		b = binary.AppendUvarint(b, x.link.Dev)
		b = binary.AppendUvarint(b, x.link.Ino)
	}
	if x.hashed {
		b = binary.AppendUvarint(b, uint64(x.size))
		b = append(b, x.hash[:]...)
	}
	return b
}

func (d *decoder) extra() (x extra) {
	flags := d.byte()
	x.sec, x.nsec = d.varint(), int32(d.uvarint())
	if flags&extraXattrs != 0 {
		for n := min(d.uvarint(), uint64(len(d.b))); n > 0; n-- {
			x.xattrs = append(x.xattrs, toc.Xattr{Name: d.text(), Value: []byte(d.text())})
		}
	}
	if flags&extraLink != 0 {
		x.link = toc.Link{Dev: d.uvarint(), Ino: d.uvarint()}
	}
	if flags&extraHash != 0 {
		x.hashed = true
		x.size = int64(d.uvarint())
		d.b = d.b[copy(x.hash[:], d.b):]
	}
	return x
}

// readExtras makes a run of what a set's portable index knows of its paths beside what
// the volumes say. Nil: there is no index that can be used.
func (e *engine) readExtras(ctx context.Context, p *setPlan) (*run, error) {
	r, err := e.extrasOf(ctx, p)
	switch {
	case err == nil || errors.Is(err, chain.ErrNoTOC):
		return r, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	e.Log.Info("restoring without the portable index of a set", "set", p.set.SetID.String(), "error", err)
	return nil, nil
}

func (e *engine) extrasOf(ctx context.Context, p *setPlan) (r *run, err error) {
	t, err := e.Repository.TOC(ctx, p.set, p.manifest)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	w := newRunWriter(&e.blocks)
	defer func() {
		if err != nil {
			w.abort()
		}
	}()
	var buf []byte
	for {
		en, err := t.NextEntry()
		if err == io.EOF {
			return w.finish()
		}
		if err != nil {
			return nil, err
		}
		x, worth := e.worth(en)
		if !worth {
			continue
		}
		buf = x.append(buf[:0])
		if err := w.add(en.Path, buf); err != nil {
			return nil, err
		}
	}
}

// worth is what of an entry is wanted, if anything is.
func (e *engine) worth(en *toc.Entry) (x extra, worth bool) {
	if en.Kind == difftar.Deleted || !e.Filter.Touches(en.Path, en.Path) {
		return x, false
	}
	x.sec = en.MTime
	if e.Extras.Times {
		x.sec, x.nsec = en.Sec, en.Nsec
	}
	if e.Extras.Sink != nil {
		for _, a := range en.Xattrs {
			if isACL(a.Name) && e.Extras.ACLs || !isACL(a.Name) && e.Extras.Xattrs {
				x.xattrs = append(x.xattrs, a)
			}
		}
		if e.Extras.Links && en.Type == difftar.Regular && en.HasHash {
			x.link = en.Link
		}
	}
	if (e.Extras.Hashes || x.link != toc.Link{}) && en.HasHash {
		x.hashed, x.size, x.hash = true, en.Size, en.Hash
	}
	return x, x.sec != en.MTime || x.nsec != 0 || len(x.xattrs) > 0 || x.hashed || x.link != toc.Link{}
}

func isACL(name string) bool {
	return name == "system.posix_acl_access" || name == "system.posix_acl_default"
}

// enrich gives an entry that is sighted, and wanted, its exact time, and notes what is to
// be done about it in the end and what its content must be.
func (w *volumeReader) enrich(en *difftar.Entry) error {
	if r, ok := w.vr.(*sparseReader); ok {
		x := r.current()
		w.content = promise{x.known.HasHash, x.known.Hash}
		if x.extra == nil {
			return nil
		}
		return w.errands.add(&w.blocks, en, x.extra)
	}
	if w.plan.extras == nil {
		return nil
	}
	if w.extras == nil {
		c, err := newCursor(w.plan.extras, en.Path)
		if err != nil {
			return err
		}
		w.extras = c
	}
	if err := w.extras.seek(en.Path); err != nil || !w.extras.ok || string(w.extras.path) != en.Path {
		return err
	}
	d := decoder{b: w.extras.payload}
	x := d.extra()
	if d.err != nil {
		return d.err
	}
	w.content = promise{x.hashed && w.Extras.Hashes, x.hash}
	en.MTime, en.Nanos = x.sec, x.nsec // before: names of one file are compared by metadata
	if len(x.xattrs) == 0 && x.link == (toc.Link{}) {
		return nil
	}
	return w.errands.add(&w.blocks, en, &x)
}

// errands is what is to be done when all files have their names: a list, in blocks that
// may lie in the temporary file.
type errands struct {
	mu     sync.Mutex
	buf    []byte
	blocks []block
}

// add notes a path, its metadata as sighted, and its extra.
func (l *errands) add(s *blockStore, en *difftar.Entry, x *extra) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(binary.AppendUvarint(l.buf, uint64(len(en.Path))), en.Path...)
	l.buf = x.append(appendMeta(l.buf, &en.Meta))
	if len(l.buf) < runBlockSize {
		return nil
	}
	b, err := s.put(l.buf)
	if err != nil {
		return err
	}
	l.blocks, l.buf = append(l.blocks, b), l.buf[:0]
	return nil
}

// maxLinked bounds the files with several names that are remembered at once. Of more,
// names become files of their own.
const maxLinked = 1 << 18

// firstName is the first name met of a file that has several.
type firstName struct {
	path string
	meta difftar.Meta
	size int64
	hash [32]byte
}

// runErrands does what was noted.
func (e *engine) runErrands(ctx context.Context) error {
	first := make(map[toc.Link]firstName)
	var scratch []byte
	for _, b := range append(e.errands.blocks, block{data: e.errands.buf, size: len(e.errands.buf)}) {
		data := b.data
		if data == nil && b.size > 0 {
			var err error
			if data, scratch, err = e.blocks.get(b, scratch); err != nil {
				return err
			}
		}
		for d := (decoder{b: data}); len(d.b) > 0; {
			path := d.text()
			meta := d.meta()
			x := d.extra()
			if d.err != nil {
				return d.err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			err := e.errand(first, path, &meta, &x)
			if pe := (*PathError)(nil); errors.As(err, &pe) {
				e.Log.Warn("restored without its extended attributes, or as a file of its own", "path", path, "error", pe.Err)
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *engine) errand(first map[toc.Link]firstName, path string, m *difftar.Meta, x *extra) error {
	if x.link != (toc.Link{}) {
		one, met := first[x.link]
		switch {
		case !met && len(first) < maxLinked:
			first[x.link] = firstName{path, *m, x.size, x.hash}
		case met && one.meta == *m && one.size == x.size && one.hash == x.hash:
			return e.Extras.Sink.Link(path, one.path)
		}
	}
	if len(x.xattrs) == 0 {
		return nil
	}
	return e.Extras.Sink.SetXattrs(path, m.Mode, x.xattrs)
}

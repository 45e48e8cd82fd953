package difftar

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	recordSize = 20 * blockSize // archives that have an end are padded to this
	maxOctal7  = 1<<21 - 1      // the largest number of a field of 7 octal digits
	maxOctal11 = 1<<33 - 1
)

// Writer puts an archive together. An error of the destination sticks; an entry
// that cannot be written is an error of WriteHeader, and leaves nothing.
type Writer struct {
	dst    io.Writer
	sigtar bool
	pos    int64
	left   int64 // of the entry's data
	pad    int64 // behind the entry's data
	err    error

	buf, name, records []byte // scratch space
}

// zeros pads entries and ends archives.
var zeros [2*blockSize + recordSize]byte

// NewWriter returns a Writer of a difftar.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// NewSigtarWriter returns a Writer of a sigtar, which differs in the name of the
// root (duplicity-format.md §3.3).
func NewSigtarWriter(dst io.Writer) *Writer { return &Writer{dst: dst, sigtar: true} }

// Offset is the position in the archive behind all that was written. Between
// entries it is where the next one's header begins.
func (w *Writer) Offset() int64 { return w.pos }

// WriteHeader begins an entry, whose e.Size bytes of data the caller writes next.
// A time before 1970 is stored as 0, like duplicity does; of what is Deleted only
// the path counts.
func (w *Writer) WriteHeader(e *Entry) error {
	if err := w.Flush(); err != nil {
		return err
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("write entry %.200q: %w", e.Path, err)
	}
	w.appendEntry(e)
	if err := w.write(w.buf); err != nil {
		return err
	}
	w.left, w.pad = e.Size, pad(e.Size)
	return nil
}

// check says why an entry cannot be stored so that it would be read back the same.
func (e *Entry) check() error {
	if err := CheckPath(e.Path); err != nil {
		return err
	}
	if len(e.Path) > MaxPath {
		return fmt.Errorf("path of %d bytes, longer than %d", len(e.Path), MaxPath)
	}
	switch {
	case e.Kind < Snapshot || e.Kind > Signature:
		return fmt.Errorf("entry of %v", e.Kind)
	case e.Size < 0 || e.Size > MaxSize:
		return fmt.Errorf("size of %d bytes", e.Size)
	case e.Part < 0 || e.Part >= 1<<46 || e.Part > 0 && e.Kind != Snapshot && e.Kind != Diff:
		return fmt.Errorf("part %d of a %v entry", e.Part, e.Kind)
	case e.Kind == Deleted:
		return nil
	case e.Type < Regular || e.Type > Fifo:
		return fmt.Errorf("object of %v", e.Type)
	case e.Type != Regular && (e.Kind != Snapshot || e.Part > 0 || e.Size > 0):
		return fmt.Errorf("%v entry, part %d, of a %v with %d bytes", e.Kind, e.Part, e.Type, e.Size)
	case e.UID < 0 || e.GID < 0:
		return errors.New("negative id")
	case e.Major > maxOctal7 || e.Minor > maxOctal7: // Linux has 12 and 20 bits
		return fmt.Errorf("device number %d, %d", e.Major, e.Minor)
	case len(e.Linkname) > MaxPath || len(e.Uname)+len(e.Gname) > MaxPath:
		return errors.New("link target or owner too long")
	case strings.Contains(e.Linkname, "\x00") || strings.Contains(e.Uname, "\x00") || strings.Contains(e.Gname, "\x00"):
		return errors.New("NUL byte in a link target or an owner")
	}
	return nil
}

// Write writes data of the entry begun last, never more than its size.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if int64(len(p)) > w.left {
		panic("difftar: more data than the entry's size")
	}
	if err := w.write(p); err != nil {
		return 0, err
	}
	w.left -= int64(len(p))
	if w.left == 0 && w.pad > 0 {
		// At once, so that between entries the next byte is a header's first.
		if err := w.write(zeros[:w.pad]); err != nil {
			return len(p), err
		}
		w.pad = 0
	}
	return len(p), nil
}

// Flush ends the entry begun last, whose data must all have been written. A volume
// that is not encrypted ends so, with no end-of-archive blocks (duplicity-format.md
// §3.1).
func (w *Writer) Flush() error {
	if w.err == nil && w.left > 0 {
		panic("difftar: less data than the entry's size")
	}
	return w.err
}

// Finish ends the archive with two or more zero blocks, padded to a record.
func (w *Writer) Finish() error {
	if err := w.Flush(); err != nil {
		return err
	}
	end := w.pos + 2*blockSize
	end += (recordSize - end%recordSize) % recordSize
	return w.write(zeros[:end-w.pos])
}

func (w *Writer) write(p []byte) error {
	if w.err != nil || len(p) == 0 {
		return w.err
	}
	n, err := w.dst.Write(p)
	w.pos += int64(n)
	w.err = err
	return err
}

// ustar is the content of a plain header.
type ustar struct {
	name                   []byte
	prefix                 []byte
	linkname, uname, gname string
	typeflag               byte
	mode, uid, gid         int64
	size, mtime            int64
	major, minor           int64
}

// appendEntry makes w.buf the headers of an entry: a pax header where the plain one
// cannot say it all (duplicity-format.md §3.2), then the plain one.
func (w *Writer) appendEntry(e *Entry) {
	w.name = e.appendName(w.name[:0], w.sigtar)
	h := ustar{name: w.name, size: e.Size, typeflag: '0'}
	if e.Kind != Deleted { // which has a header of zeros (duplicity-format.md §3.3)
		h = ustar{
			name: w.name, linkname: e.Linkname, uname: e.Uname, gname: e.Gname, typeflag: typeflag(e.Type),
			mode: int64(e.Mode & 0o7777), uid: e.UID, gid: e.GID, size: e.Size, mtime: max(e.MTime, 0),
			major: int64(e.Major), minor: int64(e.Minor),
		}
	}
	w.records = h.overflow(w.records[:0])
	w.buf = w.buf[:0]
	if n := int64(len(w.records)); n > 0 {
		x := ustar{name: paxName, typeflag: 'x', size: n}
		w.buf = x.append(w.buf)
		w.buf = append(w.buf, w.records...)
		w.buf = append(w.buf, zeros[:pad(n)]...)
	}
	w.buf = h.append(w.buf)
}

var paxName = []byte("././@PaxHeader")

// Lengths of the plain header's fields.
const (
	nameLen   = 100
	ownerLen  = 32
	prefixLen = 155
)

// overflow appends pax records for what does not fit the plain header, and cuts
// that down to what fits. A long name in ASCII may go into name and prefix.
func (h *ustar) overflow(rec []byte) []byte {
	long := !fits(h.name, nameLen) && !h.split()
	link, user, group := !fits(h.linkname, nameLen), !fits(h.uname, ownerLen), !fits(h.gname, ownerLen)
	if long && !utf8.Valid(h.name) || link && !utf8.ValidString(h.linkname) ||
		user && !utf8.ValidString(h.uname) || group && !utf8.ValidString(h.gname) {
		rec = appendRecord(rec, "hdrcharset", "BINARY")
	}
	if long {
		rec = appendRecord(rec, "path", h.name)
		h.name = h.name[:min(len(h.name), nameLen)]
	}
	if link {
		rec = appendRecord(rec, "linkpath", h.linkname)
		h.linkname = h.linkname[:min(len(h.linkname), nameLen)]
	}
	if user {
		rec = appendRecord(rec, "uname", h.uname)
		h.uname = h.uname[:min(len(h.uname), ownerLen)]
	}
	if group {
		rec = appendRecord(rec, "gname", h.gname)
		h.gname = h.gname[:min(len(h.gname), ownerLen)]
	}
	rec = overflowNumber(rec, "uid", &h.uid, maxOctal7)
	rec = overflowNumber(rec, "gid", &h.gid, maxOctal7)
	rec = overflowNumber(rec, "size", &h.size, maxOctal11)
	return overflowNumber(rec, "mtime", &h.mtime, maxOctal11)
}

func fits[T ~string | ~[]byte](s T, limit int) bool { return len(s) <= limit && ascii(s) }

func overflowNumber(rec []byte, key string, value *int64, limit int64) []byte {
	if *value <= limit {
		return rec
	}
	var b [20]byte
	rec = appendRecord(rec, key, strconv.AppendInt(b[:0], *value, 10))
	*value = 0
	return rec
}

// split cuts a long name in ASCII at a slash into prefix and name, if it can be.
func (h *ustar) split() bool {
	n := len(h.name)
	if n > prefixLen+1+nameLen || !ascii(h.name) {
		return false
	}
	for i := min(n-2, prefixLen); i > 0 && n-i-1 <= nameLen; i-- { // a last slash belongs to the name
		if h.name[i] == '/' {
			h.prefix, h.name = h.name[:i], h.name[i+1:]
			return true
		}
	}
	return false
}

func (h *ustar) append(b []byte) []byte {
	start := len(b)
	b = append(b, zeros[:blockSize]...)
	f := b[start:]
	copy(f[0:100], h.name)
	octal(f[100:108], h.mode)
	octal(f[108:116], h.uid)
	octal(f[116:124], h.gid)
	octal(f[124:136], h.size)
	octal(f[136:148], h.mtime)
	f[156] = h.typeflag
	copy(f[157:257], h.linkname)
	copy(f[257:265], magicPax)
	copy(f[265:297], h.uname)
	copy(f[297:329], h.gname)
	if h.typeflag == '3' || h.typeflag == '4' { // else left blank, like duplicity does
		octal(f[329:337], h.major)
		octal(f[337:345], h.minor)
	}
	copy(f[345:500], h.prefix)

	octal(f[148:155], byteSum(f)+8*' ')
	f[155] = ' '
	return b
}

// octal fills a field with zero-padded digits and a NUL.
func octal(field []byte, v int64) {
	for i := len(field) - 2; i >= 0; i-- {
		field[i] = '0' + byte(v&7)
		v >>= 3
	}
	field[len(field)-1] = 0
}

func typeflag(t Type) byte {
	switch t {
	case Directory:
		return '5'
	case Symlink:
		return '2'
	case CharDevice:
		return '3'
	case BlockDevice:
		return '4'
	case Fifo:
		return '6'
	}
	return '0'
}

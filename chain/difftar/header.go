package difftar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Layout of a tar header: offset and length of each field.
//
//	name 0+100  mode 100+8  uid 108+8  gid 116+8  size 124+12  mtime 136+12
//	chksum 148+8  typeflag 156  linkname 157+100  magic 257+8  uname 265+32
//	gname 297+32  devmajor 329+8  devminor 337+8  prefix 345+155
const (
	magicPax = "ustar\x0000"
	magicGNU = "ustar  \x00"
)

// header is a decoded tar header, before its name is understood. Its bytes are
// those of the block it was parsed from, or of the extensions.
type header struct {
	name, linkname []byte
	uname, gname   []byte
	typeflag       byte
	mode           int64
	uid, gid       int64
	size, mtime    int64
	major, minor   int64

	joined [155 + 1 + 100]byte // name, where it is made of two fields
}

// parse decodes a block. It sets every field of h.
func (h *header) parse(b []byte) error {
	if err := checkSum(b); err != nil {
		return err
	}
	h.typeflag = b[156]
	h.name = text(b[0:100])
	h.linkname = text(b[157:257])
	h.uname, h.gname, h.major, h.minor = nil, nil, 0, 0
	bad := ""
	field := func(what string, from, to int) int64 {
		v, ok := number(b[from:to])
		if !ok && bad == "" {
			bad = what
		}
		return v
	}
	h.mode = field("mode", 100, 108)
	h.uid = field("uid", 108, 116)
	h.gid = field("gid", 116, 124)
	h.size = field("size", 124, 136)
	h.mtime = field("mtime", 136, 148)
	magic := string(b[257:265])
	posix := magic[:6] == magicPax[:6]
	if posix || magic == magicGNU { // V7 ends before the rest
		h.uname = text(b[265:297])
		h.gname = text(b[297:329])
		h.major = field("devmajor", 329, 337)
		h.minor = field("devminor", 337, 345)
	}
	if bad != "" {
		return fmt.Errorf("bad number in the field %s", bad)
	}
	if posix && b[345] != 0 {
		n := copy(h.joined[:], text(b[345:500]))
		h.joined[n] = '/'
		n++
		n += copy(h.joined[n:], h.name)
		h.name = h.joined[:n]
	}
	return nil
}

func checkSum(b []byte) error {
	want, ok := number(b[148:156])
	if !ok {
		return errors.New("no tar header (bad checksum field)")
	}
	sum := byteSum(b)
	for _, c := range b[148:156] { // counts as if it were blank
		sum += ' ' - int64(c)
	}
	if want != sum && want != signedSum(b) {
		return errors.New("no tar header (checksum mismatch)")
	}
	return nil
}

// byteSum adds up the bytes of a block, eight at a time: sums has four sums of 16
// bits, each of 128 bytes, which cannot overflow it.
func byteSum(b []byte) int64 {
	const even = 0x00ff00ff00ff00ff
	var sums uint64
	for b = b[:blockSize]; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		sums += x&even + x>>8&even
	}
	return int64(sums&0xffff + sums>>16&0xffff + sums>>32&0xffff + sums>>48)
}

// signedSum is what some old writers stored: the sum of signed bytes.
func signedSum(b []byte) int64 {
	sum := int64(8 * ' ')
	for i, c := range b[:blockSize] {
		if i < 148 || i >= 156 {
			sum += int64(int8(c))
		}
	}
	return sum
}

// text is a field's bytes up to the first NUL.
func text(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// number decodes octal digits with blanks before and after them or, where the
// first bit is set, GNU's base-256 in two's complement. What follows a NUL behind
// the digits does not count. A blank field is 0.
func number(b []byte) (int64, bool) {
	if b[0]&0x80 != 0 {
		return base256(b)
	}
	i, n := 0, len(b)
	for i < n && (b[i] == ' ' || b[i] == 0) {
		i++
	}
	var v int64
	for ; i < n && b[i] >= '0' && b[i] <= '7'; i++ {
		v = v<<3 | int64(b[i]-'0') // 12 digits at most: no overflow
	}
	for ; i < n && b[i] != 0; i++ {
		if b[i] != ' ' {
			return 0, false
		}
	}
	return v, true
}

// base256 decodes a number whose first bit is a mark and whose second is its sign.
func base256(b []byte) (int64, bool) {
	var fill byte
	if b[0]&0x40 != 0 {
		fill = 0xff
	}
	var v uint64
	for i, c := range b {
		if i == 0 {
			c = c&0x7f | fill&0x80
		}
		if i >= len(b)-8 {
			v = v<<8 | uint64(c)
		} else if c != fill {
			return 0, false
		}
	}
	return int64(v), (int64(v) < 0) == (fill != 0)
}

func (h *header) isExtension() bool {
	switch h.typeflag {
	case 'x', 'g', 'L', 'K':
		return true
	}
	return false
}

// headerOnly reports whether no data follow, whatever the size field says: some
// writers put the size of a link's target, or of a directory, there.
func (h *header) headerOnly() bool {
	return h.typeflag >= '1' && h.typeflag <= '6' || h.typeflag == 0 && bytes.HasSuffix(h.name, []byte("/"))
}

// apply puts the values of the extensions in place of the header's own. An empty
// value leaves that as it is.
func (h *header) apply(x *extended) error {
	override(&h.name, x.path)
	override(&h.linkname, x.linkpath)
	override(&h.uname, x.uname)
	override(&h.gname, x.gname)
	return errors.Join(
		overrideNumber(&h.uid, "uid", x.uid), overrideNumber(&h.gid, "gid", x.gid),
		overrideNumber(&h.size, "size", x.size), overrideNumber(&h.mtime, "mtime", x.mtime))
}

func override(field *[]byte, value []byte) {
	if len(value) > 0 {
		*field = value
	}
}

// overrideNumber takes a decimal number. Of times, which may have a fraction, the
// whole seconds count.
func overrideNumber(field *int64, key string, value []byte) error {
	if len(value) == 0 {
		return nil
	}
	whole, fraction := value, []byte(nil)
	if key == "mtime" {
		whole, fraction, _ = bytes.Cut(value, []byte("."))
	}
	v, err := strconv.ParseInt(string(whole[:min(len(whole), 24)]), 10, 64)
	if err != nil || len(whole) > 24 || len(bytes.Trim(fraction, "0123456789")) > 0 {
		return fmt.Errorf("bad pax %s %.40q", key, value)
	}
	*field = v
	return nil
}

// entry understands the name (duplicity-format.md §3.3, §4.1) and checks that every
// value makes sense for its kind.
func (h *header) entry(names *interner) (Entry, error) {
	kind, path, part, err := parseName(h.name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: path, Kind: kind, Part: part, Size: h.size}
	if h.headerOnly() {
		e.Size = 0
	}
	if e.Size < 0 || e.Size > MaxSize {
		return Entry{}, fmt.Errorf("%.200q has a size of %d bytes", path, e.Size)
	}
	if kind == Deleted {
		return e, nil // the rest says nothing
	}
	typ, err := h.fileType()
	if err != nil {
		return Entry{}, fmt.Errorf("%.200q: %w", path, err)
	}
	if typ != Regular && (kind != Snapshot || part != 0) {
		return Entry{}, fmt.Errorf("%.200q: %v entry of a %v", path, kind, typ)
	}
	if h.uid < 0 || h.gid < 0 || h.major < 0 || h.minor < 0 || h.major > math.MaxUint32 || h.minor > math.MaxUint32 {
		return Entry{}, fmt.Errorf("%.200q: negative or huge id or device number", path)
	}
	if hasNUL(h.linkname) || hasNUL(h.uname) || hasNUL(h.gname) {
		return Entry{}, fmt.Errorf("%.200q: NUL byte in a link target or an owner", path)
	}
	e.Meta = Meta{
		Type: typ, Mode: uint32(h.mode) & 0o7777, UID: h.uid, GID: h.gid,
		Uname: names.intern(h.uname), Gname: names.intern(h.gname), MTime: h.mtime,
	}
	switch typ {
	case Symlink:
		if len(h.linkname) > MaxPath {
			return Entry{}, fmt.Errorf("%.200q: link target of %d bytes", path, len(h.linkname))
		}
		e.Linkname = string(h.linkname)
	case CharDevice, BlockDevice:
		e.Major, e.Minor = uint32(h.major), uint32(h.minor)
	}
	return e, nil
}

func (h *header) fileType() (Type, error) {
	switch h.typeflag {
	case 0:
		if bytes.HasSuffix(h.name, []byte("/")) {
			return Directory, nil // V7
		}
		return Regular, nil
	case '0', '7':
		return Regular, nil
	case '5':
		return Directory, nil
	case '2':
		return Symlink, nil
	case '3':
		return CharDevice, nil
	case '4':
		return BlockDevice, nil
	case '6':
		return Fifo, nil
	}
	return 0, fmt.Errorf("unsupported tar entry type %q", h.typeflag)
}

func hasNUL(b []byte) bool { return bytes.IndexByte(b, 0) >= 0 }

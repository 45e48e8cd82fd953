package codec

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Fields of a gzip member (RFC 1952 §2.3).
const (
	gzipMagic   = "\x1f\x8b\x08" // ID1, ID2, CM deflate
	flagHCRC    = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
	flagsKnown  = 1<<5 - 1

	headerLen  = 10 // without optional fields
	trailerLen = 8  // CRC-32 and length of the plain bytes
)

// Our subfield of the extra field: its id, and the length of its value.
const (
	subfieldID  = "HB"
	subfieldLen = 4
)

// memberHeader begins every member of ours: no time, no name, system unknown, and
// a subfield whose value, at its end, is the length of the member.
const memberHeader = gzipMagic + "\x04\x00\x00\x00\x00\x00\xff" +
	"\x08\x00" + subfieldID + "\x04\x00\x00\x00\x00\x00"

// gzipFormat makes every block one gzip member.
type gzipFormat struct {
	level int
	w     io.Writer
}

func (g *gzipFormat) encode(e *encoder, out []byte, b *block) ([]byte, error) {
	out, err := e.compress(g.level, append(out, memberHeader...), b.plain, true)
	if err != nil {
		return nil, err
	}
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(b.plain))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(b.plain)))
	binary.LittleEndian.PutUint32(out[len(memberHeader)-subfieldLen:], uint32(len(out)))
	return out, nil
}

// needs: an object without any member would not be a gzip file.
func (g *gzipFormat) needs(b *block) bool { return len(b.plain) > 0 || b.first }

func (g *gzipFormat) seal(b *block) error {
	_, err := g.w.Write(b.out)
	return err
}

func (g *gzipFormat) margins() (head, tail int) { return len(memberHeader), trailerLen }

func (g *gzipFormat) finish() error { return nil }

func (g *gzipFormat) abort() error { return nil }

func (g *gzipFormat) size(encoded int64) int64 { return encoded }

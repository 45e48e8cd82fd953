package codec

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// nameMax bounds the name and the comment of a member; gzip knows no limit.
const nameMax = 1 << 16

// headReader reads a header and sums what it read.
type headReader struct {
	src *bufio.Reader
	crc uint32
}

// readHeader reads the header of one member. duplicity's have no optional field,
// gzip's a name; any is accepted.
func readHeader(src *bufio.Reader) error {
	h := headReader{src: src}
	var head [headerLen]byte
	if err := h.full(head[:]); err != nil {
		return err
	}
	flags := head[3]
	if string(head[:3]) != gzipMagic || flags&^flagsKnown != 0 {
		return fmt.Errorf("%w: not gzip", ErrCorrupt)
	}
	if flags&flagExtra != 0 {
		if err := h.skipExtra(); err != nil {
			return err
		}
	}
	for _, text := range [...]byte{flagName, flagComment} {
		if flags&text == 0 {
			continue
		}
		if err := h.skipText(); err != nil {
			return err
		}
	}
	if flags&flagHCRC != 0 {
		return h.check()
	}
	return nil
}

func (h *headReader) full(p []byte) error {
	_, err := io.ReadFull(h.src, p)
	h.crc = crc32.Update(h.crc, crc32.IEEETable, p)
	return noEOF(err)
}

func (h *headReader) skipExtra() error {
	var size [2]byte
	if err := h.full(size[:]); err != nil {
		return err
	}
	return h.full(make([]byte, binary.LittleEndian.Uint16(size[:])))
}

// skipText passes over a string that ends in zero.
func (h *headReader) skipText() error {
	var c [1]byte
	for range nameMax {
		if err := h.full(c[:]); err != nil {
			return err
		}
		if c[0] == 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: name longer than %d bytes", ErrCorrupt, nameMax)
}

func (h *headReader) check() error {
	sum := uint16(h.crc)
	var want [2]byte
	if err := h.full(want[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint16(want[:]) != sum {
		return fmt.Errorf("%w: header checksum does not match", ErrCorrupt)
	}
	return nil
}

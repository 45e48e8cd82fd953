package codec

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/zeebo/blake3"

	"hindsight/chain/inflate"
)

// memberMax bounds a member of ours, as it is stored.
const memberMax = len(memberHeader) + encodedMax + trailerLen

// feedMembers decodes members that say how long they are in parallel, each as a
// chunk. From the first one on that does not, it decodes serially.
func feedMembers(a *ahead) {
	g := a.inner.(*gunzip)
	for {
		size, err := g.peekMember()
		if err != nil || size == 0 {
			feedSerially(a) // which says what is wrong, if anything is
			return
		}
		buf := getBuffer(size)
		stored := (*buf)[:size]
		if _, err := io.ReadFull(g.src, stored); err != nil {
			buffers.Put(buf)
			a.send(&chunk{err: fmt.Errorf("gzip member: %w", noEOF(err))})
			return
		}
		c := &chunk{buf: getBuffer(chunkSize), ready: make(chan struct{})}
		m := g.gatherMember(stored)
		a.wg.Go(func() {
			defer close(c.ready)
			defer buffers.Put(buf)
			var n int
			n, c.err = decodeMember((*c.buf)[:chunkSize], stored)
			c.plain = (*c.buf)[:n]
			if m != nil && c.err == nil {
				m.sum = blake3.Sum256(c.plain)
			}
		})
		if !a.send(c) {
			<-c.ready
			c.free()
			return
		}
	}
}

// peekMember is the stored length of the member that comes next, 0 if it does not
// say or is none of ours. The member's magic was not passed over.
func (g *gunzip) peekMember() (int, error) {
	if g.begun {
		if err := g.skipPadding(); err != nil {
			return 0, err
		}
	}
	head, err := g.src.Peek(len(memberHeader))
	if err != nil {
		return 0, err
	}
	const fixed = len(memberHeader) - subfieldLen
	size := binary.LittleEndian.Uint32(head[fixed:])
	if string(head[:fixed]) != memberHeader[:fixed] || size > uint32(memberMax) || size <= uint32(len(memberHeader)+trailerLen) {
		return 0, nil
	}
	g.begun = true
	return int(size), nil
}

// gatherMember notes a member that was just read for the table, if one is wanted.
func (g *gunzip) gatherMember(stored []byte) *member {
	if g.gather == nil {
		return nil
	}
	return g.gather.member(Block{
		StoredOffset: g.offset() - int64(len(stored)-len(memberHeader)),
		StoredLen:    int32(len(stored) - len(memberHeader) - trailerLen),
		Len:          int32(min(binary.LittleEndian.Uint32(stored[len(stored)-4:]), chunkSize)),
	})
}

// decodeMember decodes a whole member of ours into dst.
func decodeMember(dst, stored []byte) (int, error) {
	body, trailer := stored[len(memberHeader):len(stored)-trailerLen], stored[len(stored)-trailerLen:]
	size := binary.LittleEndian.Uint32(trailer[4:])
	if size > uint32(len(dst)) {
		return 0, fmt.Errorf("gzip member: %w: %d plain bytes", ErrCorrupt, size)
	}
	n, used, err := inflate.Inflate(dst, body)
	if err != nil {
		return 0, inflateError(err)
	}
	if n != int(size) || used != len(body) || crc32.ChecksumIEEE(dst[:n]) != binary.LittleEndian.Uint32(trailer) {
		return 0, fmt.Errorf("gzip member: %w: checksum does not match", ErrCorrupt)
	}
	return n, nil
}

package deflate

import "encoding/binary"

// bitWriter appends bits, least significant first, to a slice that has room.
type bitWriter struct {
	out []byte // written up to n; longer by at least 8 bytes while in use
	n   int
	acc uint64
	len uint // bits in acc; below 8 after flush
}

// reserve makes room for size more bytes beside what is in acc.
func (w *bitWriter) reserve(size int) {
	need := w.n + size + 16
	if need > len(w.out) {
		if need > cap(w.out) {
			grown := make([]byte, need+need/4)
			copy(grown, w.out[:w.n])
			w.out = grown
		}
		w.out = w.out[:cap(w.out)]
	}
}

// add appends the low n bits of v; the rest of v is zero. At most 56 bits may be
// added between two flushes.
func (w *bitWriter) add(v uint64, n uint) {
	w.acc |= v << (w.len & 63)
	w.len += n
}

// flush moves whole bytes out.
func (w *bitWriter) flush() {
	binary.LittleEndian.PutUint64(w.out[w.n:], w.acc)
	w.n += int(w.len >> 3)
	w.acc >>= w.len &^ 7
	w.len &= 7
}

// align fills the last byte with zeros.
func (w *bitWriter) align() {
	w.flush()
	if w.len > 0 {
		w.len = 8
		w.flush()
	}
}

// bytes appends whole bytes at a byte boundary.
func (w *bitWriter) bytes(p []byte) { w.n += copy(w.out[w.n:], p) }

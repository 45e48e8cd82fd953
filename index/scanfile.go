package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/google/renameio/v2"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"

	"hindsight/chain/difftar"
	"hindsight/chain/toc"
)

// A scan file holds what the scan of one volume has found:
//
//	"hindsight-scan 1\n"
//	blocks     entries as of toc.EntryWriter, each block by itself, in a zstd frame
//	table      how the volume is read in the middle, see sealTable; may be empty
//	footer     number of blocks, and of each: first path, offset, length, hash;
//	           then the last path, and offset, length and hash of the table
//	trailer    offset and length of the footer, 8 bytes each, little endian; its hash
//
// Hashes are BLAKE3. An entry is what the volume has of a path: its Stream may begin
// before the volume, and then at another offset than 0, or go on behind it. Of a path
// whose stream does not end in the volume the size is -1.
const (
	scanMagic   = "hindsight-scan 1\n"
	scanBlock   = 16 << 10 // plain bytes after which a block ends
	maxBlock    = 80 << 20 // of a block: one entry may be as long as toc allows
	scanTrailer = 8 + 8 + 32
	maxFooter   = 64 << 20
)

// region is where something lies in a scan file, and its hash.
type region struct {
	off, size int64
	sum       [32]byte
}

type scanBlockAt struct {
	first string // path
	region
}

// scanWriter writes a scan file. Entries come in path order.
type scanWriter struct {
	file    *renameio.PendingFile
	zstd    *zstd.Encoder
	off     int64
	plain   bytes.Buffer
	entries *toc.EntryWriter // of the block in the making; nil: there is none
	blocks  []scanBlockAt
	last    string // path
}

func newScanWriter(path string, enc *zstd.Encoder) (*scanWriter, error) {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600))
	if err != nil {
		return nil, err
	}
	w := &scanWriter{file: f, zstd: enc}
	if _, err := w.write([]byte(scanMagic)); err != nil {
		return nil, errors.Join(err, f.Cleanup())
	}
	return w, nil
}

func (w *scanWriter) write(p []byte) (region, error) {
	r := region{off: w.off, size: int64(len(p)), sum: blake3.Sum256(p)}
	_, err := w.file.Write(p)
	w.off += r.size
	return r, err
}

func (w *scanWriter) add(e *toc.Entry) error {
	if w.entries == nil {
		w.entries = toc.NewEntryWriter(&w.plain)
		w.blocks = append(w.blocks, scanBlockAt{first: e.Path})
	}
	if err := w.entries.Write(e); err != nil {
		return err
	}
	w.last = e.Path
	// toc buffers 64 KiB, so a block's length is known only roughly.
	if w.entries.Count()%64 == 0 || len(e.Ops)+len(e.Stream) > 64 {
		if err := w.entries.Flush(); err != nil {
			return err
		}
	}
	if w.plain.Len() >= scanBlock {
		return w.flush()
	}
	return nil
}

// flush ends the block in the making.
func (w *scanWriter) flush() error {
	if w.entries == nil {
		return nil
	}
	if err := w.entries.Flush(); err != nil {
		return err
	}
	r, err := w.write(w.zstd.EncodeAll(w.plain.Bytes(), nil))
	w.blocks[len(w.blocks)-1].region = r
	w.plain.Reset()
	w.entries = nil
	return err
}

// finish makes the file appear.
func (w *scanWriter) finish(table []byte) error {
	if err := w.flush(); err != nil {
		return err
	}
	at, err := w.write(table)
	if err != nil {
		return err
	}
	b := binary.AppendUvarint(nil, uint64(len(w.blocks)))
	for _, block := range w.blocks {
		b = block.region.append(appendText(b, block.first))
	}
	footer, err := w.write(at.append(appendText(b, w.last)))
	if err != nil {
		return err
	}
	trailer := binary.LittleEndian.AppendUint64(nil, uint64(footer.off))
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(footer.size))
	if _, err := w.write(append(trailer, footer.sum[:]...)); err != nil {
		return err
	}
	return w.file.CloseAtomicallyReplace()
}

// abort throws the file away. After finish it does nothing.
func (w *scanWriter) abort() error { return w.file.Cleanup() }

func (r region) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.off))
	b = binary.AppendUvarint(b, uint64(r.size))
	return append(b, r.sum[:]...)
}

func (d *decoder) region(end int64) (r region) {
	r.off = int64(d.uint("offset", uint64(end)))
	r.size = int64(d.uint("length", uint64(end-r.off)))
	copy(r.sum[:], d.bytes("hash", len(r.sum)))
	return r
}

// scanFile is a scan file whose footer was read. It is immutable; the file is opened
// whenever something is read of it, and may be removed at any time.
type scanFile struct {
	path   string
	volume uint32
	blocks []scanBlockAt
	last   string // path
	table  region
}

// openScan reads the footer of a scan file. What is wrong with it is ErrDamaged.
func openScan(path string, volume uint32) (*scanFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &scanFile{path: path, volume: volume}
	if err := s.readFooter(f, fi.Size()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *scanFile) readFooter(f io.ReaderAt, size int64) error {
	end := size - scanTrailer
	if end < int64(len(scanMagic)) {
		return fmt.Errorf("%w: %d bytes", ErrDamaged, size)
	}
	var magic [len(scanMagic)]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil {
		return err
	}
	if string(magic[:]) != scanMagic {
		return fmt.Errorf("%w: no scan file", ErrDamaged)
	}
	var trailer [scanTrailer]byte
	if _, err := f.ReadAt(trailer[:], end); err != nil && err != io.EOF {
		return err
	}
	at := region{off: int64(binary.LittleEndian.Uint64(trailer[:])), size: int64(binary.LittleEndian.Uint64(trailer[8:]))}
	copy(at.sum[:], trailer[16:])
	if at.off < 0 || at.off > end || at.size != end-at.off || at.size > maxFooter {
		return fmt.Errorf("%w: footer", ErrDamaged)
	}
	footer, err := at.read(f)
	if err != nil {
		return err
	}
	return s.parseFooter(footer, at.off)
}

func (s *scanFile) parseFooter(footer []byte, end int64) error {
	const least = 1 + 1 + 1 + 32
	d := decoder{b: footer}
	n := d.uint("number of blocks", uint64(len(footer)/least))
	for range n {
		path := string(d.text("path", difftar.MaxPath))
		s.blocks = append(s.blocks, scanBlockAt{path, d.region(end)})
	}
	s.last = string(d.text("path", difftar.MaxPath))
	s.table = d.region(end)
	if err := d.end(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// read reads a region and checks its hash.
func (r region) read(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, r.size)
	if n, err := f.ReadAt(b, r.off); n < len(b) {
		if err == io.EOF {
			err = ErrDamaged
		}
		return nil, err
	}
	if blake3.Sum256(b) != r.sum {
		return nil, fmt.Errorf("%w: hash at %d", ErrDamaged, r.off)
	}
	return b, nil
}

// load reads a region of the file.
func (s *scanFile) load(r region) ([]byte, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := r.read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	return b, nil
}

// block is the number of the block that a path would be in, -1 if there is none.
func (s *scanFile) block(path string) int {
	if len(s.blocks) == 0 || difftar.Compare(path, s.last) > 0 {
		return -1
	}
	n, there := slices.BinarySearchFunc(s.blocks, path, func(b scanBlockAt, path string) int { return difftar.Compare(b.first, path) })
	if there {
		return n
	}
	return n - 1
}

// entries decodes a block.
func (s *scanFile) entries(n int, dec *zstd.Decoder) (list []toc.Entry, size int, err error) {
	packed, err := s.load(s.blocks[n].region)
	if err != nil {
		return nil, 0, err
	}
	plain, err := dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w: %w", s.path, ErrDamaged, err)
	}
	r := toc.NewEntryReader(bytes.NewReader(plain))
	for {
		e, err := r.Next()
		if err == io.EOF {
			return list, len(plain), nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w: %w", s.path, ErrDamaged, err)
		}
		own := *e
		own.Stream, own.Ops = slices.Clone(e.Stream), slices.Clone(e.Ops)
		list = append(list, own)
	}
}

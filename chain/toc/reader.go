package toc

import (
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/blake3"
)

var (
	errSequence = errors.New("record out of order")
	errDigest   = errors.New("digest does not match")
	errCounts   = errors.New("volumes or entries are missing")
)

// Reader reads a toc: NextVolume until io.EOF, Signatures, NextEntry until io.EOF. What
// is not asked for in its turn is passed over. Only io.EOF of NextEntry says that the
// toc is whole. Memory is bounded by a few times the longest record. Other errors than
// io.EOF stick. It is for one goroutine.
type Reader struct {
	rec    recordReader
	dec    decoder
	header Header
	stage  stage

	tag     byte // of the record ahead, 0 if there is none
	payload []byte

	volume     int // number of the last
	volumes    uint64
	entries    uint64
	signatures *Object
	entry      Entry
	err        error
}

// NewReader reads the header. The error wraps ErrVersion if the toc is of a version that
// is not known yet, and ErrFormat if it is no toc.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{rec: recordReader{src: src, hash: blake3.New()}}
	if err := r.rec.preamble(); err != nil {
		return nil, err
	}
	if err := r.peek(); err != nil {
		return nil, err
	}
	if r.tag != tagHeader {
		return nil, r.rec.malformed(errSequence)
	}
	f := r.take()
	if r.header = f.header(); f.err == nil {
		f.err = r.header.check()
	}
	return r, r.done(f)
}

// Header says which set the toc is of.
func (r *Reader) Header() Header { return r.header }

// peek makes the next record that this version knows the one ahead.
func (r *Reader) peek() error {
	for r.tag == 0 {
		tag, payload, err := r.rec.next()
		if err == io.EOF {
			return r.rec.cut(err)
		}
		if err != nil {
			return err
		}
		switch tag {
		case tagHeader, tagVolume, tagSignatures, tagEntry, tagTrailer:
			r.tag, r.payload = tag, payload
		default:
			r.rec.skipped = true
		}
	}
	return nil
}

// take consumes the record ahead.
func (r *Reader) take() *fields {
	r.tag = 0
	return &fields{b: r.payload}
}

// done ends the reading of a record.
func (r *Reader) done(f *fields) error {
	if f.err != nil {
		return r.rec.malformed(f.err)
	}
	r.rec.skipped = r.rec.skipped || len(f.b) > 0
	return nil
}

// stick keeps an error for ever.
func (r *Reader) stick(err error) error {
	r.err = err
	return err
}

// NextVolume returns the next volume, which may be kept, or io.EOF behind the last.
func (r *Reader) NextVolume() (*Volume, error) {
	if r.err != nil && r.err != io.EOF {
		return nil, r.err
	}
	if r.stage > atVolumes {
		return nil, io.EOF
	}
	if err := r.peek(); err != nil {
		return nil, r.stick(err)
	}
	if r.tag != tagVolume {
		r.stage = atSignatures
		return nil, io.EOF
	}
	f := r.take()
	v := &Volume{Number: int(f.number(MaxVolume)), Object: f.object()}
	if f.err == nil && v.Number <= r.volume {
		f.fail(fmt.Errorf("volume %d after volume %d", v.Number, r.volume))
	}
	if err := r.done(f); err != nil {
		return nil, r.stick(err)
	}
	r.volume = v.Number
	r.volumes++
	return v, nil
}

// Signatures returns what the toc says of the set's signatures, nil if nothing. It may be
// kept.
func (r *Reader) Signatures() (*Object, error) {
	for r.stage == atVolumes {
		if _, err := r.NextVolume(); err != nil && err != io.EOF {
			return nil, err
		}
	}
	if r.err != nil && r.err != io.EOF {
		return nil, r.err
	}
	if r.stage > atSignatures {
		return r.signatures, nil
	}
	if err := r.peek(); err != nil {
		return nil, r.stick(err)
	}
	r.stage = atEntries
	if r.tag != tagSignatures {
		return nil, nil
	}
	f := r.take()
	o := f.object()
	if err := r.done(f); err != nil {
		return nil, r.stick(err)
	}
	r.signatures = &o
	return &o, nil
}

// NextEntry returns the next entry. It stays valid until the call after, but for
// strings, which may be kept. The error is io.EOF when all of the toc was read, its
// digest and counts are right, and nothing follows it.
func (r *Reader) NextEntry() (*Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	if _, err := r.Signatures(); err != nil {
		return nil, err
	}
	if err := r.peek(); err != nil {
		return nil, r.stick(err)
	}
	switch r.tag {
	case tagEntry:
		r.tag = 0
		if err := r.rec.entry(&r.dec, r.payload, &r.entry); err != nil {
			return nil, r.stick(err)
		}
		r.entries++
		return &r.entry, nil
	case tagTrailer:
		return nil, r.stick(r.trailer())
	}
	return nil, r.stick(r.rec.malformed(errSequence))
}

// trailer returns io.EOF if the toc is whole.
func (r *Reader) trailer() error {
	f := r.take()
	n := len(f.b) - digestSize
	if n < 0 {
		return r.rec.malformed(errShort)
	}
	stored := f.b[n:]
	f.b = f.b[:n] // a later version may say more between counts and digest
	counts := [2]uint64{f.uvarint(), f.uvarint()}
	if f.err == nil && r.rec.digest() != [digestSize]byte(stored) {
		f.fail(errDigest)
	}
	if f.err == nil && counts != [2]uint64{r.volumes, r.entries} {
		f.fail(errCounts)
	}
	if err := r.done(f); err != nil {
		return err
	}
	return r.rec.end()
}

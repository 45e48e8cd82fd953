package chain

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/store"
)

// VolumeReader reads one volume of a set from its beginning to its end. It is for
// one goroutine.
type VolumeReader struct {
	*difftar.Reader
	Object Object

	plain *plainReader
	sum   hash.Hash // nil: the manifest names no hash that we know
	want  string
	end   error // what the reading ended with; sticks
}

// VolumeOptions says how a volume is read. The zero value serves who wants the entries
// alone.
type VolumeOptions struct {
	// Gather makes VolumeReader.Table give the volume's table, at about a quarter more of
	// the processor time that decoding takes: most of it is BLAKE3.
	Gather bool
	// Table, if it is known, has an encrypted volume decoded in parallel, unless it
	// must be signed. An error that wraps codec.ErrTable and not ErrHash says that it is
	// not the volume's: read without it.
	Table *codec.Table
	// Later has the volume decoded ahead only from the first call of Next, or
	// VolumeReader.Start, on: until then the reader holds little but a connection.
	Later bool
}

// Volume opens a volume that the set's manifest lists. The errors are those of
// VolumeReader.Next, ErrMissingVolume and *DuplicateError.
func (r *Repository) Volume(ctx context.Context, s *Set, v manifest.Volume) (*VolumeReader, error) {
	return r.OpenVolume(ctx, s, v, VolumeOptions{})
}

// OpenVolume is Volume with options.
func (r *Repository) OpenVolume(ctx context.Context, s *Set, v manifest.Volume, opt VolumeOptions) (*VolumeReader, error) {
	o, err := s.Volume(v.Number)
	if err != nil {
		return nil, err
	}
	vr := &VolumeReader{Object: o}
	vr.sum, vr.want = checksum(v)
	var tap io.Writer
	if vr.sum != nil {
		tap = vr.sum
	}
	how := access{tap: tap, signKey: r.SignKey, ahead: volumeAhead, gather: opt.Gather, table: opt.Table, later: opt.Later}
	vr.plain, err = r.open(ctx, o, how)
	if errors.Is(err, store.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", o.Key, ErrMissingVolume)
	}
	if err != nil {
		return nil, r.damage(ctx, vr, err)
	}
	vr.Reader = difftar.NewReader(vr.plain)
	return vr, nil
}

// checksum is the hash to check a volume with, nil if the manifest names none that
// can be calculated (duplicity-format.md §2).
func checksum(v manifest.Volume) (hash.Hash, string) {
	best, _ := v.Best()
	switch strings.ToUpper(best.Algorithm) {
	case "SHA1":
		return sha1.New(), best.Hex
	case "MD5":
		return md5.New(), best.Hex
	}
	return nil, ""
}

// Next goes to the next entry. It returns io.EOF only when all of the stored bytes
// were read and their hash, and the message's own integrity code, are right. If
// anything else is wrong the hash still decides what the error says: ErrHash if
// the stored bytes are not those that were written. What is wrong with the object is
// a *CorruptError; errors of the store and the context are not.
func (vr *VolumeReader) Next() (*difftar.Entry, error) {
	e, err := vr.Reader.Next()
	if err == nil {
		return e, nil
	}
	return nil, vr.Fail(err)
}

// Fail turns an error met while reading the volume, io.EOF included, into the one
// to report: a wrong hash explains all others. What was found first is reported
// again later, unless that was that all is well.
func (vr *VolumeReader) Fail(err error) error {
	switch {
	case vr.end == nil:
		vr.end = vr.explain(err)
	case vr.end == io.EOF && err != io.EOF:
		return &CorruptError{vr.Object.Key, err}
	}
	return vr.end
}

func (vr *VolumeReader) explain(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if err == io.EOF {
		if ferr := vr.plain.finish(); ferr != nil {
			err = ferr
		}
	}
	if herr := vr.checkHash(); herr != nil {
		err = herr
	}
	if err == io.EOF {
		return io.EOF
	}
	return vr.plain.explain(err)
}

// checkHash reads what is left of the stored bytes and compares the hash.
func (vr *VolumeReader) checkHash() error {
	vr.plain.Reader.Close() // so that nothing else reads the stored bytes
	if vr.sum == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, vr.plain.stored); err != nil {
		return err
	}
	return vr.compareHash()
}

func (vr *VolumeReader) compareHash() error {
	if got := hex.EncodeToString(vr.sum.Sum(nil)); got != vr.want {
		return fmt.Errorf("%w: calculated %s, manifest says %s", ErrHash, got, vr.want)
	}
	return nil
}

// damage explains why a volume could not even be opened: hash it whole and see.
func (r *Repository) damage(ctx context.Context, vr *VolumeReader, err error) error {
	corrupt := (*CorruptError)(nil)
	if vr.sum == nil || !errors.As(err, &corrupt) {
		return err
	}
	rc, gerr := r.Store.Get(ctx, vr.Object.Key, 0, -1)
	if gerr != nil {
		return err
	}
	defer rc.Close()
	vr.sum.Reset()
	if _, cerr := io.Copy(vr.sum, rc); cerr != nil {
		return err
	}
	if herr := vr.compareHash(); herr != nil {
		return &CorruptError{vr.Object.Key, herr}
	}
	return err
}

// Table is the volume's table, once Next has returned io.EOF, which says that all of its
// hashes are right, and if it was asked for by VolumeOptions. It is nil if there is none
// for such a volume, as of codec.Reader.Table, or if the tar is followed by other data.
func (vr *VolumeReader) Table() *codec.Table {
	if vr.end != io.EOF {
		return nil
	}
	return vr.plain.Table()
}

// Start begins to decode ahead, where VolumeOptions.Later has put that off. It may be called
// from any goroutine until Next has returned an error and until Close.
func (vr *VolumeReader) Start() { vr.plain.Start() }

// Close gives back what the reader holds.
func (vr *VolumeReader) Close() error { return vr.plain.Close() }

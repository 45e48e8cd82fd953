package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
)

// Repository opens and creates the objects of sets. Its fields are set once; its
// methods may be called from many goroutines at once.
type Repository struct {
	Store  store.Store
	Scheme naming.Scheme
	Keys   *pgp.Keyring // may be nil where nothing is encrypted

	// Archive keeps plain copies of signature archives; nil keeps none.
	Archive store.Store

	// SignKey, if it is set, is the key that every volume must be signed with
	// (duplicity-format.md §7).
	SignKey string

	// ManifestMemory is how many bytes a manifest that was read may take in memory;
	// 0: manifest.DefaultMemory.
	ManifestMemory int64

	Log *slog.Logger // nil discards
}

func (r *Repository) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

// access says how an object is read.
type access struct {
	tap     io.Writer // sees the stored bytes; nil: nothing does
	signKey string    // that must have signed it; "": none
	ahead   int       // codec.ReaderOptions.Ahead
	later   bool      // codec.ReaderOptions.Later
	gather  bool
	table   *codec.Table
	small   bool // many are open at once
}

// volumeAhead is how far a volume is decoded ahead: enough to keep several cores
// busy, about 2.5 MiB in all.
const volumeAhead = 4

// VolumeMemory is about how many bytes an open VolumeReader holds; one of a volume in AEAD
// packets has 4 MiB more, and 8 at its start.
const VolumeMemory = 3 << 20

// open opens an object's plain bytes.
func (r *Repository) open(ctx context.Context, o Object, how access) (*plainReader, error) {
	if o.CMS {
		return nil, errCMS(o)
	}
	rc, err := r.Store.Get(ctx, o.Key, 0, -1)
	if err != nil {
		return nil, err
	}
	p := &plainReader{ctx: ctx, key: o.Key, body: &body{ReadCloser: rc}, hashed: how.tap != nil, gather: how.gather}
	p.stored = p.body
	if how.tap != nil {
		p.stored = io.TeeReader(p.body, how.tap)
	}
	p.Reader, err = codec.NewReader(ctx, p.stored, o.Format(), codec.ReaderOptions{
		Keyring: r.Keys, SignKey: how.signKey, Ahead: how.ahead, Later: how.later, Gather: how.gather, Table: how.table, Small: how.small,
	})
	if err != nil {
		return nil, errors.Join(p.explain(err), rc.Close())
	}
	return p, nil
}

func errCMS(o Object) error {
	return &CorruptError{o.Key, errors.New("it was encrypted by gpgsm, which is not supported")}
}

// body is what the store gives of an object. It remembers the store's own error, as
// that is no damage of the object.
type body struct {
	io.ReadCloser
	err error
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// plainReader is an open object: its plain bytes, and the stored ones below them.
type plainReader struct {
	*codec.Reader
	ctx    context.Context // of the Get
	key    string
	stored io.Reader
	body   *body
	hashed bool // by whoever taps the stored bytes
	gather bool // there is to be a table
}

// explain ends the reading and says what an error is: that of the context, of the
// store, or a *CorruptError.
func (p *plainReader) explain(err error) error {
	if p.Reader != nil {
		p.Reader.Close() // so that nothing else reads the stored bytes
	}
	if cause := context.Cause(p.ctx); cause != nil {
		return cause
	}
	if p.body.err != nil {
		return sourceError(p.ctx, p.key, p.body.err)
	}
	return &CorruptError{p.key, err}
}

// sourceError is an error that came with an object's stored bytes.
func sourceError(ctx context.Context, key string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if se := (*store.Error)(nil); errors.As(err, &se) {
		return err
	}
	return fmt.Errorf("read %s: %w", key, err)
}

// maxTail bounds, in plain bytes, what is read behind the end of a tar: that of
// duplicity and ours is 10 KiB at most, and a hostile one may not end.
const maxTail = 1 << 20

// readOut reads what is behind the end of a tar, which a gzip member's checksum
// covers too.
func (p *plainReader) readOut() error {
	_, err := io.CopyN(io.Discard, p.Reader, maxTail)
	if err == io.EOF {
		return nil
	}
	return err
}

// finish authenticates what the consumer did not read, and reads the stored bytes
// to their end.
func (p *plainReader) finish() error {
	if !p.hashed || p.gather {
		// What is hashed needs no other checksum; where it does not end there is no table.
		if err := p.readOut(); err != nil && !p.hashed {
			return err
		}
	}
	if err := p.Reader.Finish(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, p.stored)
	return err
}

func (p *plainReader) Close() error { return errors.Join(p.Reader.Close(), p.body.Close()) }

// Manifest reads a set's manifest, which names at least one volume. One that cannot
// be read is a *CorruptError, but for manifest.ErrTooLarge.
func (r *Repository) Manifest(ctx context.Context, s *Set) (*manifest.Manifest, error) {
	if s.Manifest == nil {
		return nil, fmt.Errorf("%v has no manifest", s.SetID)
	}
	if err := s.duplicate(naming.Manifest, 0); err != nil {
		return nil, err
	}
	m, err := r.readManifest(ctx, *s.Manifest)
	if err != nil {
		return nil, err
	}
	if n := s.Surplus(m); n > 0 {
		r.log().Warn("there are volumes that the manifest does not list: it may have lost its end", "object", s.Manifest.Key, "volumes", n)
	}
	return m, nil
}

func (r *Repository) readManifest(ctx context.Context, o Object) (*manifest.Manifest, error) {
	p, err := r.open(ctx, o, access{})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	m, err := manifest.Read(p, r.ManifestMemory, nil)
	if errors.Is(err, manifest.ErrTooLarge) {
		return nil, fmt.Errorf("%s: %w", o.Key, err)
	}
	if err == nil {
		err = p.finish()
	}
	if err == nil && len(m.Volumes) == 0 {
		err = errors.New("manifest without volumes") // every set has one (duplicity-format.md §3.5)
	}
	if err != nil {
		return nil, p.explain(err)
	}
	return m, nil
}

// Signatures opens a set's signature archive. It comes from the archive if there
// is a copy; else it is copied there first.
func (r *Repository) Signatures(ctx context.Context, s *Set) (*SignatureReader, error) {
	return r.signatures(ctx, s, false)
}

// signatures is Signatures; small says that many are open at once.
func (r *Repository) signatures(ctx context.Context, s *Set, small bool) (*SignatureReader, error) {
	if s.Signatures == nil {
		return nil, fmt.Errorf("%v: %w", s.SetID, ErrNoSignatures)
	}
	if err := s.duplicate(naming.Signatures, 0); err != nil {
		return nil, err
	}
	if r.Archive != nil {
		return r.archivedSignatures(ctx, s, small)
	}
	p, err := r.open(ctx, *s.Signatures, access{small: small})
	if err != nil {
		return nil, err
	}
	return newSignatureReader(p, small), nil
}

func newSignatureReader(p *plainReader, small bool) *SignatureReader {
	if small {
		return &SignatureReader{Reader: difftar.NewSmallReader(p), plain: p}
	}
	return &SignatureReader{Reader: difftar.NewReader(p), plain: p}
}

// SignatureReader reads a signature archive. The entries' order is checked by
// whoever merges them. Damage is a *CorruptError.
type SignatureReader struct {
	*difftar.Reader
	plain *plainReader
	local func(error) error // has the last word on damage to a local copy; or nil
	end   int64             // where the last entry ends in the tar; 0: there was none
}

// errUnended says that a signature archive that has entries lacks the zero blocks
// behind them (duplicity-format.md §3.1). One that was cut between two gzip members
// of ours, or is not compressed, shows its loss by nothing else; and what is lost of
// it would count as deleted, or as never backed up.
var errUnended = fmt.Errorf("%w: the signatures end without a mark", io.ErrUnexpectedEOF)

// Next goes to the next entry; io.EOF comes only after all stored bytes were read
// and proved whole.
func (sr *SignatureReader) Next() (*difftar.Entry, error) {
	e, err := sr.Reader.Next()
	if err == nil {
		sr.end = e.Offset + (e.Size+511)&^511
		return e, nil
	}
	if err == io.EOF {
		err = sr.plain.finish()
		if err == nil && sr.end > 0 && sr.Offset() == sr.end {
			err = errUnended
		}
		if err == nil {
			return nil, io.EOF
		}
	}
	return nil, sr.fail(err)
}

// Read reads the entry's data.
func (sr *SignatureReader) Read(p []byte) (int, error) {
	n, err := sr.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = sr.fail(err)
	}
	return n, err
}

func (sr *SignatureReader) fail(err error) error {
	err = sr.plain.explain(err)
	if sr.local != nil {
		return sr.local(err)
	}
	return err
}

// Close gives back what the reader holds.
func (sr *SignatureReader) Close() error { return sr.plain.Close() }

package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"hindsight/chain/codec"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/store"
)

// archiveKey is the name of the plain copy of a set's signatures: always gzip
// (duplicity-format.md §1.6), and the same whatever the repository's prefixes.
func archiveKey(id SetID) string {
	n := id.name(naming.Signatures)
	n.Compressed = true
	return naming.Scheme{}.Format(n)
}

// manifestCopy is the name of the plain copy of a set's manifest, made by the run that
// made the set, without the list of changed files. It stands in for a manifest that
// must not be read or cannot be decrypted where it was written.
func manifestCopy(id SetID) string { return naming.Scheme{}.Format(id.name(naming.Manifest)) }

// LocalManifest reads the archive's copy of a set's manifest, which only the machine
// has that made the set.
func (r *Repository) LocalManifest(ctx context.Context, id SetID) (*manifest.Manifest, error) {
	if r.Archive == nil {
		return nil, &store.Error{Op: "get", Name: manifestCopy(id), Kind: store.ErrNotExist}
	}
	local := Repository{Store: r.archive()}
	m, err := local.readManifest(ctx, Object{Key: manifestCopy(id)})
	return m, localError(err)
}

// keepManifest makes the copy.
func (r *Repository) keepManifest(ctx context.Context, id SetID, write func(io.Writer) error) error {
	up := startUpload(ctx, r.archive(), manifestCopy(id), store.PutOptions{}, nil)
	if err := write(up); err != nil {
		up.abort(err)
		return localError(err)
	}
	return localError(up.close())
}

// archivedSignatures opens the archive's copy of a set's signatures, made first if
// there is none, or a damaged one. What a copy says is used as it is read, so that it
// must be known to be whole before.
func (r *Repository) archivedSignatures(ctx context.Context, s *Set, small bool) (*SignatureReader, error) {
	err := r.checkArchived(ctx, s.SetID)
	corrupt := (*CorruptError)(nil)
	switch {
	case errors.Is(err, store.ErrNotExist):
		err = r.fetchSignatures(ctx, s)
	case errors.As(err, &corrupt):
		r.log().Warn("a copy in the local archive is damaged and is fetched again", "error", err)
		if ferr := r.fetchSignatures(ctx, s); ferr != nil {
			return nil, fmt.Errorf("%w; in its place: %w", err, ferr)
		}
		err = nil
	}
	if err != nil {
		return nil, err
	}
	p, err := r.openArchived(ctx, archiveKey(s.SetID), access{small: small})
	if err != nil {
		return nil, localError(err)
	}
	sr := newSignatureReader(p, small)
	sr.local = func(err error) error { return r.dropArchived(ctx, archiveKey(s.SetID), err) }
	return sr, nil
}

// dropArchived removes a copy whose checksums are right and whose content is not, so
// that the next run fetches it anew.
func (r *Repository) dropArchived(ctx context.Context, key string, err error) error {
	if corrupt := (*CorruptError)(nil); errors.As(err, &corrupt) {
		_ = r.archive().Delete(context.WithoutCancel(ctx), key) // else the next run tells it again
	}
	return localError(err)
}

// openArchived opens an object of the archive.
func (r *Repository) openArchived(ctx context.Context, key string, how access) (*plainReader, error) {
	local := Repository{Store: r.archive()}
	return local.open(ctx, Object{Name: naming.Name{Compressed: true}, Key: key}, how)
}

// checkArchived reads a copy: whether its checksums are right, and the tar in it ends
// with the mark without which it was cut between two of them. The error is a
// *CorruptError if not.
func (r *Repository) checkArchived(ctx context.Context, id SetID) error {
	p, err := r.openArchived(ctx, archiveKey(id), access{ahead: volumeAhead})
	if err != nil {
		return localError(err)
	}
	defer p.Close() // nothing is written by it
	if err := toEnd(p); err != nil {
		return localError(p.explain(err))
	}
	return nil
}

// toEnd reads an archive to its end, and reports errUnended if that is no end of a tar.
func toEnd(p *plainReader) error {
	tail := tarTail{}
	if _, err := io.Copy(&tail, p); err != nil {
		return err
	}
	if err := p.finish(); err != nil {
		return err
	}
	if !tail.marked() {
		return errUnended
	}
	return nil
}

// tarTail keeps the last block of a tar.
type tarTail struct {
	block [512]byte
	n     int64
}

func (t *tarTail) Write(p []byte) (int, error) {
	n := len(p)
	t.n += int64(n)
	p = p[max(len(p)-len(t.block), 0):]
	copy(t.block[:], t.block[len(p):])
	copy(t.block[len(t.block)-len(p):], p)
	return n, nil
}

// marked reports whether the tar ends with zeros, or is of no bytes at all.
func (t *tarTail) marked() bool { return t.n == 0 || t.n >= 512 && t.block == [512]byte{} }

// localError says of an error of the archive whose it is: it looks like one of the
// store otherwise.
func localError(err error) error {
	if local := (*archiveError)(nil); err == nil || errors.As(err, &local) || errors.Is(err, context.Canceled) {
		return err
	}
	return &archiveError{err}
}

// archiveError is an error of the archive.
type archiveError struct{ err error }

func (e *archiveError) Error() string { return "local archive: " + e.err.Error() }
func (e *archiveError) Unwrap() error { return e.err }

// namedArchive is an archive whose errors say that they are its.
type namedArchive struct{ store.Store }

// archive is the Archive for use within the package.
func (r *Repository) archive() store.Store { return namedArchive{r.Archive} }

func (a namedArchive) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		for o, err := range a.Store.List(ctx, prefix) {
			if !yield(o, localError(err)) {
				return
			}
		}
	}
}

func (a namedArchive) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	rc, err := a.Store.Get(ctx, name, off, length)
	if err != nil {
		return nil, localError(err)
	}
	return namedReader{rc}, nil
}

func (a namedArchive) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	return localError(a.Store.Put(ctx, name, body, opt))
}

func (a namedArchive) Delete(ctx context.Context, name string) error {
	return localError(a.Store.Delete(ctx, name))
}

// PartSize is described at store.ShortParts.
func (a namedArchive) PartSize() int { return store.PartSizeOf(a.Store) }

type namedReader struct{ io.ReadCloser }

func (r namedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = localError(err)
	}
	return n, err
}

// fetchSignatures copies a set's signatures into the archive.
func (r *Repository) fetchSignatures(ctx context.Context, s *Set) error {
	p, err := r.open(ctx, *s.Signatures, access{})
	if err != nil {
		return err
	}
	defer p.Close()
	r.log().Debug("copying signatures to the local archive", "object", s.Signatures.Key)
	up := startUpload(ctx, r.archive(), archiveKey(s.SetID), store.PutOptions{}, nil)
	w, err := codec.NewWriter(ctx, up, codec.Format{Compressed: true}, codec.WriterOptions{Level: archiveLevel})
	if err != nil {
		up.abort(err)
		return err
	}
	from := &copySource{r: p}
	_, err = io.Copy(w, from)
	if err == nil {
		from.err = p.finish()
		err = from.err
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		w.Abort()
		up.abort(err)
		if from.err != nil {
			return p.explain(from.err)
		}
		return localError(err)
	}
	return localError(up.close())
}

// copySource remembers the error of a reader, to tell it from that of the writer that
// its bytes are copied to.
type copySource struct {
	r   io.Reader
	err error
}

func (s *copySource) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != io.EOF {
		s.err = err
	}
	return n, err
}

// archiveLevel is the compression of local copies: they are read more often than
// they are worth the space.
const archiveLevel = 1

// SyncArchive removes from the archive what belongs to no set of the collection, and
// what killed runs left. No SetWriter may be at work on the archive.
func (r *Repository) SyncArchive(ctx context.Context, c *Collection) error {
	if r.Archive == nil {
		return nil
	}
	known := make(map[string]bool)
	for _, ch := range c.Chains {
		for _, s := range ch.Sets {
			for _, name := range []string{archiveKey(s.SetID), manifestCopy(s.SetID), archivedTOC(s.SetID), sigTableKey(s.SetID)} {
				known[name] = true
			}
		}
	}
	for o, err := range r.archive().List(ctx, "") {
		if err != nil {
			return err
		}
		n, ok := naming.Scheme{}.Parse(o.Name)
		copied := ok && (n.Kind == naming.Signatures || n.Kind == naming.Manifest || n.Kind == naming.TOC) && !n.Partial
		spool := strings.HasPrefix(o.Name, changesPrefix) || strings.HasPrefix(o.Name, spoolPrefix)
		table := strings.HasPrefix(o.Name, sigTablePrefix)
		if stale := (copied || table) && !known[o.Name] || spool; !stale {
			continue
		}
		if err := r.archive().Delete(ctx, o.Name); err != nil {
			return err
		}
	}
	return nil
}

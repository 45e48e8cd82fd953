package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
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

// archivedSignatures opens the archive's copy of a set's signatures, made first if
// there is none.
func (r *Repository) archivedSignatures(ctx context.Context, s *Set) (*SignatureReader, error) {
	p, err := r.openArchived(ctx, s.SetID)
	if errors.Is(err, store.ErrNotExist) {
		if err := r.fetchSignatures(ctx, s); err != nil {
			return nil, err
		}
		p, err = r.openArchived(ctx, s.SetID)
	}
	if err != nil {
		return nil, fmt.Errorf("local archive: %w", err)
	}
	local := func(err error) error { return r.dropArchived(ctx, s.SetID, err) }
	return &SignatureReader{Reader: difftar.NewReader(p), plain: p, local: local}, nil
}

func (r *Repository) openArchived(ctx context.Context, id SetID) (*plainReader, error) {
	local := Repository{Store: r.Archive}
	return local.open(ctx, Object{Name: naming.Name{Compressed: true}, Key: archiveKey(id)}, access{})
}

// dropArchived removes a copy that turned out to be damaged, so that the next run
// fetches it anew.
func (r *Repository) dropArchived(ctx context.Context, id SetID, err error) error {
	if corrupt := (*CorruptError)(nil); errors.As(err, &corrupt) {
		derr := r.Archive.Delete(context.WithoutCancel(ctx), archiveKey(id))
		r.log().Warn("removing a damaged copy from the local archive; the next run fetches it again", "object", archiveKey(id), "error", errors.Join(err, derr))
	}
	return fmt.Errorf("local archive: %w", err)
}

// fetchSignatures copies a set's signatures into the archive.
func (r *Repository) fetchSignatures(ctx context.Context, s *Set) error {
	p, err := r.open(ctx, *s.Signatures, access{})
	if err != nil {
		return err
	}
	defer p.Close()
	r.log().Debug("copying signatures to the local archive", "object", s.Signatures.Key)
	up := startUpload(ctx, r.Archive, archiveKey(s.SetID), store.PutOptions{}, nil)
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
		return fmt.Errorf("local archive: %w", err)
	}
	if err := up.close(); err != nil {
		return fmt.Errorf("local archive: %w", err)
	}
	return nil
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
			known[archiveKey(s.SetID)] = true
		}
	}
	for o, err := range r.Archive.List(ctx, "") {
		if err != nil {
			return err
		}
		n, ok := naming.Scheme{}.Parse(o.Name)
		signatures := ok && n.Kind == naming.Signatures && !n.Partial
		if stale := signatures && !known[o.Name] || strings.HasPrefix(o.Name, changesPrefix); !stale {
			continue
		}
		if err := r.Archive.Delete(ctx, o.Name); err != nil {
			return err
		}
	}
	return nil
}

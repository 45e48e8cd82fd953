package backup

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"hindsight/chain"
	"hindsight/chain/manifest"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
)

var (
	// ErrUnencrypted is told to Warn when an encrypted chain gets a set that is not.
	ErrUnencrypted = errors.New("the chain is encrypted, this backup is not: anyone who reads the store reads it")
	// ErrExposed is told to Warn when a chain gets encrypted sets upon one that is not.
	ErrExposed = errors.New("this backup is encrypted, the one before it is not: anyone who reads the store reads that; run hindsight full to begin an encrypted chain")
	// ErrBroken is told to Warn when what the new set builds on is not whole.
	ErrBroken = errors.New("this chain cannot be restored whole; run hindsight full")
)

const (
	// maxChecked is how many sets of a chain are held against their manifests: the
	// full and the newest.
	maxChecked = 1000
	// maxSealed is that of a chain that is encrypted with a passphrase, where each
	// manifest may cost a key derivation; maxForeign where keys are on a card, say,
	// which asks its owner each time.
	maxSealed, maxForeign = 16, 2
	// maxManifest is the most bytes, as stored, of a manifest that is read for it.
	maxManifest = 4 << 20
	// manifestsAtOnce is how many are read at once: mostly one waits for the store.
	manifestsAtOnce = 8
)

// manifests is what was read of the base's.
type manifests map[chain.SetID]readManifest

type readManifest struct {
	m      *manifest.Manifest
	err    error
	denied bool // the store does not let anyone read here
}

// readFor reads a set's manifest; where that is denied, or it cannot be decrypted here,
// the copy that this machine keeps of its own. Of a set that is encrypted to keys the
// copy comes first: here may be nobody who can decrypt, nor be allowed to read, and a
// card would ask its owner.
func (r *run) readFor(ctx context.Context, s *chain.Set) (got readManifest) {
	if toKeys := r.Set.Session != nil && !r.Set.Session.Symmetric(); toKeys && s.Manifest.Encrypted {
		if m, err := r.Repository.LocalManifest(ctx, s.SetID); err == nil {
			return readManifest{m: m}
		}
	}
	got.m, got.err = r.Repository.Manifest(ctx, s)
	got.denied = errors.Is(got.err, store.ErrPermission)
	if closed(s, got.err) {
		if m, err := r.Repository.LocalManifest(ctx, s.SetID); err == nil {
			got.m, got.err = m, nil
		}
	}
	return got
}

// of reads a set's manifest, once. It is for one goroutine.
func (ms manifests) of(ctx context.Context, r *run, s *chain.Set) (*manifest.Manifest, error) {
	got, ok := ms[s.SetID]
	if !ok {
		got = r.readFor(ctx, s)
		ms[s.SetID] = got
	}
	return got.m, got.err
}

// checkBase looks at the chain that is to be continued before anything is written.
func (r *run) checkBase(ctx context.Context) error {
	if len(r.base) == 0 {
		return nil
	}
	read := make(manifests)
	if !r.AllowSourceMismatch {
		if err := r.checkOrigin(ctx, read); err != nil {
			return err
		}
	}
	if err := r.checkPassphrase(ctx, read); err != nil {
		return err
	}
	r.checkEncryption()
	return r.checkVolumes(ctx, read)
}

// keyAbsent reports whether a manifest cannot be decrypted here, as it should be
// where a machine may write backups and not read them.
func keyAbsent(err error) bool {
	return errors.Is(err, pgp.ErrNoSecretKey) || errors.Is(err, pgp.ErrNoPassphrase)
}

// closed reports whether an error says that a manifest must not be read here, or
// cannot be.
func closed(s *chain.Set, err error) bool {
	return s.Manifest.Encrypted && keyAbsent(err) || errors.Is(err, store.ErrPermission)
}

// lastSealed is the newest set of the base that is encrypted, or nil.
func (r *run) lastSealed() *chain.Set {
	for i := len(r.base) - 1; i >= 0; i-- {
		if r.base[i].Manifest.Encrypted {
			return r.base[i]
		}
	}
	return nil
}

// checkPassphrase refuses a passphrase that does not open the chain: nobody would
// know the two apart who wants to restore it.
func (r *run) checkPassphrase(ctx context.Context, read manifests) error {
	sealed := r.lastSealed()
	if sealed == nil || !r.Set.Format.Encrypted || r.Set.Session == nil || !r.Set.Session.Symmetric() {
		return nil
	}
	if _, err := read.of(ctx, r, sealed); errors.Is(err, pgp.ErrWrongPassphrase) {
		return err
	}
	return ctx.Err()
}

// checkEncryption warns when the new set is not protected as the chain is.
func (r *run) checkEncryption() {
	switch last := r.base[len(r.base)-1]; {
	case !r.Set.Format.Encrypted && r.lastSealed() != nil:
		r.caution(ErrUnencrypted)
	case r.Set.Format.Encrypted && !last.Manifest.Encrypted:
		r.caution(ErrExposed)
	}
}

// checkVolumes warns, once, if volumes of the base are missing: of the sets whose
// manifests cost little to read those that are listed, of the others those before
// the last that is there.
func (r *run) checkVolumes(ctx context.Context, read manifests) error {
	limit := maxChecked
	if r.lastSealed() != nil {
		limit = maxForeign
		if r.Set.Session != nil && r.Set.Session.Symmetric() {
			limit = maxSealed
		}
	}
	for _, got := range read {
		if got.denied { // and so would the others be
			limit = 1
		}
	}
	found := make([]error, len(r.base))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(manifestsAtOnce)
	for i, s := range r.base {
		got, known := read[s.SetID]
		switch {
		case known:
			found[i] = missing(s, got)
		case i > 0 && i <= len(r.base)-limit, s.Manifest.Size > maxManifest:
			m, err := r.Repository.LocalManifest(ctx, s.SetID)
			if err != nil {
				found[i] = gap(s)
				continue
			}
			found[i] = missing(s, readManifest{m: m})
		default:
			g.Go(func() error {
				found[i] = missing(s, r.readFor(gctx, s))
				return gctx.Err()
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, err := range found {
		if err != nil {
			r.caution(err)
			break
		}
	}
	return nil
}

// missing is what a set lacks to be restored, as far as its manifest can tell.
func missing(s *chain.Set, got readManifest) error {
	corrupt := (*chain.CorruptError)(nil)
	switch {
	case got.err == nil:
		for _, v := range got.m.Volumes {
			if _, err := s.Volume(v.Number); errors.Is(err, chain.ErrMissingVolume) {
				return missingVolume(s, v.Number)
			}
		}
		return nil
	case errors.Is(got.err, pgp.ErrLocked), errors.Is(got.err, pgp.ErrUnsupported):
		return gap(s)
	case errors.As(got.err, &corrupt), errors.Is(got.err, store.ErrNotExist):
		return fmt.Errorf("the manifest of the %s of %v cannot be read (%w): %w", kind(s), s.End, got.err, ErrBroken)
	}
	return gap(s) // the store may be better another time
}

// gap is missing for a set whose manifest is not read.
func gap(s *chain.Set) error {
	want := 1
	for _, v := range s.Volumes {
		if v.Volume > want {
			break
		}
		want = v.Volume + 1
	}
	if n := len(s.Volumes); n > 0 && want > s.Volumes[n-1].Volume {
		return nil
	}
	return missingVolume(s, want)
}

func missingVolume(s *chain.Set, number int) error {
	return fmt.Errorf("volume %d of the %s of %v is missing: %w", number, kind(s), s.End, ErrBroken)
}

func kind(s *chain.Set) string {
	if s.Inc {
		return "incremental"
	}
	return "full"
}

// caution tells of a trouble with the chain, which is none of a file's and no error
// in duplicity's statistics.
func (r *run) caution(err error) {
	r.warning.Lock()
	defer r.warning.Unlock()
	if r.Warn != nil {
		r.Warn("", err)
	}
}

package chain

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
)

// SetOptions says how a set is written.
type SetOptions struct {
	VolumeSize int64        // bytes stored at which a volume ends, about; 0: DefaultVolumeSize
	Format     codec.Format // of volumes and signatures
	Session    *pgp.Session // if Format is encrypted
	Level      int          // of compression; 0: codec.DefaultLevel of what is written
	Pool       *codec.Pool  // compresses; required
	Memory     int64        // bytes for parts on their way to the store; at least one part is allowed
	Uploads    int          // objects on their way at once, at most as many as Memory has parts; 0: 2
	Hostname   string       // for the manifest
	LocalDir   string       // for the manifest
	NoChanges  bool         // leave the list of changed files out of the manifest
	// Confirm is called when all but the manifest is on the store; an error keeps
	// the set from being committed.
	Confirm func(context.Context) error
}

// DefaultVolumeSize is duplicity's, in bytes.
const DefaultVolumeSize = 200 << 20

// SetWriter writes one set. Entries come in path order from one goroutine; what it
// returns as an error may belong to an earlier call. It must end with Commit or
// Abort.
type SetWriter struct {
	repo *Repository
	id   SetID
	opt  SetOptions

	ctx     context.Context
	cancel  context.CancelCauseFunc
	buffers *partBuffers
	slots   chan struct{}  // one for each object on its way
	wg      sync.WaitGroup // of all that is on its way
	sealed  sync.WaitGroup // of volumes that are not all compressed yet

	volume     *volumeWriter
	volumes    []manifest.Volume // by number; Hashes set when the volume is durable
	signatures *archiveWriter
	sigtar     *difftar.Writer
	changes    *changeList
	toc        *tocWriter
	committed  bool

	mu     sync.Mutex
	stored int64 // bytes put on the store
	put    []*putting
}

// putting is an object that the set has put, or tried to.
type putting struct {
	key     string
	outcome outcome
}

// outcome is what became of a Put. While it is unknown the object may be there: the
// answer may be lost, or the Put given up too late.
type outcome uint8

const (
	unknown outcome = iota
	durable
	foreign // somebody else's object has the name
)

// NewSetWriter begins a set. The repository must have an Archive.
func (r *Repository) NewSetWriter(ctx context.Context, id SetID, opt SetOptions) (*SetWriter, error) {
	if opt.VolumeSize <= 0 {
		opt.VolumeSize = DefaultVolumeSize
	}
	if opt.Uploads <= 0 {
		opt.Uploads = 2
	}
	parts := max(opt.Memory/int64(store.PartSizeOf(r.Store)), 1)
	opt.Uploads = int(min(int64(opt.Uploads), parts))
	w := &SetWriter{
		repo: r, id: id, opt: opt,
		buffers: newPartBuffers(r.Store, max(opt.Memory, 1)),
		slots:   make(chan struct{}, opt.Uploads),
	}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	err := w.failure(r.noteUnfinished(w.ctx, id))
	if err != nil {
		w.cancel(err)
		return nil, err
	}
	if w.signatures, err = w.newArchiveWriter(archiveKey(id), true); err == nil {
		w.sigtar = difftar.NewSigtarWriter(w.signatures)
		w.changes, err = w.newChangeList()
	}
	if err == nil {
		w.toc, err = w.newTOCWriter()
	}
	if err = w.failure(err); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// Add writes one entry and its data, which it does not keep.
func (w *SetWriter) Add(e *difftar.Entry, data []byte) error {
	position := manifest.Position{Path: e.Path}
	if e.Part > 0 && e.Size == difftar.PartSize {
		position.Block = e.Part // not that of a last part (duplicity-format.md §3.4)
	}
	if w.volume != nil && w.volume.compressed.Reaches(w.opt.VolumeSize-e.Size) {
		if err := w.endVolume(); err != nil {
			return err
		}
	}
	if w.volume == nil {
		if err := w.beginVolume(position); err != nil {
			return err
		}
	}
	v := w.volume
	v.end = position
	v.compressed.Mark()
	if err := v.tar.WriteHeader(e); err != nil {
		return w.failure(err)
	}
	if err := w.toc.add(e, data, w.Volumes(), v.tar.Offset()); err != nil {
		return err
	}
	_, err := v.tar.Write(data)
	return w.failure(err)
}

// AddSignature ends the path whose entries were added last. It writes an entry of the
// signature archive: Signature with its data, a header of anything but a file, or
// Deleted. d, nil for what is deleted, goes to the portable index.
func (w *SetWriter) AddSignature(e *difftar.Entry, data []byte, d *Details) error {
	if err := w.sigtar.WriteHeader(e); err != nil {
		return w.failure(err)
	}
	at := w.sigtar.Offset()
	if _, err := w.sigtar.Write(data); err != nil {
		return w.failure(err)
	}
	return w.failure(w.toc.end(e, at, d))
}

// Changed notes a file for the manifest's list of changed files.
func (w *SetWriter) Changed(c manifest.Change) error {
	if w.opt.NoChanges {
		return nil
	}
	return w.failure(w.changes.add(c))
}

// Stored is the number of bytes that are durable on the store. It may be called
// from any goroutine.
func (w *SetWriter) Stored() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stored
}

// Volumes is the number of volumes begun.
func (w *SetWriter) Volumes() int { return len(w.volumes) }

// failure prefers the reason for which the set was given up to its consequences.
func (w *SetWriter) failure(err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(w.ctx); cause != nil {
		return cause
	}
	return err
}

func (w *SetWriter) codecOptions() codec.WriterOptions {
	return codec.WriterOptions{Level: w.opt.Level, Pool: w.opt.Pool, Session: w.opt.Session}
}

// note remembers an object that Abort may have to remove.
func (w *SetWriter) note(key string) *putting {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &putting{key: key}
	w.put = append(w.put, p)
	return p
}

// settle notes what became of an upload that has ended.
func (w *SetWriter) settle(p *putting, up *upload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case up.err == nil:
		p.outcome = durable
	case errors.Is(up.err, store.ErrExist):
		p.outcome = foreign
	}
}

func (w *SetWriter) addStored(n int64) {
	w.mu.Lock()
	w.stored += n
	w.mu.Unlock()
}

// Abort gives the set up and removes what of it is on the store and in the archive,
// as far as that is possible: what stays is ignored by every reader, or whole. It does
// nothing after a Commit that succeeded.
func (w *SetWriter) Abort() {
	if w.committed {
		return
	}
	w.cancel(errors.New("backup given up"))
	if w.volume != nil {
		w.abortVolume(w.volume)
		w.volume = nil
	}
	w.wg.Wait()
	if w.signatures != nil {
		w.signatures.abort()
	}
	if w.changes != nil {
		w.changes.abort()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortTimeout)
	defer cancel()
	if w.toc != nil {
		w.toc.abort(ctx)
	}
	shared := w.shared()
	if err := w.removePut(ctx, shared); err != nil {
		w.repo.log().Warn("the unfinished backup leaves objects behind; the next backup or cleanup removes them", "error", err)
		if !shared { // else the next backup must not take the other set for remains
			return
		}
	}
	_ = w.repo.archive().Delete(ctx, archiveKey(w.id)) // a copy of nothing, removed by the next run if not now
	_ = w.repo.archive().Delete(ctx, w.repo.unfinishedKey(w.id))
}

// abortTimeout bounds what Abort spends on removing.
const abortTimeout = 30 * time.Second

// shared reports whether a name was taken: another run is writing, or has written, a
// set of the same times.
func (w *SetWriter) shared() bool {
	return slices.ContainsFunc(w.put, func(p *putting) bool { return p.outcome == foreign })
}

// removePut deletes what was put, the last first, so that a manifest that may be
// there goes before what it names. Of a shared set only what is certainly ours goes,
// and nothing at all if it may have its manifest.
func (w *SetWriter) removePut(ctx context.Context, shared bool) error {
	manifestKey := w.manifestKey()
	for _, p := range slices.Backward(w.put) {
		switch {
		case shared && p.key == manifestKey && p.outcome != durable:
			return errors.New("another backup has made a set of the same times")
		case p.outcome == foreign, shared && p.outcome == unknown:
			continue
		}
		if err := w.repo.Store.Delete(ctx, p.key); err != nil {
			return err
		}
	}
	return nil
}

// countingWriter counts bytes.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

package chain

import (
	"context"
	"errors"
	"sync"
	"time"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
	"hindsight/chain/naming"
	"hindsight/chain/toc"
)

// Details is what the portable index keeps of a path and an archive has no room for.
type Details struct {
	ModTime time.Time
	Size    int64    // bytes of content, of a regular file
	Hash    [32]byte // BLAKE3 of that
	Xattrs  []toc.Xattr
	Link    toc.Link
}

// tocWriter makes the portable index of a set while that is written. It lies in the
// archive until the set is whole: volumes go into it as they are sealed; entries,
// which come behind them, into a spool meanwhile.
type tocWriter struct {
	set     *SetWriter
	spool   *archiveWriter
	entries *toc.EntryWriter
	out     *archiveWriter
	index   *toc.Writer

	entry    toc.Entry // of the path whose entries are being written
	streamed int64     // bytes of its stored stream
	ops      librsync.OpDecoder

	// Volumes become durable in any order. Those that are ahead wait for the ones
	// before them; there are no more than uploads at once.
	mu      sync.Mutex
	next    int
	waiting map[int]*toc.Volume
	err     error // of the volumes; sticks
}

// spoolPrefix begins the names of spools in the archive, which no parser of backups
// takes for one of its own.
const spoolPrefix = "toc-entries."

func tocHeader(id SetID) toc.Header { return toc.Header{Inc: id.Inc, Start: id.Start, End: id.End} }

// archivedTOC is the name of the archive's copy of a set's portable index.
func archivedTOC(id SetID) string {
	n := id.name(naming.TOC)
	n.Compressed = true
	return naming.Scheme{}.Format(n)
}

func (w *SetWriter) newTOCWriter() (*tocWriter, error) {
	t := &tocWriter{set: w, next: 1, waiting: make(map[int]*toc.Volume)}
	var err error
	if t.spool, err = w.newArchiveWriter(t.spoolKey(), false); err != nil {
		return t, err
	}
	t.entries = toc.NewEntryWriter(t.spool)
	if t.out, err = w.newArchiveWriter(archivedTOC(w.id), true); err != nil {
		return t, err
	}
	t.index = toc.NewWriter(t.out, tocHeader(w.id))
	return t, nil
}

func (t *tocWriter) spoolKey() string { return spoolPrefix + t.set.id.End.String() }

// add takes an entry of the difftar, whose data begin at tar in a volume.
func (t *tocWriter) add(e *difftar.Entry, data []byte, volume int, tar int64) error {
	if e.Part <= 1 {
		t.begin(e)
	}
	if len(data) > 0 {
		t.entry.Stream = extent.Append(t.entry.Stream, extent.Extent{
			Off: t.streamed, Len: int64(len(data)), Place: extent.Place{Volume: uint32(volume), Tar: tar},
		})
		t.streamed += int64(len(data))
	}
	if e.Kind != difftar.Diff || t.entry.OpsUnknown {
		return nil
	}
	err := t.ops.Decode(data, func(op librsync.Op, _ []byte) error {
		t.entry.Ops = extent.AppendOp(t.entry.Ops, op)
		if len(t.entry.Ops) > toc.MaxOps {
			return errTooManyOps
		}
		return nil
	})
	if err != nil { // whoever needs them reads the volume
		t.entry.Ops, t.entry.OpsUnknown = nil, true
	}
	return nil
}

var errTooManyOps = errors.New("more ops than the portable index takes")

func (t *tocWriter) begin(e *difftar.Entry) {
	t.entry = toc.Entry{Path: e.Path, Kind: e.Kind, Meta: e.Meta, Stream: t.entry.Stream[:0], Ops: t.entry.Ops[:0]}
	t.streamed = 0
	t.ops = librsync.OpDecoder{}
	if e.Kind == difftar.Deleted {
		t.entry.Meta = difftar.Meta{}
	}
}

// end takes what is left to say of the path: where its signature of n bytes begins in
// the sigtar, and its details.
func (t *tocWriter) end(sig *difftar.Entry, at int64, d *Details) error {
	e := &t.entry
	if e.Kind != difftar.Deleted && d != nil {
		e.Sec, e.Nsec = d.ModTime.Unix(), int32(d.ModTime.Nanosecond())
		e.Xattrs, e.Link = d.Xattrs, d.Link
	}
	if sig.Kind == difftar.Signature {
		e.Size, e.Hash, e.HasHash = d.Size, d.Hash, true
		if e.SigLen = sig.Size; e.SigLen > 0 {
			e.SigOffset, e.SigShift = at, sig.MTime-e.MTime
		}
	}
	return t.entries.Write(e)
}

// volume takes a volume that is sealed. It may be called from any goroutine.
func (t *tocWriter) volume(v *toc.Volume) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting[v.Number] = v
	for t.err == nil && t.waiting[t.next] != nil {
		t.err = t.index.Volume(t.waiting[t.next])
		delete(t.waiting, t.next)
		t.next++
	}
	return t.err
}

// close ends the index, which is in the archive then, with the table of the
// signatures as they are stored.
func (t *tocWriter) close(ctx context.Context, signatures *toc.Object) error {
	if err := t.entries.Flush(); err != nil {
		return err
	}
	if err := t.spool.close(); err != nil {
		return err
	}
	p, err := t.set.repo.openArchived(ctx, t.spoolKey(), access{ahead: volumeAhead})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := t.index.Signatures(signatures); err != nil {
		return err
	}
	if err := t.index.CopyEntries(p, t.entries.Count()); err != nil {
		return err
	}
	if err := t.index.Close(); err != nil {
		return err
	}
	return t.out.close()
}

// remove deletes the spool; one that stays is deleted by SyncArchive.
func (t *tocWriter) remove(ctx context.Context) {
	_ = t.set.repo.archive().Delete(context.WithoutCancel(ctx), t.spoolKey())
}

func (t *tocWriter) abort(ctx context.Context) {
	for _, a := range []*archiveWriter{t.spool, t.out} {
		if a != nil {
			a.abort()
		}
	}
	t.remove(ctx)
	_ = t.set.repo.archive().Delete(ctx, archivedTOC(t.set.id))
}

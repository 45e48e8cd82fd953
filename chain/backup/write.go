package backup

import (
	"context"
	"errors"
	"io/fs"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/toc"
)

// write stores what a task has found.
func (r *run) write(ctx context.Context, t *task) error {
	switch {
	case t.deleted():
		return r.writeDeleted(t)
	case t.item.Type != difftar.Regular:
		<-t.parts // closed when the object was read
		if t.err != nil {
			return t.err
		}
		return r.writeObject(t)
	}
	return r.writeFile(ctx, t)
}

func (r *run) writeDeleted(t *task) error {
	r.stats.DeltaEntries++
	r.stats.DeletedFiles++
	e := difftar.Entry{Path: t.path, Kind: difftar.Deleted}
	if err := r.writer.Add(&e, nil); err != nil {
		return err
	}
	if err := r.writer.AddSignature(&e, nil, nil); err != nil {
		return err
	}
	if t.was != difftar.Regular { // only files are listed (duplicity-format.md §2)
		return nil
	}
	return r.writer.Changed(manifest.Change{Word: manifest.Deleted, Path: t.path})
}

// writeObject stores what has no content.
func (r *run) writeObject(t *task) error {
	r.countStored(t, t.item.StatSize)
	e := difftar.Entry{Path: t.path, Kind: difftar.Snapshot, Meta: t.item.Meta}
	if err := r.writer.Add(&e, nil); err != nil {
		return err
	}
	return r.writer.AddSignature(&e, nil, r.details(t))
}

// writeFile stores a regular file as its parts come.
func (r *run) writeFile(ctx context.Context, t *task) error {
	var stored int64
	e := difftar.Entry{Path: t.path}
	for p := range t.parts {
		if e.Kind == 0 {
			e.Kind, e.Meta = t.kind, t.meta
		}
		if p.n == difftar.PartSize || e.Part > 0 {
			e.Part++
		}
		e.Size = int64(p.n)
		stored += e.Size
		err := r.writer.Add(&e, p.bytes())
		p.free()
		if err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil: // perhaps in the middle of the file
		return context.Cause(ctx)
	case e.Kind == 0:
		return r.unread(t)
	case t.err != nil:
		return t.err
	}
	r.stats.RawDeltaSize += stored
	if t.changed {
		r.stats.ChangedDeltaSize += stored
	}
	if t.warning != nil {
		r.warn(t.path, t.warning)
	}
	return r.wrote(t)
}

// wrote does what follows a file's content. The list of changed files says of it
// what duplicity's would, which stores every changed file as a diff.
func (r *run) wrote(t *task) error {
	r.countStored(t, t.size)
	sig := difftar.Entry{Path: t.path, Kind: difftar.Signature, Meta: t.meta, Size: int64(len(t.signature))}
	if t.warning != nil {
		sig.MTime = doubtful(sig.MTime)
	}
	if err := r.writer.AddSignature(&sig, t.signature, r.details(t)); err != nil {
		return err
	}
	change := manifest.Change{Word: manifest.New, Path: t.path}
	if t.changed {
		change.Word = manifest.Changed
	}
	return r.writer.Changed(change)
}

// details is what of an object goes to the portable index alone.
func (r *run) details(t *task) *chain.Details {
	d := &chain.Details{ModTime: t.modTime, Size: t.size, Hash: t.hash}
	if t.item.Nlink > 1 && t.item.Type != difftar.Directory {
		d.Link = toc.Link{Dev: t.item.Dev, Ino: t.item.Ino}
	}
	if t.longXattrs {
		r.readLongXattrs(t)
	}
	for _, a := range t.xattrs {
		d.Xattrs = append(d.Xattrs, toc.Xattr{Name: a.Name, Value: a.Value})
	}
	return d
}

// readLongXattrs reads attributes that were too long to be kept by the reader.
func (r *run) readLongXattrs(t *task) {
	r.readXattrs(t, &t.item, toc.MaxXattrs)
	if t.longXattrs {
		r.Log.Warn("extended attributes are too long to be kept", "path", t.path, "limit", toc.MaxXattrs)
	}
}

// doubtful is the time that a signature gets if what is stored may not be the file
// as it is: one that the file hardly has, so that the next backup, ours or
// duplicity's, takes it for changed and reads it again. A file that is written to in
// the very second in which it was read would be missed otherwise.
func doubtful(mtime int64) int64 {
	if mtime > 1 {
		return mtime - 1
	}
	return 2
}

// unread deals with a file that could not even be begun: it stays as it was in the
// last backup, unless that had no file there, or it is gone by now.
func (r *run) unread(t *task) error {
	if t.path == "" {
		return t.err // there is nothing else to back up
	}
	vanished := errors.Is(t.err, fs.ErrNotExist)
	if vanished {
		r.Log.Debug("vanished before it was read", "path", t.path)
	} else {
		r.warn(t.path, t.err)
	}
	if t.was != 0 && (vanished || t.was != difftar.Regular) {
		return r.writeDeleted(t)
	}
	return nil
}

// count does the statistics of a dry run, which reads no content.
func (r *run) count(t *task) {
	if t.deleted() {
		r.stats.DeletedFiles++
		r.stats.DeltaEntries++
		return
	}
	r.countStored(t, t.item.StatSize)
}

// countStored counts an object that is, or would be, in the set.
func (r *run) countStored(t *task, size int64) {
	r.stats.DeltaEntries++
	if t.changed {
		r.stats.ChangedFiles++
		r.stats.ChangedFileSize += size
		return
	}
	r.stats.NewFiles++
	r.stats.NewFileSize += size
}

package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"hindsight/chain/codec"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/toc"
)

// Commit ends the set: the last volume, the signatures, the portable index and, when
// all that is durable and still there, the manifest. Signatures and index go up beside the
// last volumes as far as there is room. After an error nothing but ignorable remains is
// left, and Abort tries to remove those.
func (w *SetWriter) Commit() error {
	if w.volume == nil && len(w.volumes) == 0 {
		if err := w.beginVolume(manifest.Position{}); err != nil { // there is always one
			return err
		}
	}
	if err := w.endVolume(); err != nil {
		return err
	}
	signatures, err := w.putSignatures()
	if err != nil {
		return w.failure(err)
	}
	if err := w.putTOC(signatures); err != nil {
		return w.failure(err)
	}
	w.wg.Wait()
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if w.opt.Confirm != nil {
		if err := w.opt.Confirm(w.ctx); err != nil {
			return err
		}
	}
	if err := w.checkVolumes(); err != nil {
		return err
	}
	if err := w.putManifest(); err != nil {
		return err
	}
	w.committed = true
	err = w.repo.keepManifest(w.ctx, w.id, func(dst io.Writer) error {
		_, err := w.manifestHead(dst)
		return err
	})
	if err != nil {
		w.repo.log().Info("no local copy of the manifest", "error", err) // the next run has less to check
	}
	w.changes.remove(w.ctx)
	w.toc.remove(w.ctx)
	_ = w.repo.archive().Delete(w.ctx, w.repo.unfinishedKey(w.id)) // a note about a complete set is ignored
	w.cancel(nil)
	return nil
}

// checkVolumes makes sure that the volumes that the manifest will name are still
// there: a cleanup on another machine takes a set that is being written for remains.
func (w *SetWriter) checkVolumes() error {
	left := make(map[string]bool, len(w.volumes))
	n := w.id.name(naming.Volume)
	for i := range w.volumes {
		n.Volume = i + 1
		left[w.repo.key(n, w.opt.Format)] = true
	}
	last := w.repo.key(n, w.opt.Format)
	for o, err := range w.repo.Store.List(w.ctx, last[:strings.LastIndex(last, ".vol")]) {
		if err != nil {
			return w.failure(err)
		}
		delete(left, o.Name)
	}
	for key := range left {
		return fmt.Errorf("%s: %w", key, ErrRemoved)
	}
	return nil
}

// putSignatures ends the signatures and begins to put them. It returns how what is stored
// may be read in the middle.
func (w *SetWriter) putSignatures() (*toc.Object, error) {
	if err := w.sigtar.Finish(); err != nil {
		return nil, err
	}
	if err := w.signatures.close(); err != nil {
		return nil, err
	}
	size, table, err := w.putArchived(w.repo.key(w.id.name(naming.Signatures), w.opt.Format), archiveKey(w.id))
	if err != nil {
		return nil, err
	}
	if table == nil { // stored as it is in the archive
		table = w.signatures.Table()
	}
	return &toc.Object{Size: size, Table: table}, nil
}

// putTOC ends the portable index, which is known when the last volume is compressed, and
// begins to put it.
func (w *SetWriter) putTOC(signatures *toc.Object) error {
	w.sealed.Wait()
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if err := w.toc.close(w.ctx, signatures); err != nil {
		return err
	}
	_, _, err := w.putArchived(w.repo.key(w.id.name(naming.TOC), w.opt.Format), archivedTOC(w.id))
	return err
}

// asArchived says that the store gets what the archive has as it is.
func (w *SetWriter) asArchived() bool { return w.opt.Format == codec.Format{Compressed: true} }

// putArchived begins to put an object of the archive in the set's format. It returns its
// size, and its table unless it is stored just as it is in the archive. An error that comes
// later cancels the set.
func (w *SetWriter) putArchived(key, archived string) (int64, *codec.Table, error) {
	if w.asArchived() {
		body, err := w.repo.archive().Get(w.ctx, archived, 0, -1)
		if err != nil {
			return 0, nil, err
		}
		defer body.Close()
		size, _, err := w.putBeside(key, codec.Format{}, body)
		return size, nil, err
	}
	p, err := w.repo.openArchived(w.ctx, archived, access{})
	if err != nil {
		return 0, nil, err
	}
	defer p.Close()
	return w.putBeside(key, w.opt.Format, p)
}

// putBeside begins to put one object with all that r yields, in a format, and does not
// wait until it is durable.
func (w *SetWriter) putBeside(key string, f codec.Format, r io.Reader) (int64, *codec.Table, error) {
	if err := w.takeSlot(); err != nil {
		return 0, nil, err
	}
	o, err := w.encode(key, f, func(dst io.Writer) error {
		_, err := io.Copy(dst, r)
		return err
	})
	if err != nil {
		<-w.slots
		return 0, nil, err
	}
	w.wg.Go(func() {
		defer func() { <-w.slots }()
		if err := o.finish(); err != nil {
			w.cancel(err)
		}
	})
	return o.count.n, o.compressed.Table(), nil
}

// takeSlot waits until one more object may be on its way.
func (w *SetWriter) takeSlot() error {
	select {
	case w.slots <- struct{}{}:
		return nil
	case <-w.ctx.Done():
		return w.failure(w.ctx.Err())
	}
}

// object is one that is not a volume, and whose content has been written.
type object struct {
	set        *SetWriter
	key        string
	put        *putting
	compressed *codec.Writer
	count      *countingWriter
	upload     *upload
}

// encode writes what write writes, in a format, to an object that is to be finished.
func (w *SetWriter) encode(key string, f codec.Format, write func(io.Writer) error) (*object, error) {
	o := &object{set: w, key: key, put: w.note(key)}
	o.upload = startUpload(w.ctx, w.repo.Store, key, store.PutOptions{IfAbsent: true}, w.buffers)
	o.count = &countingWriter{w: o.upload}
	var err error
	if o.compressed, err = codec.NewWriter(w.ctx, o.count, f, w.codecOptions()); err == nil {
		if err = write(o.compressed); err == nil {
			err = o.compressed.Close()
		}
		if err != nil {
			o.compressed.Abort()
		}
	}
	if err != nil {
		o.upload.abort(err)
		w.settle(o.put, o.upload)
		return nil, w.failure(writeError(key, err))
	}
	return o, nil
}

// finish waits until the object is durable.
func (o *object) finish() error {
	err := o.upload.close()
	o.set.settle(o.put, o.upload)
	if err != nil {
		return o.set.failure(writeError(o.key, err))
	}
	o.set.addStored(o.count.n)
	return nil
}

// writeError names the object, unless the store did.
func writeError(key string, err error) error {
	if se := (*store.Error)(nil); errors.As(err, &se) && se.Name == key {
		return err
	}
	return fmt.Errorf("write %s: %w", key, err)
}

// manifestFormat: a manifest is never compressed by itself (duplicity-format.md §1.1).
func (w *SetWriter) manifestFormat() codec.Format {
	if w.opt.Format.Encrypted {
		return w.opt.Format
	}
	return codec.Format{}
}

func (w *SetWriter) manifestKey() string {
	return w.repo.key(w.id.name(naming.Manifest), w.manifestFormat())
}

func (w *SetWriter) putManifest() error {
	o, err := w.encode(w.manifestKey(), w.manifestFormat(), func(dst io.Writer) error {
		mw, err := w.manifestHead(dst)
		if err != nil {
			return err
		}
		return w.changes.writeTo(w.ctx, mw)
	})
	if err != nil {
		return err
	}
	return o.finish()
}

// manifestHead writes the manifest up to the list of changed files.
func (w *SetWriter) manifestHead(dst io.Writer) (*manifest.Writer, error) {
	mw := manifest.NewWriter(dst, w.opt.Hostname, w.opt.LocalDir)
	for _, v := range w.volumes {
		if err := mw.Volume(v); err != nil {
			return nil, err
		}
	}
	return mw, nil
}

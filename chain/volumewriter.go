package chain

import (
	"crypto/sha1"
	"encoding/hex"
	"hash"
	"io"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/toc"
)

// volumeWriter is a volume being written: tar, compression and encryption, hash,
// upload.
type volumeWriter struct {
	key        string
	put        *putting
	start, end manifest.Position
	tar        *difftar.Writer
	compressed *codec.Writer
	sum        hash.Hash
	count      *countingWriter
	upload     *upload
}

// beginVolume opens the next volume, when not too many are still on their way.
func (w *SetWriter) beginVolume(start manifest.Position) error {
	select {
	case w.slots <- struct{}{}:
	case <-w.ctx.Done():
		return w.failure(w.ctx.Err())
	}
	n := w.id.name(naming.Volume)
	n.Volume = len(w.volumes) + 1
	v := &volumeWriter{key: w.repo.key(n, w.opt.Format), start: start, end: start, sum: sha1.New()}
	v.put = w.note(v.key)
	v.upload = startUpload(w.ctx, w.repo.Store, v.key, store.PutOptions{IfAbsent: true}, w.budget)
	v.count = &countingWriter{w: io.MultiWriter(v.sum, v.upload)}
	var err error
	if v.compressed, err = codec.NewWriter(w.ctx, v.count, w.opt.Format, w.codecOptions()); err != nil {
		v.upload.abort(err)
		<-w.slots
		return err
	}
	v.tar = difftar.NewWriter(v.compressed)
	w.volume = v
	w.mu.Lock()
	w.volumes = append(w.volumes, manifest.Volume{Number: n.Volume})
	w.mu.Unlock()
	return nil
}

// endVolume ends the open volume. Its compression and upload go on beside the
// next.
func (w *SetWriter) endVolume() error {
	v := w.volume
	if v == nil {
		return nil
	}
	w.volume = nil
	end := v.tar.Flush
	if w.opt.Format.Encrypted { // which ends like duplicity's, the others have no end
		end = v.tar.Finish
	}
	if err := end(); err != nil {
		w.abortVolume(v)
		<-w.slots
		return w.failure(err)
	}
	number := w.Volumes()
	w.wg.Go(func() {
		defer func() { <-w.slots }()
		err := v.close()
		w.settle(v.put, v.upload)
		if err != nil {
			w.cancel(writeError(v.key, err))
			return
		}
		w.addStored(v.count.n)
		tv := &toc.Volume{Number: number, Object: toc.Object{Size: v.count.n, Table: v.compressed.Table()}}
		v.sum.Sum(tv.SHA1[:0])
		if err := w.toc.volume(tv); err != nil {
			w.cancel(err)
			return
		}
		w.record(manifest.Volume{
			Number: number, Start: v.start, End: v.end,
			Hashes: []manifest.Hash{{Algorithm: "SHA1", Hex: hex.EncodeToString(tv.SHA1[:])}},
		})
	})
	return nil
}

// record keeps what the manifest will say of a durable volume.
func (w *SetWriter) record(v manifest.Volume) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.volumes[v.Number-1] = v
}

func (v *volumeWriter) close() error {
	if err := v.compressed.Close(); err != nil {
		v.upload.abort(err)
		return err
	}
	return v.upload.close()
}

func (w *SetWriter) abortVolume(v *volumeWriter) {
	v.upload.cancel() // so that nothing waits for room any more
	v.compressed.Abort()
	v.upload.abort(nil)
	w.settle(v.put, v.upload)
}

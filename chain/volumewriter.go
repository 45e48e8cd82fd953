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
	if err := w.takeSlot(); err != nil {
		return err
	}
	n := w.id.name(naming.Volume)
	n.Volume = len(w.volumes) + 1
	v := &volumeWriter{key: w.repo.key(n, w.opt.Format), start: start, end: start, sum: sha1.New()}
	v.put = w.note(v.key)
	v.upload = startUpload(w.ctx, w.repo.Store, v.key, store.PutOptions{IfAbsent: true}, w.buffers)
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
	w.sealed.Add(1)
	w.wg.Go(func() {
		defer func() { <-w.slots }()
		sum, err := w.sealVolume(v, number)
		w.sealed.Done()
		if err == nil {
			err = v.upload.close()
		}
		w.settle(v.put, v.upload)
		if err != nil {
			w.cancel(writeError(v.key, err))
			return
		}
		w.addStored(v.count.n)
		w.record(manifest.Volume{
			Number: number, Start: v.start, End: v.end,
			Hashes: []manifest.Hash{{Algorithm: "SHA1", Hex: hex.EncodeToString(sum[:])}},
		})
	})
	return nil
}

// sealVolume waits until all of a volume is compressed and tells the index of it. It
// returns its SHA-1.
func (w *SetWriter) sealVolume(v *volumeWriter, number int) (sum [sha1.Size]byte, err error) {
	if err = v.compressed.Close(); err == nil {
		v.sum.Sum(sum[:0])
		tv := &toc.Volume{Number: number, Object: toc.Object{Size: v.count.n, Table: v.compressed.Table()}}
		tv.SHA1 = sum
		err = w.toc.volume(tv)
	}
	if err != nil {
		v.upload.abort(err)
	}
	return sum, err
}

// record keeps what the manifest will say of a durable volume.
func (w *SetWriter) record(v manifest.Volume) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.volumes[v.Number-1] = v
}

func (w *SetWriter) abortVolume(v *volumeWriter) {
	v.upload.cancel() // so that nothing waits for room any more
	v.compressed.Abort()
	v.upload.abort(nil)
	w.settle(v.put, v.upload)
}

package chain

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/store"
)

// archiveWriter writes one object of the archive, compressed.
type archiveWriter struct {
	upload *upload
	*codec.Writer
}

// newArchiveWriter begins an object that is put on the store when it is whole, if stored
// is set.
func (w *SetWriter) newArchiveWriter(key string, stored bool) (*archiveWriter, error) {
	level := archiveLevel
	if stored && w.asArchived() {
		level = w.opt.Level
	}
	up := startUpload(w.ctx, w.repo.archive(), key, store.PutOptions{}, nil)
	cw, err := codec.NewWriter(w.ctx, up, codec.Format{Compressed: true}, codec.WriterOptions{Level: level, Pool: w.opt.Pool})
	if err != nil {
		up.abort(err)
		return nil, err
	}
	return &archiveWriter{upload: up, Writer: cw}, nil
}

func (a *archiveWriter) close() error {
	if err := a.Writer.Close(); err != nil {
		a.upload.abort(err)
		return err
	}
	return a.upload.close()
}

func (a *archiveWriter) abort() {
	a.upload.cancel()
	a.Writer.Abort()
	a.upload.abort(nil)
}

// changeList keeps the list of changed files until the manifest, whose last part
// it is, can be written: it may name every file of the backup, so it lies in the
// archive meanwhile. Each change is its word's first letter, the length of its path
// as a varint, and the path.
type changeList struct {
	set   *SetWriter
	key   string
	n     int
	out   *archiveWriter
	ended bool
	buf   []byte
}

// changesPrefix begins the names of change lists, which no parser of backups takes
// for one of its own.
const changesPrefix = "changes."

func (w *SetWriter) newChangeList() (*changeList, error) {
	c := &changeList{set: w, key: changesPrefix + w.id.End.String()}
	if w.opt.NoChanges {
		return c, nil
	}
	var err error
	c.out, err = w.newArchiveWriter(c.key, false)
	return c, err
}

func (c *changeList) add(ch manifest.Change) error {
	c.n++
	c.buf = append(c.buf[:0], ch.Word[0])
	c.buf = binary.AppendUvarint(c.buf, uint64(len(ch.Path)))
	c.buf = append(c.buf, ch.Path...)
	_, err := c.out.Write(c.buf)
	return err
}

// writeTo ends the list and copies it to a manifest.
func (c *changeList) writeTo(ctx context.Context, mw *manifest.Writer) error {
	if c.out == nil {
		return mw.Filelist(0, func(func(manifest.Change, error) bool) {})
	}
	c.ended = true
	if err := c.out.close(); err != nil {
		return err
	}
	p, err := c.set.repo.openArchived(ctx, c.key, access{})
	if err != nil {
		return err
	}
	defer p.Close()
	br := bufio.NewReader(p)
	return mw.Filelist(c.n, func(yield func(manifest.Change, error) bool) {
		for range c.n {
			ch, err := readChange(br)
			if !yield(ch, err) || err != nil {
				return
			}
		}
	})
}

// errChangeList is the error of a list that is not what was written.
var errChangeList = errors.New("change list of the local archive is damaged")

func readChange(br *bufio.Reader) (manifest.Change, error) {
	letter, err := br.ReadByte()
	if err != nil {
		return manifest.Change{}, noEOF(err)
	}
	n, err := binary.ReadUvarint(br)
	if err == nil && n > difftar.MaxPath {
		err = errChangeList
	}
	if err != nil {
		return manifest.Change{}, noEOF(err)
	}
	path := make([]byte, n)
	if _, err := io.ReadFull(br, path); err != nil {
		return manifest.Change{}, noEOF(err)
	}
	for _, word := range []string{manifest.New, manifest.Changed, manifest.Deleted} {
		if word[0] == letter {
			return manifest.Change{Word: word, Path: string(path)}, nil
		}
	}
	return manifest.Change{}, errChangeList
}

// noEOF is for a list that ends before all that was written has come.
func noEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errChangeList
	}
	return err
}

// remove deletes the list; one that stays is deleted by SyncArchive.
func (c *changeList) remove(ctx context.Context) {
	if c.out != nil {
		_ = c.set.repo.archive().Delete(context.WithoutCancel(ctx), c.key)
	}
}

func (c *changeList) abort() {
	if c.out == nil {
		return
	}
	if !c.ended {
		c.out.abort()
	}
	c.remove(c.set.ctx)
}

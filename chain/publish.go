package chain

import (
	"context"
	"errors"
	"io"

	"hindsight/chain/codec"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
)

// TOCOptions says how a portable index is stored.
type TOCOptions struct {
	Session *pgp.Session // if the set is encrypted
	Pool    *codec.Pool  // compresses; nil: the caller's goroutine does
}

// PutTOC puts a portable index beside a complete set that has none, in the format of the
// set's volumes, with what write writes. The error is a store's ErrExist if somebody
// else has put one meanwhile. After an error nothing is there.
func (r *Repository) PutTOC(ctx context.Context, s *Set, opt TOCOptions, write func(io.Writer) error) error {
	if !s.Complete() || len(s.Volumes) == 0 {
		return errors.New("only a complete set has a portable index")
	}
	f := s.Volumes[0].Format()
	f.Compressed = f.Compressed || f.Encrypted
	key := r.key(s.SetID.name(naming.TOC), f)
	up := startUpload(ctx, r.Store, key, store.PutOptions{IfAbsent: true}, nil)
	cw, err := codec.NewWriter(ctx, up, f, codec.WriterOptions{Pool: opt.Pool, Session: opt.Session})
	if err != nil {
		up.abort(err)
		return err
	}
	if err = write(cw); err == nil {
		err = cw.Close()
	}
	if err != nil {
		cw.Abort()
		up.abort(err)
		return writeError(key, err)
	}
	if err := up.close(); err != nil {
		return writeError(key, err)
	}
	return nil
}

// key is the name of an object in a format.
func (r *Repository) key(n naming.Name, f codec.Format) string {
	n.Encrypted, n.Compressed = f.Encrypted, f.Compressed && !f.Encrypted
	return r.Scheme.Format(n)
}

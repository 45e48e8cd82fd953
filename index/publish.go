package index

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/toc"
)

// Publish makes the portable index of a complete set that has none, and puts it beside
// the set. Every volume is read once, and the signatures. What the archives have no room
// for, such as extended attributes, the index does not tell either. Entries lie in an
// unnamed temporary file meanwhile: names and metadata, no content.
func Publish(ctx context.Context, repo *chain.Repository, s *chain.Set, opt chain.TOCOptions) (err error) {
	m, err := repo.Manifest(ctx, s)
	if err != nil {
		return err
	}
	spool, err := os.CreateTemp("", "hindsight-publish-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.Close()) }()
	if err := os.Remove(spool.Name()); err != nil {
		return err
	}
	sigs, err := newSignatureCursor(ctx, repo, s)
	if err != nil {
		return err
	}
	defer sigs.close()
	return repo.PutTOC(ctx, s, opt, func(w io.Writer) error {
		p := &publication{repo: repo, set: s, out: toc.NewWriter(w, toc.Header{Inc: s.Inc, Start: s.Start, End: s.End}), sigs: sigs}
		buffered := bufio.NewWriter(spool)
		p.entries = toc.NewEntryWriter(buffered)
		for _, v := range m.Volumes {
			if err := p.volume(ctx, v); err != nil {
				return err
			}
		}
		if err := errors.Join(p.gather.flush(p.entry), p.entries.Flush(), buffered.Flush()); err != nil {
			return err
		}
		if _, err := spool.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := p.out.CopyEntries(spool, p.entries.Count()); err != nil {
			return err
		}
		return p.out.Close()
	})
}

// publication is a portable index that is being made.
type publication struct {
	repo    *chain.Repository
	set     *chain.Set
	gather  gather
	out     *toc.Writer
	entries *toc.EntryWriter
	sigs    *signatureCursor
}

// volume reads a volume and says how it is read in the middle.
func (p *publication) volume(ctx context.Context, v manifest.Volume) error {
	sum, ok := sha1Of(v)
	if !ok {
		return fmt.Errorf("volume %d of %v: the manifest has no SHA-1 of it, by which an index would name it", v.Number, p.set.SetID)
	}
	vr, err := p.repo.OpenVolume(ctx, p.set, v, chain.VolumeOptions{Gather: true})
	if err != nil {
		return err
	}
	defer vr.Close()
	if err := p.gather.volume(ctx, vr, p.entry); err != nil {
		return err
	}
	return p.out.Volume(&toc.Volume{Number: v.Number, Object: toc.Object{Size: vr.Object.Size, SHA1: sum, Table: vr.Table()}})
}

// sha1Of is the hash that the manifest has of a volume.
func sha1Of(v manifest.Volume) (sum [20]byte, ok bool) {
	for _, h := range v.Hashes {
		if strings.EqualFold(h.Algorithm, "SHA1") && len(h.Hex) == 2*len(sum) {
			n, err := hex.Decode(sum[:], []byte(h.Hex))
			return sum, err == nil && n == len(sum)
		}
	}
	return sum, false
}

// entry takes in what the volumes say of a path.
func (p *publication) entry(e *piece) error {
	if !e.Begun || !e.Ended {
		return fmt.Errorf("%v: %w: a part of %.200q is missing", p.set.SetID, difftar.ErrFormat, e.Path)
	}
	if len(e.Ops) > toc.MaxOps {
		e.Ops, e.OpsUnknown, e.Size = nil, true, -1
	}
	sig, err := p.sigs.find(e.Path)
	if err != nil {
		return err
	}
	if sig != nil {
		e.SigOffset, e.SigLen, e.SigShift = sig.Offset, sig.Size, sig.MTime-e.MTime
	}
	return p.entries.Write(&e.Entry)
}

// signatureCursor finds signatures in a set's archive, asked for in path order. A set
// without one has none.
type signatureCursor struct {
	r    *chain.SignatureReader
	last *difftar.Entry // the one ahead; nil at the end
}

func newSignatureCursor(ctx context.Context, repo *chain.Repository, s *chain.Set) (*signatureCursor, error) {
	if s.Signatures == nil {
		return &signatureCursor{}, nil
	}
	r, err := repo.Signatures(ctx, s)
	if err != nil {
		return nil, err
	}
	c := &signatureCursor{r: r}
	if err := c.next(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return c, nil
}

func (c *signatureCursor) next() error {
	e, err := c.r.Next()
	if err == io.EOF {
		c.last = nil
		return nil
	}
	c.last = e
	return err
}

// find is the entry of a path's signature, valid until the next call; nil if there is none.
func (c *signatureCursor) find(path string) (*difftar.Entry, error) {
	for c.last != nil && difftar.Compare(c.last.Path, path) < 0 {
		if err := c.next(); err != nil {
			return nil, err
		}
	}
	if c.last == nil || c.last.Path != path || c.last.Kind != difftar.Signature || c.last.Size == 0 {
		return nil, nil
	}
	return c.last, nil
}

func (c *signatureCursor) close() {
	if c.r != nil {
		_ = c.r.Close() // it was only read
	}
}

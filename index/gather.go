package index

import (
	"context"
	"fmt"
	"io"

	"github.com/zeebo/blake3"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
	"hindsight/chain/toc"
)

// gather puts together what volumes, read one after the other, say of each path. It is
// for one goroutine.
type gather struct {
	cur  *piece // whose stream may go on in the next volume; nil: none
	ops  librsync.OpDecoder
	hash *blake3.Hasher
}

// piece is what volumes say of a path: its whole stream, or the part of it that is in
// them.
type piece struct {
	toc.Entry
	// Begun says that the stream was seen from its beginning, Ended that it was to its
	// end. Only if both are true are Ops and Hash known, and Size of a difference.
	Begun, Ended bool

	end int64 // where the part that was read last ends in the stream
}

// maxHeldOps bounds the ops of one difference that are kept, copies of neighbours
// joined. A difference with more is one that nobody can read by index.
const maxHeldOps = extent.MaxExtents

// volume reads a volume to its end, which proves that it is whole, and calls emit with
// every path whose stream does not go on behind it, in path order. What emit is given is
// its own.
func (g *gather) volume(ctx context.Context, vr *chain.VolumeReader, emit func(*piece) error) error {
	for {
		e, err := vr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := g.entry(e, vr, emit); err != nil {
			return err
		}
	}
	if g.cur != nil && g.cur.Ended {
		return g.flush(emit)
	}
	return nil
}

// flush ends the current path.
func (g *gather) flush(emit func(*piece) error) error {
	p := g.cur
	if g.cur = nil; p == nil {
		return nil
	}
	if p.Type == difftar.Regular {
		g.finish(p)
	}
	return emit(p)
}

// finish says what is known of a file when all that is there was read.
func (g *gather) finish(p *piece) {
	whole := p.Begun && p.Ended
	p.Size = -1
	switch {
	case p.Kind == difftar.Snapshot && p.Ended:
		p.Size = p.end
	case p.Kind == difftar.Diff && whole && !p.OpsUnknown && g.ops.Close() == nil:
		p.Size = 0
		for _, op := range p.Ops {
			p.Size += op.Len
		}
	case p.Kind == difftar.Diff:
		p.Ops, p.OpsUnknown = nil, true
	}
	if p.Kind == difftar.Snapshot && whole {
		p.HasHash = true
		g.hash.Sum(p.Hash[:0])
	}
}

// entry takes in one entry of a volume.
func (g *gather) entry(e *difftar.Entry, vr *chain.VolumeReader, emit func(*piece) error) error {
	if g.cur == nil || g.cur.Path != e.Path || g.cur.Ended {
		if err := g.flush(emit); err != nil {
			return err
		}
		g.begin(e)
	}
	p := g.cur
	if e.Kind != p.Kind || e.Part > 0 && p.end != int64(e.Part-1)*difftar.PartSize {
		return vr.Fail(fmt.Errorf("%w: part %d of %.200q where its byte %d should be", difftar.ErrFormat, e.Part, e.Path, p.end))
	}
	p.Ended = e.Part == 0 || e.Size < difftar.PartSize
	if e.Size == 0 {
		return nil
	}
	p.Stream = extent.Append(p.Stream, extent.Extent{
		Off: p.end, Len: e.Size, Place: extent.Place{Volume: uint32(vr.Object.Volume), Tar: e.Offset},
	})
	if len(p.Stream) > extent.MaxExtents {
		return vr.Fail(extent.ErrTooManyExtents)
	}
	p.end += e.Size
	if !p.Begun {
		return nil // nothing can be made of the bytes
	}
	return g.data(p, vr)
}

// begin begins a path, which may have begun before the first volume.
func (g *gather) begin(e *difftar.Entry) {
	p := &piece{Entry: toc.Entry{Path: e.Path, Kind: e.Kind, Meta: e.Meta, Sec: e.MTime}, Begun: e.Part <= 1}
	if e.Part > 1 {
		p.end = int64(e.Part-1) * difftar.PartSize
	}
	g.cur = p
	g.ops = librsync.OpDecoder{}
	if g.hash == nil {
		g.hash = blake3.New()
	}
	g.hash.Reset()
}

// data reads what follows an entry's header.
func (g *gather) data(p *piece, vr *chain.VolumeReader) error {
	for {
		b, err := vr.Chunk(difftar.PartSize)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return vr.Fail(err)
		}
		switch {
		case p.Kind == difftar.Snapshot:
			g.hash.Write(b)
		case !p.OpsUnknown:
			if err := g.ops.Decode(b, p.addOp); err != nil {
				return vr.Fail(err)
			}
		}
	}
}

// addOp takes in the next op of a difference.
func (p *piece) addOp(op librsync.Op, _ []byte) error {
	if p.Ops = extent.AppendOp(p.Ops, op); len(p.Ops) > maxHeldOps {
		p.Ops, p.OpsUnknown = nil, true
	}
	return nil
}

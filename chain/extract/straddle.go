package extract

import (
	"fmt"
	"sync"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/librsync"
)

// straddle is a file whose parts lie in more than one volume of a set. A
// snapshot's parts can be written in any order, since each says where it belongs; a
// delta has to be read from its beginning, so the volumes take turns.
type straddle struct {
	path        string
	first, last int // volumes, as positions in the plan

	mu     sync.Mutex
	moved  sync.Cond
	turn   int   // the volume that may read the delta on
	ended  int   // volumes that were read and proved right, or given up
	failed error // why the file is lost

	looked    bool // whether file is decided
	kind      difftar.Kind
	file      *file // nil: the path is not wanted
	result    *record
	committed bool

	shares map[int]share // by volume

	// Of a delta, by the volume whose turn it is.
	delta        *delta
	served, size int64 // of a snapshot
}

// share is the parts of a file that one volume has.
type share struct {
	first, last int
	full        bool // the last part is not a last part of a file
}

func newStraddle(path string, first int) *straddle {
	st := &straddle{path: path, first: first, turn: first, shares: make(map[int]share)}
	st.moved.L = &st.mu
	return st
}

// wait blocks until it is the volume's turn, or the file is lost.
func (st *straddle) wait(volume int) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	for st.turn < volume && st.failed == nil {
		st.moved.Wait()
	}
	return st.failed
}

// pass lets the next volume read on.
func (st *straddle) pass(volume int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.turn = max(st.turn, volume+1)
	st.moved.Broadcast()
}

// fail gives the file up.
func (st *straddle) fail(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.failed == nil {
		st.failed = err
	}
	st.moved.Broadcast()
}

// end notes that a volume will say no more, and reports whether it was the last and
// whether the file is lost.
func (st *straddle) end(volume int) (last bool, failed error) {
	st.pass(volume)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ended++
	return st.ended == st.last-st.first+1, st.failed
}

// whole says, when all volumes were read, what is wrong with the parts they had.
func (st *straddle) whole() error {
	last := share{}
	for i := st.first; i <= st.last; i++ {
		sh, ok := st.shares[i]
		switch {
		case !ok:
			continue
		case sh.first != last.last+1:
			return fmt.Errorf("%w: part %d comes after part %d", ErrMissingPart, sh.first, last.last)
		case last.last > 0 && !last.full:
			return fmt.Errorf("%w: parts behind the last one", difftar.ErrFormat)
		}
		last = sh
	}
	if last.full {
		return ErrMissingPart
	}
	return nil
}

// delta applies the delta that a version of a file is stored as.
type delta struct {
	ops      librsync.OpDecoder
	resolver *extent.Resolver
	pos      int64 // in the version
}

func newDelta(demands []extent.Demand) *delta {
	return &delta{resolver: extent.NewResolver(demands)}
}

// write takes the next bytes of the delta.
func (d *delta) write(p []byte, write func(p []byte, to int64) error) error {
	return d.ops.Decode(p, func(op librsync.Op, lit []byte) error {
		var err error
		if op.Copy {
			err = d.resolver.Copy(d.pos, op.Len, op.Pos)
		} else {
			err = d.resolver.Literal(d.pos, lit, write)
		}
		d.pos += op.Len
		return err
	})
}

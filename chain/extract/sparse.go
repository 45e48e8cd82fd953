package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"unsafe"

	"github.com/zeebo/blake3"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/extent"
	"hindsight/chain/toc"
)

// sparsePlan is what is to be read of a set, block by block, where that is less than
// its volumes. Every block is checked by the hash that the portable index has of it.
type sparsePlan struct {
	repo     *chain.Repository
	set      *chain.Set
	ranges   map[int]*chain.RangeReader // by volume
	entries  []*sparseEntry             // in path order, which is that of the tars
	blocks   map[int][]int              // wanted, ascending, by volume
	heads    map[int][]int32            // how many bytes of each of these, from its beginning
	held     int64                      // bytes of entries
	tables   int64                      // bytes of the tables that ranges have
	bytes    int64                      // stored, of the blocks
	requests int64                      // about
}

// sparseEntry is a file that is wanted, and where its stored stream lies.
type sparseEntry struct {
	path   string
	kind   difftar.Kind
	meta   difftar.Meta
	stream []extent.Extent
	known  Known
	extra  *extra // beside its time, which meta has; nil: nothing
}

// proved reports whether the stream of a file is its content, and a hash of that is
// known: then blocks need not be decoded beyond what is wanted of them, which their own
// hashes would demand.
func proved(kind difftar.Kind, k *Known) bool { return kind == difftar.Snapshot && k.HasHash }

// maxSparse bounds the bytes that the entries of a sparse plan take: with more of them
// there is little that is not wanted.
const maxSparse = 16 << 20

// maxTables bounds the bytes of the tables of all sparse plans: those of some hundred
// GiB of tar. Of what is larger volumes are read whole.
const maxTables = 32 << 20

// newSparsePlan begins a plan.
func (e *engine) newSparsePlan(p *setPlan) *sparsePlan {
	repo := *e.Repository
	repo.Store = metered{repo.Store, &e.Progress.StoredBytes}
	sp := &sparsePlan{repo: &repo, set: p.set, ranges: make(map[int]*chain.RangeReader)}
	sp.blocks, sp.heads = make(map[int][]int), make(map[int][]int32)
	for i := range p.volumes {
		sp.ranges[p.volumes[i].Number] = nil
	}
	return sp
}

// volume takes in a volume, if it may hold what is wanted, unless its table and others
// would take more than room bytes; false: it cannot be read by blocks.
func (sp *sparsePlan) volume(v *toc.Volume, room int64) bool {
	if _, planned := sp.ranges[v.Number]; !planned {
		return true
	}
	if v.Table != nil {
		sp.tables += tableBytes(v.Table)
	}
	if sp.tables > room {
		return false
	}
	o, err := sp.set.Volume(v.Number)
	if err != nil || v.Table == nil || o.Size != v.Size {
		return false
	}
	r, err := sp.repo.Ranges(o, v.Table)
	if err == nil {
		sp.ranges[v.Number] = r
	}
	return err == nil
}

// tableBytes is about how many bytes a table takes.
func tableBytes(t *codec.Table) int64 {
	n := int64(len(t.Blocks)) * int64(unsafe.Sizeof(codec.Block{}))
	for i := range t.Blocks {
		if r := t.Blocks[i].Resume; r != nil {
			n += int64(unsafe.Sizeof(*r)) + int64(len(r.Window))
		}
	}
	return n
}

// settle lets go of the tables that are not needed.
func (sp *sparsePlan) settle() {
	sp.tables = 0
	for number, r := range sp.ranges {
		if len(sp.blocks[number]) == 0 {
			delete(sp.ranges, number)
			continue
		}
		sp.tables += tableBytes(r.Table())
	}
}

// add takes in a file that is wanted; false: the plan is no use.
func (sp *sparsePlan) add(it *inspected) bool {
	if !it.placed {
		return false
	}
	sp.held += int64(len(it.path)) + 200 + 48*int64(len(it.stream)) + it.extra.held()
	if sp.held > maxSparse {
		return false
	}
	var end int64
	for _, x := range it.stream {
		if x.Off != end { // a hole: nobody knows what is there
			return false
		}
		end = x.End()
		for p := range x.Pieces() {
			if !sp.want(int(p.Volume), p.Tar, p.Len, proved(it.kind, &it.known)) {
				return false
			}
		}
	}
	sp.entries = append(sp.entries, &sparseEntry{
		path: it.path, kind: it.kind, meta: it.record.meta, stream: slices.Clone(it.stream), known: it.known, extra: it.extra,
	})
	return true
}

// want notes the blocks that hold a range of a volume, whose content is proved or not.
func (sp *sparsePlan) want(volume int, tar, n int64, proved bool) bool {
	r := sp.ranges[volume]
	if r == nil || n <= 0 {
		return r != nil
	}
	blocks := r.Table().Blocks
	i, ok := slices.BinarySearchFunc(blocks, tar, func(b codec.Block, at int64) int {
		switch {
		case b.TarOffset+int64(b.Len) <= at:
			return -1
		case b.TarOffset > at:
			return 1
		}
		return 0
	})
	list, heads := sp.blocks[volume], sp.heads[volume]
	for ; ok && i < len(blocks) && blocks[i].TarOffset < tar+n; i++ {
		k := len(list)
		if k == 0 || list[k-1] < i {
			if k == 0 || list[k-1] != i-1 {
				sp.requests++
			}
			_, length := r.Table().Range(i, i)
			sp.bytes += length
			list, heads = append(list, i), append(heads, 0)
			k++
		}
		if list[k-1] == i {
			head := blocks[i].Len
			if proved {
				head = int32(min(int64(head), tar+n-blocks[i].TarOffset))
			}
			heads[k-1] = max(heads[k-1], head)
		}
	}
	sp.blocks[volume], sp.heads[volume] = list, heads
	return ok
}

// worth reports whether the blocks are so much less than the volumes that it pays to
// ask for them one by one.
func (sp *sparsePlan) worth(stored int64) bool { return sp.bytes < stored/2 }

// sparseReader reads the files of a sparse plan as a volume is read.
type sparseReader struct {
	plan   *sparsePlan
	ctx    context.Context
	cancel context.CancelFunc

	at     int // entries that were begun
	entry  difftar.Entry
	pieces []extent.Extent // of the current stream that are not read
	sum    *blake3.Hasher  // of its bytes that were read; nil: blocks prove them
	pumps  map[int]*pump
	err    error // sticks
}

// pump fetches the wanted blocks of one volume, in order, ahead of who reads them.
type pump struct {
	blocks chan plainBlock
	err    error // behind the last block
	wg     sync.WaitGroup
	have   plainBlock // the one in use
}

// plainBlock is a block of a volume, decoded.
type plainBlock struct {
	tar   int64
	plain []byte
}

// pumpAhead is how many blocks are fetched ahead.
const pumpAhead = 2

func newSparseReader(ctx context.Context, sp *sparsePlan) *sparseReader {
	r := &sparseReader{plan: sp, pumps: make(map[int]*pump)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// Next goes to the next file.
func (r *sparseReader) Next() (*difftar.Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.at == len(r.plan.entries) {
		return nil, io.EOF
	}
	e := r.plan.entries[r.at]
	r.at++
	r.entry = difftar.Entry{Path: e.path, Kind: e.kind, Meta: e.meta, Size: extent.Size(e.stream)}
	r.pieces = r.pieces[:0]
	for _, x := range e.stream {
		for p := range x.Pieces() {
			r.pieces = append(r.pieces, p)
		}
	}
	if r.sum = nil; proved(e.kind, &e.known) {
		r.sum = blake3.New()
	}
	return &r.entry, nil
}

// current is the file that Next went to.
func (r *sparseReader) current() *sparseEntry { return r.plan.entries[r.at-1] }

// Chunk returns the next bytes of the file's stored stream, at most limit.
func (r *sparseReader) Chunk(limit int) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	if len(r.pieces) == 0 {
		return nil, io.EOF
	}
	p := &r.pieces[0]
	plain, err := r.bytes(int(p.Volume), p.Tar)
	if err != nil {
		r.err = err
		return nil, err
	}
	n := min(int64(len(plain)), p.Len, int64(limit))
	p.Tar, p.Len = p.Tar+n, p.Len-n
	volume := int(p.Volume)
	if p.Len == 0 {
		r.pieces = r.pieces[1:]
	}
	if r.err = r.prove(volume, plain[:n]); r.err != nil {
		return nil, r.err
	}
	return plain[:n], nil
}

// prove takes in the next bytes of the file, and compares its hash behind the last.
func (r *sparseReader) prove(volume int, p []byte) error {
	if r.sum == nil {
		return nil
	}
	_, _ = r.sum.Write(p) // never fails
	e := r.current()
	if len(r.pieces) > 0 || [32]byte(r.sum.Sum(nil)) == e.known.Hash {
		return nil
	}
	key := r.plan.set.SetID.String()
	if o, err := r.plan.set.Volume(volume); err == nil {
		key = o.Key
	}
	return &chain.CorruptError{Object: key, Err: fmt.Errorf("content of %q: %w", e.path, ErrContent)}
}

// Read reads the file's stored stream.
func (r *sparseReader) Read(p []byte) (int, error) {
	c, err := r.Chunk(len(p))
	return copy(p, c), err
}

// bytes are those of a volume from an offset of its tar on, as far as one block goes.
func (r *sparseReader) bytes(volume int, tar int64) ([]byte, error) {
	p := r.pumps[volume]
	if p == nil {
		p = r.start(volume)
	}
	for tar >= p.have.tar+int64(len(p.have.plain)) || p.have.plain == nil {
		b, ok := <-p.blocks
		if !ok {
			p.wg.Wait()
			if p.err == nil {
				p.err = io.ErrUnexpectedEOF
			}
			return nil, p.err
		}
		if p.have.plain != nil {
			r.plan.ranges[volume].Recycle(p.have.plain)
		}
		p.have = b
	}
	if tar < p.have.tar {
		return nil, errSparse
	}
	return p.have.plain[tar-p.have.tar:], nil
}

// errSparse says that a portable index has files in another order than their bytes.
var errSparse = errors.New("the portable index of its set contradicts itself")

func (r *sparseReader) start(volume int) *pump {
	p := &pump{blocks: make(chan plainBlock, pumpAhead)}
	r.pumps[volume] = p
	ranges := r.plan.ranges[volume]
	p.wg.Go(func() {
		defer close(p.blocks)
		p.err = ranges.EachHead(r.ctx, r.plan.blocks[volume], r.plan.heads[volume], func(i int, plain []byte) error {
			select {
			case p.blocks <- plainBlock{ranges.Table().Blocks[i].TarOffset, plain}:
				return nil
			case <-r.ctx.Done():
				return context.Cause(r.ctx)
			}
		})
	})
	return p
}

// Fail says what an error met while reading is.
func (r *sparseReader) Fail(err error) error { return err }

// Close ends the fetching.
func (r *sparseReader) Close() error {
	r.cancel()
	for _, p := range r.pumps {
		for range p.blocks { // until it is closed
		}
		p.wg.Wait()
	}
	return nil
}

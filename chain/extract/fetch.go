package extract

import (
	"context"
	"io"
	"sync"

	"hindsight/chain"
	"hindsight/chain/difftar"
)

// fetcher opens volumes in the order in which they are read, those of older sets too,
// before their turn comes: a short incremental would else cost the store's
// latency, and leave the processors idle, at its end and again at the next one's
// beginning. A bounded number is open; as tokens are given in order, the one to be read
// next always has its own. The next few of them are decoded ahead, by a bounded number of
// bytes: what waits for longer would only push what is in use out of the processors'
// caches.
type fetcher struct {
	ctx    context.Context // of all volumes that are open; ends with the first error
	cancel context.CancelCauseFunc
	tokens chan struct{}
	wg     sync.WaitGroup
	order  []*plannedVolume

	mu      sync.Mutex
	started int                         // volumes of the order that may be decoded
	waiting map[int]*chain.VolumeReader // open ones behind these
}

// opened is what came of opening a volume.
type opened struct {
	vr  volumeSource
	err error
}

// volumeSource yields the entries of a volume and their data: a chain.VolumeReader, or
// what stands for one.
type volumeSource interface {
	Next() (*difftar.Entry, error)
	Chunk(limit int) ([]byte, error)
	io.ReadCloser
	// Fail turns an error met while reading into the one to report.
	Fail(err error) error
}

// maxAhead bounds the volumes that are opened before their turn, however much memory
// there is: each is a connection.
const maxAhead = 16

// decodedAhead is how many volumes are decoded before their turn.
const decodedAhead = 4

// newFetcher starts to open the volumes of plans, the last plan's first.
func (e *engine) newFetcher(ctx context.Context) *fetcher {
	ahead := int(min(e.Ahead/chain.VolumeMemory, maxAhead))
	f := &fetcher{tokens: make(chan struct{}, e.Jobs+ahead), waiting: make(map[int]*chain.VolumeReader)}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	repo := *e.Repository
	repo.Store = metered{repo.Store, &e.Progress.StoredBytes}
	type job struct {
		set *chain.Set
		v   *plannedVolume
	}
	var jobs []job
	for i := len(e.plans) - 1; i >= 0; i-- {
		for k := range e.plans[i].volumes {
			v := &e.plans[i].volumes[k]
			if v.gap == nil {
				v.opened, v.turn = make(chan opened, 1), len(jobs)
				jobs = append(jobs, job{e.plans[i].set, v})
				f.order = append(f.order, v)
			}
		}
	}
	f.start(e.Jobs - 1)
	f.wg.Go(func() {
		for _, j := range jobs {
			select {
			case f.tokens <- struct{}{}:
			case <-f.ctx.Done():
				return
			}
			f.wg.Go(func() {
				if j.v.sparse != nil {
					j.v.opened <- opened{vr: newSparseReader(f.ctx, j.v.sparse)}
					return
				}
				vr, err := repo.OpenVolume(f.ctx, j.set, j.v.Volume, chain.VolumeOptions{Later: true})
				if err != nil {
					j.v.opened <- opened{err: err}
					return
				}
				f.wait(j.v.turn, vr)
				j.v.opened <- opened{vr: vr}
			})
		}
	})
	return f
}

// take waits for a volume, which the caller closes. done makes room for another one
// after that.
func (f *fetcher) take(v *plannedVolume) (vr volumeSource, done func(), err error) {
	select {
	case o := <-v.opened:
		f.start(v.turn)
		return o.vr, func() { <-f.tokens }, o.err
	case <-f.ctx.Done():
		return nil, func() {}, context.Cause(f.ctx)
	}
}

// wait keeps an open volume until it may be decoded.
func (f *fetcher) wait(turn int, vr *chain.VolumeReader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if turn < f.started {
		vr.Start()
		return
	}
	f.waiting[turn] = vr
}

// start has volumes decoded up to the one that is taken now, and some behind it. Nobody
// who takes one gets it before it is forgotten here.
func (f *fetcher) start(turn int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ; f.started <= turn+decodedAhead; f.started++ {
		if vr := f.waiting[f.started]; vr != nil {
			vr.Start()
			delete(f.waiting, f.started)
		}
	}
}

// close ends all that is under way and closes what nobody took.
func (f *fetcher) close() {
	f.cancel(context.Canceled)
	f.wg.Wait()
	for _, v := range f.order {
		select {
		case o := <-v.opened:
			if o.vr != nil {
				o.vr.Close()
			}
		default:
		}
	}
}

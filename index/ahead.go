package index

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"hindsight/chain"
	"hindsight/chain/store"
)

// What is fetched ahead: a set of a day is two small objects, and each asked for by itself
// costs what the way to the store and back takes.
const (
	aheadObjects = 8       // of each kind
	aheadBytes   = 1 << 20 // of an object; a larger one takes its time anyway
)

// ahead is a store that has the objects fetched which will be read next: when a manifest
// or a portable index is read from there (and not from an archive beside it), those of the
// sets behind.
type ahead struct {
	store.Store
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kinds  [2][]chain.Object // manifests and portable indexes, in order
	places map[string]aheadPlace

	mu     sync.Mutex
	coming map[string]*coming // nil: it was asked for
	passed [2]int             // of each kind, those that nobody will ask for any more
}

type aheadPlace struct{ kind, at int }

// coming is an object on its way; data and err are set when done is closed.
type coming struct {
	done chan struct{}
	data []byte
	err  error
}

// newAhead reads from st what is to be taken in. It must be ended.
func newAhead(ctx context.Context, st store.Store, all []work) *ahead {
	a := &ahead{Store: st, places: make(map[string]aheadPlace), coming: make(map[string]*coming)}
	a.ctx, a.cancel = context.WithCancel(ctx)
	for _, w := range all {
		for _, s := range w.sets {
			for kind, o := range []*chain.Object{s.Manifest, s.TOC} {
				if o != nil {
					a.places[o.Key] = aheadPlace{kind, len(a.kinds[kind])}
					a.kinds[kind] = append(a.kinds[kind], *o)
				}
			}
		}
	}
	return a
}

// end gives up what is on its way, and waits for it.
func (a *ahead) end() {
	a.cancel()
	a.wg.Wait()
}

// Get is as of a store. What could not be had ahead is asked for again.
func (a *ahead) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	if p, ok := a.places[name]; ok && off == 0 && length < 0 {
		if c := a.take(name, p); c != nil {
			select {
			case <-c.done:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			if c.err == nil {
				return io.NopCloser(bytes.NewReader(c.data)), nil
			}
		}
	}
	return a.Store.Get(ctx, name, off, length)
}

// take takes an object that is on its way, nil if it is not, and has the next ones follow.
func (a *ahead) take(name string, p aheadPlace) *coming {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.coming[name]
	a.coming[name] = nil
	for ; a.passed[p.kind] < p.at; a.passed[p.kind]++ { // they were not needed
		a.coming[a.kinds[p.kind][a.passed[p.kind]].Key] = nil
	}
	next := a.kinds[p.kind][p.at+1:]
	for _, o := range next[:min(aheadObjects, len(next))] {
		if _, ok := a.coming[o.Key]; ok || o.Size > aheadBytes {
			continue
		}
		c := &coming{done: make(chan struct{})}
		a.coming[o.Key] = c
		a.wg.Go(func() {
			defer close(c.done)
			c.data, c.err = a.fetch(o)
		})
	}
	return c
}

var errAhead = errors.New("index: an object is not as long as it was listed")

func (a *ahead) fetch(o chain.Object) ([]byte, error) {
	rc, err := a.Store.Get(a.ctx, o.Key, 0, -1)
	if err != nil {
		return nil, err
	}
	b := make([]byte, o.Size)
	_, err = io.ReadFull(rc, b)
	if n, _ := io.CopyN(io.Discard, rc, 1); err == nil && n > 0 {
		err = errAhead
	}
	return b, errors.Join(err, rc.Close())
}

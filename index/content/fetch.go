package content

import (
	"context"
	"errors"
	"fmt"

	"hindsight/chain"
)

// open finds how a volume is read, which may take a scan of it.
func (c *Cache) open(ctx context.Context, key volumeKey) (*chain.RangeReader, error) {
	c.mu.Lock()
	v := c.volumes[key]
	switch {
	case c.closed:
		c.mu.Unlock()
		return nil, errClosed
	case v == nil:
		v = &volume{key: key, done: make(chan struct{})}
		c.volumes[key] = v
		c.wg.Add(1)
		go c.openNow(v)
	case v.at != nil:
		c.recent.MoveToFront(v.at)
	}
	c.mu.Unlock()
	select {
	case <-v.done:
		return v.ranges, v.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *Cache) openNow(v *volume) {
	defer c.wg.Done()
	v.ranges, v.err = c.scanner.Ranges(c.ctx, v.key.set, v.key.volume)
	if v.err == nil {
		if v.cost = tableCost(v.ranges.Table()); v.cost > c.limit/2 {
			v.err = fmt.Errorf("the table of volume %d of snapshot %d needs more memory than there is", v.key.volume, v.key.set)
		} else {
			v.err = c.take(c.ctx, v.cost)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.err != nil {
		delete(c.volumes, v.key)
	} else {
		v.at = c.recent.PushFront(v)
		c.tables += v.cost
		for c.tables > c.limit/4 && c.recent.Len() > 1 {
			c.dropVolume(c.recent.Back().Value.(*volume))
		}
	}
	close(v.done)
}

// need sees to it that blocks from to to, both included, of a volume are there or on
// their way, as far as there is room; unless they are only fetched ahead they are decoded,
// too. It returns how many were there before, and how many are there now or on their way.
func (c *Cache) need(key volumeKey, r *chain.RangeReader, from, to int, ahead bool) (fetched, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, 0
	}
	var missing []*block
	for i := from; i <= to; i++ {
		b := c.blocks[blockKey{key, i}]
		if b != nil {
			if !ahead {
				c.stats.Hits++
			}
			if b.at != nil {
				fetched++
			}
		} else {
			cost := r.StoredLen(i)
			if !c.room(cost) {
				break
			}
			b = &block{key: blockKey{key, i}, ranges: r, done: make(chan struct{}), cost: cost, ahead: ahead}
			c.blocks[b.key] = b
			missing = append(missing, b)
			if !ahead {
				c.stats.Misses++
			}
		}
		if !ahead && !c.want(b) {
			break
		}
		n++
	}
	if len(missing) > 0 {
		c.wg.Add(1)
		go c.fetch(r, missing)
	}
	return fetched, n
}

// want has a block decoded as soon as it is fetched, if there is room; c.mu is held.
func (c *Cache) want(b *block) bool {
	if b.wanted {
		return true
	}
	b.pins++ // making room must not take this one
	ok := c.room(b.plainLen())
	if b.pins--; !ok {
		return false
	}
	b.wanted = true
	b.cost += b.plainLen()
	if b.stored != nil {
		c.wg.Add(1)
		go c.decode(b)
	}
	return true
}

func (b *block) plainLen() int64 { return int64(b.ranges.Table().Blocks[b.key.block].Len) }

// fetch brings the stored bytes of blocks in. Those that are wanted are decoded at once.
func (c *Cache) fetch(r *chain.RangeReader, missing []*block) {
	defer c.wg.Done()
	var err error
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		missing, err = c.each(r, missing)
	case <-c.ctx.Done():
		err = errClosed
	}
	for _, b := range missing {
		c.end(b, nil, err)
	}
}

// each fetches blocks, and returns those that it has not, with the reason. Where something
// is damaged it fetches one by one, so that only what is hit fails.
func (c *Cache) each(r *chain.RangeReader, missing []*block) ([]*block, error) {
	err := c.read(r, &missing)
	if corrupt := (*chain.CorruptError)(nil); !errors.As(err, &corrupt) {
		return missing, err
	}
	if c.disk != nil && c.disk.suspect(err) || len(missing) > 1 {
		var lost []*block
		for _, b := range missing {
			one := []*block{b}
			if e := c.read(r, &one); e != nil {
				err, lost = e, append(lost, b)
			}
		}
		missing = lost
	}
	return missing, err
}

// read fetches blocks, and takes those that are there off the list.
func (c *Cache) read(r *chain.RangeReader, missing *[]*block) error {
	want := make([]int, len(*missing))
	for i, b := range *missing {
		want[i] = b.key.block
	}
	return r.Fetch(c.ctx, want, func(_ int, s chain.Stored) error {
		c.arrived((*missing)[0], &s)
		*missing = (*missing)[1:]
		return nil
	})
}

// arrived takes in a block's stored bytes.
func (c *Cache) arrived(b *block, s *chain.Stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.stored = s
	c.stats.Fetched += b.plainLen()
	b.at = c.lru.PushFront(b)
	if b.wanted {
		c.wg.Add(1)
		go c.decode(b)
	}
	c.wake() // it may give way now
}

// decode decodes a block whose stored bytes are there.
func (c *Cache) decode(b *block) {
	defer c.wg.Done()
	c.cpus <- struct{}{}
	defer func() { <-c.cpus }()
	plain, err := b.stored.Decode()
	if err != nil && (c.disk != nil && c.disk.suspect(err) || b.ahead) { // it may be whole by now
		if e := b.ranges.Fetch(c.ctx, []int{b.key.block}, func(_ int, s chain.Stored) (err error) {
			plain, err = s.Decode()
			return err
		}); e == nil {
			err = nil
		}
	}
	c.end(b, plain, err)
}

// end is the end of the way of a block. One that failed is forgotten.
func (c *Cache) end(b *block, plain []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		b.err = err
		c.drop(b)
		close(b.done)
		return
	}
	b.data, b.stored = plain, nil
	left := b.cost - int64(cap(plain))
	b.cost -= left
	c.used -= left // may be negative, by what a slice is longer than its bytes
	for c.used > c.limit && c.evict() {
	}
	c.stats.Decoded += int64(len(plain))
	close(b.done)
	c.wake()
}

// block returns the bytes of a block, which stay what they are until free is called. If
// there is no room for it then it waits.
func (c *Cache) block(ctx context.Context, key volumeKey, r *chain.RangeReader, i int) (data []byte, free func(), err error) {
	for {
		c.mu.Lock()
		b, freed := c.blocks[blockKey{key, i}], c.freed
		if c.closed {
			c.mu.Unlock()
			return nil, nil, errClosed
		}
		if b != nil && !c.want(b) {
			b = nil // there is no room for it
		}
		if b != nil {
			b.pins++
			if b.at != nil {
				c.lru.MoveToFront(b.at)
			}
		}
		c.mu.Unlock()
		if b != nil {
			return c.await(ctx, b)
		}
		if _, n := c.need(key, r, i, i, false); n > 0 {
			continue
		}
		c.mu.Lock()
		c.stats.Waits++
		c.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-c.ctx.Done():
			return nil, nil, errClosed
		}
	}
}

// await waits for a block that the caller has pinned.
func (c *Cache) await(ctx context.Context, b *block) ([]byte, func(), error) {
	free := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if b.pins--; b.pins == 0 {
			c.wake() // it may make room now
		}
	}
	select {
	case <-b.done:
		if b.err == nil {
			return b.data, free, nil
		}
		free()
		return nil, nil, b.err
	case <-ctx.Done():
		free()
		return nil, nil, context.Cause(ctx)
	}
}

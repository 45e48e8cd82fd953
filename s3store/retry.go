package s3store

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// call is what an attempt is told of those before it.
type call struct {
	// lost says that an earlier attempt may have been carried out: its answer was lost,
	// or was an error of the server's own.
	lost bool
}

const (
	maxPause       = 30 * time.Second
	pauseGrowth    = 5
	throttledExtra = 3 // times the attempts for a request that is throttled

	// maxAfter bounds what Retry-After may ask for.
	maxAfter = 2 * time.Minute
)

// do makes attempts at a request until one succeeds, fails for good, or was the last.
// The error is the last attempt's.
func (s *Store) do(ctx context.Context, what string, attempt func(context.Context, call) error) error {
	var (
		c        call
		tries    int // that count: a throttled one does by a third
		pause    = s.c.Backoff
		healed   healing
		maxTries = s.c.Retries * throttledExtra
	)
	for {
		if err := s.pace.wait(ctx); err != nil {
			return err
		}
		began := time.Now()
		err := attempt(ctx, c)
		v := classify(err)
		s.pace.observe(v.throttled, began)
		if err == nil {
			s.silent.Store(false)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.lost = c.lost || v.lost
		if errors.Is(err, errOnceMore) {
			continue
		}
		if s.heal(err, &healed) {
			s.log.Debug("trying again at once", "request", what, "error", err)
			continue
		}
		if tries += throttledExtra; v.throttled {
			tries -= throttledExtra - 1
		}
		if !v.retry || tries >= maxTries {
			return err
		}
		s.tellSilence(err, tries)
		wait := max(jitter(pause), min(v.after, maxAfter))
		s.log.Info("a request failed and is made again", "request", what, "pause", wait, "error", err)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		pause = min(pause*pauseGrowth, maxPause)
	}
}

// tellSilence tells, with a reason, that the server does not answer: once for all
// requests until it does, and not of what the next attempt puts right.
func (s *Store) tellSilence(err error, tries int) {
	if e := describe(err); e.Status == 0 && tries > throttledExtra && s.silent.CompareAndSwap(false, true) {
		s.log.Info("the server does not answer and is asked again", "reason", e)
	}
}

// errOnceMore is an attempt's wish for another one at once. Each attempt has one reason
// for it at most once.
var errOnceMore = errors.New("another attempt is needed")

// jitter is half of a pause to all of it, so that workers that failed together do not
// come back together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pacer spaces the requests of all workers out while the server throttles, and lets
// them come closer again as it does not: additive in neither direction, as nothing is
// known of the rate that would be right.
type pacer struct {
	mu     sync.Mutex
	gap    time.Duration // between the starts of two requests; 0: none
	next   time.Time     // when the next may start
	raised time.Time     // when gap last grew
}

const (
	firstGap = 20 * time.Millisecond
	maxGap   = 500 * time.Millisecond
	leastGap = time.Millisecond // below it there is none
)

func newPacer() *pacer { return &pacer{} }

// wait returns when a request may start.
func (p *pacer) wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.mu.Lock()
	if p.gap == 0 {
		p.mu.Unlock()
		return nil
	}
	now := time.Now()
	start := p.next
	if start.Before(now) {
		start = now
	}
	p.next = start.Add(p.gap)
	p.mu.Unlock()
	return sleep(ctx, time.Until(start))
}

// observe learns from the end of a request. One burst of refusals counts once: only
// those of requests that began since the last step.
func (p *pacer) observe(throttled bool, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case throttled && began.After(p.raised):
		p.gap = min(max(2*p.gap, firstGap), maxGap)
		p.raised = time.Now()
	case !throttled && p.gap > 0:
		if p.gap -= p.gap / 4; p.gap < leastGap {
			p.gap = 0
		}
	}
}

// healing remembers what was put right already during one request.
type healing struct{ clock, credentials, region bool }

// heal puts right what one more attempt needs: the SDK has learned the server's time
// from its answer, credentials have run out, or the bucket is in another region. Each
// counts once in a request.
func (s *Store) heal(err error, done *healing) bool {
	e := describe(err)
	switch {
	case e.skewed() && !done.clock:
		done.clock = true
		return true
	case e.expired() && s.credentials != nil && !done.credentials:
		done.credentials = true
		s.credentials.Invalidate()
		return true
	case e.region != "" && !s.ownEndpoint && !done.region && e.region != s.currentRegion():
		done.region = true
		s.log.Info("the bucket is in another region", "region", e.region)
		s.region.Store(&e.region)
		return true
	}
	return false
}

package extract

import "sync"

// commits give what volumes held their names while the next ones are read, those of older
// sets too: else the last few names of each incremental would be waited for.
type commits struct {
	fail   func(error) // is told of the first error
	tokens chan struct{}
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error // the first
}

// commitsPerJob bounds the volumes whose names are being given, per job: what is known of
// them is in memory, or the temporary file, until then.
const commitsPerJob = 2

func newCommits(jobs int, fail func(error)) *commits {
	return &commits{fail: fail, tokens: make(chan struct{}, jobs*commitsPerJob)}
}

// add has a volume of a set committed.
func (c *commits) add(p *setPlan, commit func() error) {
	c.tokens <- struct{}{} // commits wait for nobody
	p.committing.Add(1)
	c.wg.Go(func() {
		defer func() { <-c.tokens }()
		defer p.committing.Done()
		err := commit()
		if err == nil {
			return
		}
		c.mu.Lock()
		first := c.err == nil
		if first {
			c.err = err
		}
		c.mu.Unlock()
		if first {
			c.fail(err)
		}
	})
}

// then calls f when all volumes of a set are committed.
func (c *commits) then(p *setPlan, f func()) {
	c.wg.Go(func() {
		p.committing.Wait()
		f()
	})
}

// wait waits for all of them.
func (c *commits) wait() error {
	c.wg.Wait()
	return c.err
}

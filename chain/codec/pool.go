package codec

import (
	"runtime"
	"sync"
)

// Pool compresses the blocks of any number of Writers on a fixed number of
// goroutines, within a budget of bytes. It is safe for concurrent use.
type Pool struct {
	work   chan *block
	tokens chan struct{} // one for every block in flight
	free   chan *block   // buffers to use again
	wg     sync.WaitGroup
}

// blockCost is the most memory a block in flight holds: plain and encoded bytes.
const blockCost = MaxBlock + encodedMax

// blocksAhead is the most blocks in flight for each worker. More would not make them faster:
// what waits longer has left the processor's caches when its turn comes.
const blocksAhead = 4

// NewPool starts a pool of jobs workers (0: one per CPU) that holds at most four blocks
// for each in flight, and at most about memory bytes of them (0: no matter), but always
// one. Every open Writer holds one more block that it is filling.
func NewPool(jobs int, memory int64) *Pool {
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	n := int64(blocksAhead * jobs)
	if memory > 0 {
		n = min(n, max(memory/blockCost, 1))
	}
	p := &Pool{
		work:   make(chan *block, n),
		tokens: make(chan struct{}, n),
		free:   make(chan *block, n),
	}
	p.wg.Add(jobs)
	for range jobs {
		go p.run()
	}
	return p
}

// Close ends the workers and waits for them. All Writers of the pool must have
// been closed or aborted.
func (p *Pool) Close() {
	close(p.work)
	p.wg.Wait()
}

func (p *Pool) run() {
	defer p.wg.Done()
	var e encoder
	for b := range p.work {
		b.encode(&e)
	}
}

// acquire waits for room for one more block in flight.
func (p *Pool) acquire() { p.tokens <- struct{}{} }

// start hands over a block for which acquire made room; it never blocks.
func (p *Pool) start(b *block) { p.work <- b }

// release gives back the block and its room.
func (p *Pool) release(b *block) {
	<-p.tokens
	select {
	case p.free <- b:
	default:
	}
}

// block is an empty block to fill.
func (p *Pool) block() *block {
	select {
	case b := <-p.free:
		return b
	default:
		return newBlock()
	}
}

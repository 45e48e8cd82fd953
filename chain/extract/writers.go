package extract

import (
	"context"
	"sync"

	"hindsight/chain/difftar"
)

// writers are the goroutines that make small files and give names, so that the
// decoding of a volume does not wait for the file system. Data for them is bounded
// by the number of buffers. A task never waits for another one.
type writers struct {
	ctx     context.Context // ends when one of them has met an error that ends the run
	cancel  context.CancelCauseFunc
	tasks   chan func()
	buffers chan []byte // of bufferSize bytes
	wg      sync.WaitGroup
}

const (
	// bufferSize is the bytes of small files that one task makes: handing over each
	// file by itself costs as much as a system call.
	bufferSize = 4 * difftar.PartSize
	// buffersPerJob is how many buffers there are per job: enough for decoding to
	// go on while files are created, 1 MiB in all.
	buffersPerJob = 4
)

func newWriters(ctx context.Context, jobs int) *writers {
	n := jobs * buffersPerJob
	w := &writers{tasks: make(chan func(), n), buffers: make(chan []byte, n)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	for range n {
		w.buffers <- nil
	}
	for range jobs {
		w.wg.Go(func() {
			for f := range w.tasks {
				f()
			}
		})
	}
	return w
}

// buffer waits for an empty buffer of bufferSize bytes. It must be freed.
func (w *writers) buffer() []byte {
	b := <-w.buffers
	if b == nil {
		b = make([]byte, 0, bufferSize)
	}
	return b
}

func (w *writers) free(b []byte) { w.buffers <- b[:0] }

// do hands over a task, which will be run.
func (w *writers) do(f func()) { w.tasks <- f }

// close waits for all tasks.
func (w *writers) close() {
	close(w.tasks)
	w.wg.Wait()
	w.cancel(nil)
}

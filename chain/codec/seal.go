package codec

// filling is the block that takes the next plain byte.
func (w *Writer) filling() *block {
	if w.fill == nil {
		if w.pool != nil {
			w.fill = w.pool.block()
		} else {
			w.fill = newBlock()
		}
		b := w.fill
		b.owner, b.plain, b.start, b.err = w, b.plain[:0], nil, nil
		b.first, b.last = w.count == 0, false
	}
	return w.fill
}

// submit hands the filled block over to be encoded and sealed, and returns the
// error that sticks.
func (w *Writer) submit(last bool) error {
	if err := w.failed(); err != nil {
		return err
	}
	b := w.fill
	b.last = last
	if !w.format.needs(b) {
		return nil
	}
	w.fill = nil
	w.count++
	if w.pool == nil {
		w.begin(b)
		b.encode(w.serial)
		w.seal(b)
		w.fill = b
		b.plain, b.start, b.first, b.last = b.plain[:0], nil, false, false
		return w.failed()
	}
	w.pool.acquire()
	w.begin(b)
	if w.queue == nil {
		w.queue = make(chan *block, cap(w.pool.tokens))
		w.ended = make(chan struct{})
		go w.sealAll()
	}
	w.queue <- b // has room for every block in flight
	w.pool.start(b)
	return w.failed()
}

// wait ends the sealing goroutine and waits for it.
func (w *Writer) wait() {
	if w.queue == nil {
		return
	}
	close(w.queue)
	<-w.ended
}

// sealAll writes blocks in order. After an error it only gives them back.
func (w *Writer) sealAll() {
	defer close(w.ended)
	for b := range w.queue {
		w.seal(b)
		w.pool.release(b)
	}
}

func (w *Writer) seal(b *block) {
	<-b.done
	if w.failed() != nil {
		return
	}
	err := b.err
	if err == nil {
		err = w.format.seal(b)
	}
	if err != nil {
		w.fail(err)
		return
	}
	if len(b.plain) > 0 {
		head, tail := w.format.margins()
		w.blocks = append(w.blocks, Block{
			TarOffset:    w.tar,
			StoredOffset: w.stored + int64(head),
			StoredLen:    int32(len(b.out) - head - tail),
			Len:          int32(len(b.plain)),
			Sum:          b.sum,
			Resume:       b.start,
		})
	}
	w.tar += int64(len(b.plain))
	w.stored += int64(len(b.out))
}

func (w *Writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// fail keeps the first error.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) begin(b *block) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending.blocks++
	w.pending.encoded += encodedBound(len(b.plain))
}

func (w *Writer) encoded(b *block) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending.blocks--
	w.pending.encoded -= encodedBound(len(b.plain))
	w.done += int64(len(b.out))
	w.idle.Broadcast()
}

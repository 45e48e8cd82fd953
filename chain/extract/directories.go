package extract

import "sync"

// directories gives directories their metadata, when nothing in them will change
// any more. That is done for many at once, but for those that will lock their owner
// out: these come last, children before parents.
func (e *engine) directories() error {
	if err := e.ledger.compact(isDirectory); err != nil {
		return err
	}
	var (
		work   sync.WaitGroup
		list   []commitment
		locked bool
	)
	flush := func() {
		l := list
		list = nil
		work.Add(1)
		e.writers.do(func() {
			defer work.Done()
			for i := range l {
				if err := e.dirMeta(&l[i]); err != nil {
					e.writers.cancel(err)
					return
				}
			}
		})
	}
	err := e.eachDirectory(func(c commitment) error {
		if locksOut(&c.record) {
			locked = true
			return nil
		}
		if list = append(list, c); len(list) == commitBatch {
			flush()
		}
		return nil
	})
	flush()
	work.Wait()
	if err != nil || !locked {
		return err
	}
	return e.eachDirectory(func(c commitment) error {
		if !locksOut(&c.record) {
			return nil
		}
		return e.dirMeta(&c)
	})
}

// locksOut reports whether a directory's mode keeps its own owner from working in it.
func locksOut(r *record) bool { return r.meta.Mode&0o700 != 0o700 }

// isDirectory reports whether a record is of a directory.
func isDirectory(payload []byte) bool {
	s := state(payload[0])
	return s == dir || s == dirOpen || s == dirKept
}

// eachDirectory calls f with every directory that was made or changed, children before
// parents, until the run ends.
func (e *engine) eachDirectory(f func(commitment) error) error {
	return e.ledger.backwards(isDirectory, func(path string, payload []byte) error {
		if err := e.writers.ctx.Err(); err != nil {
			return err
		}
		if e.failedDirs[path] || state(payload[0]) == dirKept && !e.Sink.(Keeper).Touched(path) {
			return nil
		}
		r, err := decodeRecord(payload)
		if err != nil {
			return err
		}
		return f(commitment{path, r})
	})
}

func (e *engine) dirMeta(c *commitment) error {
	return e.forgive(c.path, 0, e.Sink.DirMeta(c.path, &c.meta, c.state != dir))
}

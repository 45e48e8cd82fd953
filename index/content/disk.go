package content

import (
	"bytes"
	"container/list"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/zeebo/blake3"

	"hindsight/chain"
	"hindsight/chain/store"
)

const (
	pageSize  = 128 << 10 // bytes of a page of an object; the last one is shorter
	maxPaged  = 16 << 20  // of a range; longer ones are not kept
	tempPages = "tmp-"
)

// diskCache is a store that keeps ranges of objects in a directory: as pages, which are
// files named by the object and the page's number. They are as stored, and trusted no
// more than the store is. Processes may share a directory: each then keeps within its
// size what it knows of.
type diskCache struct {
	store.Store
	dir   string
	limit int64

	mu    sync.Mutex
	pages map[string]*list.Element // by file name
	lru   list.List                // of page, the last used in front
	held  int64
}

type page struct {
	name string
	size int64
}

func newDiskCache(st store.Store, dir string, limit int64) (*diskCache, error) {
	if limit == 0 {
		limit = 1 << 30
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &diskCache{Store: st, dir: dir, limit: limit, pages: make(map[string]*list.Element)}
	return d, d.load()
}

// load finds the pages that are there, the newest last used.
func (d *diskCache) load() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	type found struct {
		page
		time int64
	}
	var all []found
	for _, e := range entries {
		fi, err := e.Info()
		switch {
		case err != nil || !fi.Mode().IsRegular():
		case strings.HasPrefix(e.Name(), tempPages):
			_ = os.Remove(filepath.Join(d.dir, e.Name()))
		default:
			all = append(all, found{page{e.Name(), fi.Size()}, fi.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return int(max(-1, min(1, a.time-b.time))) })
	for _, f := range all {
		d.note(f.page)
	}
	return nil
}

// objectName begins the names of an object's pages.
func objectName(key string) string {
	sum := blake3.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

func pageName(object string, n int64) string { return fmt.Sprintf("%s.%d", object, n) }

// note takes in a page that is there now, and removes others for it.
func (d *diskCache) note(p page) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at := d.pages[p.name]; at != nil {
		d.held += p.size - at.Value.(page).size
		at.Value = p
		d.lru.MoveToFront(at)
	} else {
		d.pages[p.name] = d.lru.PushFront(p)
		d.held += p.size
	}
	for d.held > d.limit && d.lru.Len() > 1 {
		d.remove(d.lru.Back().Value.(page).name)
	}
}

// remove removes a page; d.mu is held.
func (d *diskCache) remove(name string) {
	if at := d.pages[name]; at != nil {
		d.held -= d.lru.Remove(at).(page).size
		delete(d.pages, name)
	}
	_ = os.Remove(filepath.Join(d.dir, name)) // what stays is found at the next start
}

// Get reads a range through the pages. Whole objects are not kept.
func (d *diskCache) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	if off < 0 || length < 0 || length > maxPaged {
		return d.Store.Get(ctx, name, off, length)
	}
	first, end := off/pageSize, (off+length+pageSize-1)/pageSize
	object := objectName(name)
	var out []byte
	for n := first; n < end; {
		if p := d.read(pageName(object, n)); p != nil {
			out = append(out, p...)
			n++
			if len(p) < pageSize {
				break
			}
			continue
		}
		missing := n + 1
		for missing < end && !d.has(pageName(object, missing)) {
			missing++
		}
		p, err := d.fetch(ctx, name, object, n, missing)
		if err != nil {
			return nil, err
		}
		if out = append(out, p...); int64(len(p)) < (missing-n)*pageSize {
			break
		}
		n = missing
	}
	skip := min(off-first*pageSize, int64(len(out)))
	out = out[skip:]
	return io.NopCloser(bytes.NewReader(out[:min(length, int64(len(out)))])), nil
}

func (d *diskCache) has(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pages[name] != nil
}

// read reads a page; nil if it is not there.
func (d *diskCache) read(name string) []byte {
	d.mu.Lock()
	at := d.pages[name]
	if at != nil {
		d.lru.MoveToFront(at)
	}
	d.mu.Unlock()
	if at == nil {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil || len(b) == 0 || len(b) > pageSize {
		d.mu.Lock()
		d.remove(name)
		d.mu.Unlock()
		return nil
	}
	return b
}

// fetch gets pages from the store and keeps them, as far as the disk takes them.
func (d *diskCache) fetch(ctx context.Context, name, object string, from, to int64) ([]byte, error) {
	rc, err := d.Store.Get(ctx, name, from*pageSize, (to-from)*pageSize)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(rc)
	if err = errors.Join(err, rc.Close()); err != nil {
		return nil, err
	}
	for n, rest := from, b; len(rest) > 0; n++ {
		size := min(len(rest), pageSize)
		if d.write(pageName(object, n), rest[:size]) != nil {
			break
		}
		rest = rest[size:]
	}
	return b, nil
}

func (d *diskCache) write(name string, b []byte) error {
	f, err := os.CreateTemp(d.dir, tempPages)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d.note(page{name, int64(len(b))})
	return nil
}

// suspect removes the pages of an object that was found damaged, as they may be what is
// damaged. It reports whether there were any.
func (d *diskCache) suspect(err error) bool {
	var corrupt *chain.CorruptError
	if !errors.As(err, &corrupt) {
		return false
	}
	prefix := objectName(corrupt.Object) + "."
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for name := range d.pages {
		if strings.HasPrefix(name, prefix) {
			d.remove(name)
			n++
		}
	}
	return n > 0
}

package index

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"strings"

	"hindsight/chain/difftar"
	"hindsight/chain/extent"
)

// Stat returns what is at a path. Errors: ErrNotExist, ErrGone.
func (s *Snapshot) Stat(id ID) (Entry, error) {
	v, err := s.view()
	if err != nil {
		return Entry{}, err
	}
	defer v.release()
	var found stored
	if err := v.find(id, &found); err != nil {
		return Entry{}, err
	}
	return v.entry(&found)
}

// Lookup returns what name is in a directory. Errors: ErrNotExist, ErrNotDir, ErrGone.
func (s *Snapshot) Lookup(dir ID, name string) (Entry, error) {
	v, err := s.view()
	if err != nil {
		return Entry{}, err
	}
	defer v.release()
	var found stored
	if err := v.lookup(dir, name, &found); err != nil {
		return Entry{}, err
	}
	return v.entry(&found)
}

func (v *view) lookup(dir ID, name string, out *stored) error {
	if name == "" {
		return ErrNotExist
	}
	err := v.child(dir, name, out)
	if err == nil && !out.deleted {
		return nil
	}
	if err != nil && err != ErrNotExist {
		return err
	}
	if err := v.directory(dir); err != nil {
		return err
	}
	return ErrNotExist
}

// LookupPath returns what is at a path of components joined by "/"; "" is the root.
// Errors as those of Lookup.
func (s *Snapshot) LookupPath(path string) (Entry, error) {
	v, err := s.view()
	if err != nil {
		return Entry{}, err
	}
	defer v.release()
	var found stored
	if err := v.find(Root, &found); err != nil {
		return Entry{}, err
	}
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		if found.Type != difftar.Directory {
			return Entry{}, ErrNotDir
		}
		if err := v.lookup(found.id, name, &found); err != nil {
			return Entry{}, err
		}
	}
	return v.entry(&found)
}

// Path is the path of an ID that the chain has or had.
func (s *Snapshot) Path(id ID) (string, error) {
	v, err := s.view()
	if err != nil {
		return "", err
	}
	defer v.release()
	return v.fullPath(id)
}

func (v *view) fullPath(id ID) (string, error) {
	var names []string
	size := 0
	for id != Root {
		parent, name, err := v.where(id)
		if err != nil {
			return "", err
		}
		if size += 1 + len(name); size > difftar.MaxPath+1 || parent >= id {
			return "", ErrDamaged // a parent always has the smaller ID
		}
		names = append(names, name)
		id = parent
	}
	slices.Reverse(names)
	return strings.Join(names, "/"), nil
}

// ReadDir yields what is in a directory, in the order of the names as bytes, behind
// the entry after; 0 begins at the first. After may be anything that was ever in the
// directory, so a listing can go on at any time and in any generation. An error ends
// it: ErrNotExist, ErrNotDir, ErrGone.
func (s *Snapshot) ReadDir(dir, after ID) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		v, err := s.view()
		if err == nil {
			defer v.release()
			err = v.readDir(dir, after, yield)
		}
		if err != nil && err != errStopped {
			yield(Entry{}, err)
		}
	}
}

// Located is an entry and where its content lies.
type Located struct {
	Entry
	Extents []extent.Extent // those of Snapshot.Extents; nil where they are left out
}

// ReadFiles is as ReadDir, with the extents of regular files of at most limit bytes as far
// as they are known.
func (s *Snapshot) ReadFiles(dir, after ID, limit int64) iter.Seq2[Located, error] {
	return func(yield func(Located, error) bool) {
		v, err := s.view()
		if err == nil {
			defer v.release()
			err = v.list(dir, after, func(found *stored) error {
				l, err := v.located(found, limit)
				if err == nil && !yield(l, nil) {
					err = errStopped
				}
				return err
			})
		}
		if err != nil && err != errStopped {
			yield(Located{}, err)
		}
	}
}

func (v *view) located(s *stored, limit int64) (l Located, err error) {
	if l.Entry, err = v.entry(s); err != nil || l.Type != difftar.Regular || l.Size > limit {
		return l, err
	}
	if l.Extents, err = v.extents(s); err == ErrUnscanned {
		err = nil
	}
	return l, err
}

// errStopped says that the consumer of an iterator wants no more.
var errStopped = errors.New("index: stopped")

func (v *view) readDir(dir, after ID, yield func(Entry, error) bool) error {
	return v.list(dir, after, func(found *stored) error {
		e, err := v.entry(found)
		if err != nil {
			return err
		}
		if !yield(e, nil) {
			return errStopped
		}
		return nil
	})
}

// list calls f with what is in a directory behind the entry after, 0 for all. What has
// something in it is a directory, so that is seen to where there is nothing.
func (v *view) list(dir, after ID, f func(*stored) error) error {
	from := ""
	if after != 0 {
		parent, name, err := v.where(after)
		if err != nil {
			return err
		}
		if parent != dir {
			return ErrNotExist
		}
		from = name + "\x00"
	}
	empty := true
	err := v.scanDir(dir, from, func(found *stored) error {
		empty = false
		return f(found)
	})
	if err == nil && empty {
		return v.directory(dir)
	}
	return err
}

// scanDir calls f with what is in a directory, from a name on.
func (v *view) scanDir(dir ID, from string, f func(*stored) error) error {
	key := append(appendDirent(make([]byte, 0, 64), v.chain, dir, ""), from...)
	prefix := key[:len(key)-len(from)]
	c := v.g.idle.take(v.g, v.chain, v.txn.ReadTs(), key)
	defer func() { v.g.idle.give(c) }()
	var found stored
	for c.seek(key); c.it.Valid() && bytes.HasPrefix(c.it.Item().Key(), prefix); c.next() {
		if err := v.load(c.it.Item(), &found); err != nil {
			return err
		}
		if found.deleted {
			continue
		}
		if err := f(&found); err != nil {
			return err
		}
	}
	return nil
}

// Subdirs is the number of directories in a directory.
func (s *Snapshot) Subdirs(dir ID) (int, error) {
	v, err := s.view()
	if err != nil {
		return 0, err
	}
	defer v.release()
	n := 0
	err = v.list(dir, 0, func(found *stored) error {
		if found.Type == difftar.Directory {
			n++
		}
		return nil
	})
	return n, err
}

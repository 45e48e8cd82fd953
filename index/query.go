package index

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"hindsight/chain/difftar"
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

// errStopped says that the consumer of an iterator wants no more.
var errStopped = errors.New("index: stopped")

func (v *view) readDir(dir, after ID, yield func(Entry, error) bool) error {
	if err := v.directory(dir); err != nil {
		return err
	}
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
	return v.scanDir(dir, from, func(found *stored) error {
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

// scanDir calls f with what is in a directory, from a name on.
func (v *view) scanDir(dir ID, from string, f func(*stored) error) error {
	prefix := appendDirent(nil, v.chain, dir, "")
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	var found stored
	for it.Seek(append(prefix, from...)); it.Valid(); it.Next() {
		if err := v.load(it.Item(), &found); err != nil {
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
	if err := v.directory(dir); err != nil {
		return 0, err
	}
	n := 0
	err = v.scanDir(dir, "", func(found *stored) error {
		if found.Type == difftar.Directory {
			n++
		}
		return nil
	})
	return n, err
}

package chain

import (
	"context"
	"errors"

	"hindsight/chain/naming"
	"hindsight/chain/store"
)

// A run leaves a note in the archive while it is not committed, so that the next
// one on the machine can tell its remains from a set that another machine is
// writing just now. The note is an empty object whose name is unfinishedPrefix and
// the default name of the set's manifest.
const unfinishedPrefix = "unfinished."

func unfinishedKey(id SetID) string {
	return unfinishedPrefix + naming.Scheme{}.Format(id.name(naming.Manifest))
}

func (r *Repository) noteUnfinished(ctx context.Context, id SetID) error {
	return r.Archive.Put(ctx, unfinishedKey(id), store.Bytes(nil), store.PutOptions{})
}

// RemoveUnfinished removes from the store, and from the collection, what runs from
// this archive left that did not come to their end.
func (r *Repository) RemoveUnfinished(ctx context.Context, c *Collection) error {
	if r.Archive == nil {
		return nil
	}
	var errs []error
	for o, err := range r.Archive.List(ctx, unfinishedPrefix) {
		if err != nil {
			return err
		}
		if err := r.removeUnfinished(ctx, c, o.Name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (r *Repository) removeUnfinished(ctx context.Context, c *Collection, note string) error {
	name, ok := naming.Scheme{}.Parse(note[len(unfinishedPrefix):])
	id := SetID{Inc: name.Inc, Start: name.Start, End: name.End}
	for i, s := range c.Incomplete {
		if !ok || s.SetID != id {
			continue
		}
		r.log().Info("removing what an interrupted backup left", "set", s.SetID.String())
		for _, o := range s.Objects() {
			if err := r.Store.Delete(ctx, o.Key); err != nil {
				return err
			}
		}
		c.Incomplete = append(c.Incomplete[:i:i], c.Incomplete[i+1:]...)
		break
	}
	return r.Archive.Delete(ctx, note)
}

package chain

import (
	"context"
	"errors"
	"slices"
	"time"

	"hindsight/chain/naming"
	"hindsight/chain/store"
)

// A run leaves a note in the archive while it is not committed, so that the next
// one on the machine can tell its remains from a set that another machine is
// writing just now. The note is an empty object whose name is unfinishedPrefix and
// the name of the set's manifest, its prefixes included: to a run with other prefixes
// that shares the archive, a complete set may look like remains.
const unfinishedPrefix = "unfinished."

func (r *Repository) unfinishedKey(id SetID) string {
	return unfinishedPrefix + r.Scheme.Format(id.name(naming.Manifest))
}

func (r *Repository) noteUnfinished(ctx context.Context, id SetID) error {
	return r.archive().Put(ctx, r.unfinishedKey(id), store.Bytes(nil), store.PutOptions{})
}

// remainsQuiet is for how long nothing may have been written to what a cut off put
// left before it is removed: that of another machine, which may be at work, looks the
// same. A put of a volume takes minutes.
const remainsQuiet = 3 * time.Hour

// RemoveUnfinished removes from the store, and from the collection, what runs from
// this archive left that did not come to their end. Where the store has remains of
// puts (store.Remains), those that are old enough go too if there was such a run. For
// others its note stays, so that a later run comes back to them.
func (r *Repository) RemoveUnfinished(ctx context.Context, c *Collection) error {
	if r.Archive == nil {
		return nil
	}
	var notes []string
	var errs []error
	for o, err := range r.archive().List(ctx, unfinishedPrefix) {
		if err != nil {
			return err
		}
		ours, err := r.removeUnfinished(ctx, c, o.Name)
		if err != nil {
			errs = append(errs, err)
		} else if ours {
			notes = append(notes, o.Name)
		}
	}
	if len(notes) == 0 {
		return errors.Join(errs...)
	}
	clean, err := r.removeRemains(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, note := range notes {
		if clean {
			errs = append(errs, r.archive().Delete(ctx, note))
		}
	}
	return errors.Join(errs...)
}

// removeUnfinished removes the set that a note is about, if there is anything of it,
// and reports whether the note is one of this repository.
func (r *Repository) removeUnfinished(ctx context.Context, c *Collection, note string) (bool, error) {
	name, ok := r.Scheme.Parse(note[len(unfinishedPrefix):])
	id := SetID{Inc: name.Inc, Start: name.Start, End: name.End}
	if !ok || note != r.unfinishedKey(id) {
		return false, nil // of other prefixes
	}
	for _, sets := range []*[]*Set{&c.Incomplete, &c.Left} {
		i := slices.IndexFunc(*sets, func(s *Set) bool { return s.SetID == id })
		if i < 0 {
			continue
		}
		r.log().Info("removing what an interrupted backup left", "set", id.String())
		for _, o := range (*sets)[i].Objects() {
			if err := r.Store.Delete(ctx, o.Key); err != nil {
				return true, err
			}
		}
		*sets = slices.Delete(slices.Clone(*sets), i, i+1)
	}
	return true, nil
}

// removeRemains removes what cut off puts left on the store and reports whether
// nothing is left.
func (r *Repository) removeRemains(ctx context.Context) (clean bool, err error) {
	st, ok := r.Store.(store.Remains)
	if !ok {
		return true, nil
	}
	now := time.Now()
	clean = true
	for o, err := range st.ListRemains(ctx, now.Add(remainsQuiet)) { // whatever a clock ahead of ours dates
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, store.ErrPermission) {
			return true, nil // nobody here can, so that there is nothing to come back for
		}
		if err != nil {
			return false, err
		}
		if !o.Time.Before(now.Add(-remainsQuiet)) {
			clean = false
			continue
		}
		r.log().Info("removing what an interrupted upload left", "name", o.Name, "bytes", o.Size)
		if err := st.DeleteRemains(ctx, o.Name); err != nil {
			return false, err
		}
	}
	return clean, nil
}

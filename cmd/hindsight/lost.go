package main

import (
	"errors"
	"fmt"

	"hindsight/chain"
	"hindsight/chain/extract"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
)

// lost tells of a path that could not be restored, and which of its bytes are lost if
// that is known. What is wrong with the volume was said once, so that its name is enough
// here.
func (j *job) lost(path string, err error) {
	if errors.Is(err, extract.ErrTarget) { // the backup is whole, the place is not fit
		j.console.count("not restored", path, err)
		return
	}
	var damage *extract.DamageError
	errors.As(err, &damage)
	if short := j.lostObject(err); short != "" && path != "" {
		err = errors.New(short)
		if damage != nil {
			err = fmt.Errorf("%s: %w", damage.Extent(), err)
		}
	}
	j.console.lost(path, err, damage)
}

// lostObject names the part of the backup whose damage an error is, "" if it is
// another error.
func (j *job) lostObject(err error) string {
	name, ok := j.damaged(err)
	if !ok {
		return ""
	}
	set := setName(chain.SetID{Inc: name.Inc, Start: name.Start, End: name.End}.String())
	switch name.Kind {
	case naming.Volume:
		return fmt.Sprintf("volume %d of %s is lost", name.Volume, set)
	case naming.Manifest:
		return fmt.Sprintf("the manifest of %s is lost", set)
	}
	return fmt.Sprintf("the signatures of %s are lost", set)
}

// damaged is the object that an error says is damaged, and not only locked.
func (j *job) damaged(err error) (name naming.Name, ok bool) {
	var corrupt *chain.CorruptError
	if !errors.As(err, &corrupt) || errors.Is(err, pgp.ErrLocked) || errors.Is(err, pgp.ErrNoKey) {
		return naming.Name{}, false
	}
	return j.opt.scheme.Parse(corrupt.Object)
}

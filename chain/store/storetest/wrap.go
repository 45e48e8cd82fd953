package storetest

import (
	"context"
	"errors"
	"iter"
	"time"

	"hindsight/chain/store"
)

// The wrappers have every optional method, as Go has no type that has a method only
// sometimes. These carry it out on the store within, or say that it cannot.

func copyIn(ctx context.Context, s store.Store, src, dst string) error {
	if c, ok := s.(store.Copier); ok {
		return c.Copy(ctx, src, dst)
	}
	return opError(string(Copy), dst, errors.ErrUnsupported)
}

func listRemainsIn(ctx context.Context, s store.Store, olderThan time.Time) iter.Seq2[store.Object, error] {
	if r, ok := s.(store.Remains); ok {
		return r.ListRemains(ctx, olderThan)
	}
	return func(yield func(store.Object, error) bool) {
		yield(store.Object{}, opError(string(ListRemains), "", errors.ErrUnsupported))
	}
}

func deleteRemainsIn(ctx context.Context, s store.Store, name string) error {
	if r, ok := s.(store.Remains); ok {
		return r.DeleteRemains(ctx, name)
	}
	return opError(string(DeleteRemains), name, errors.ErrUnsupported)
}

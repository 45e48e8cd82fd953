package extract

import (
	"context"
	"io"
	"sync/atomic"

	"hindsight/chain/store"
)

// metered is a store that counts the bytes that are read of it.
type metered struct {
	store.Store
	n *atomic.Int64
}

func (m metered) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	rc, err := m.Store.Get(ctx, name, off, length)
	if err != nil {
		return nil, err
	}
	return meteredReader{rc, m.n}, nil
}

type meteredReader struct {
	io.ReadCloser
	n *atomic.Int64
}

func (r meteredReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.n.Add(int64(n))
	return n, err
}

package chain

import (
	"context"

	"hindsight/chain/store"
)

// Names in the archive.
var (
	ArchiveKey  = archiveKey
	ArchivedTOC = archivedTOC
)

// Upload gives tests an upload of their own.
type Upload struct{ *upload }

func StartUpload(ctx context.Context, st store.Store, name string, b PartBuffers) Upload {
	return Upload{startUpload(ctx, st, name, store.PutOptions{}, b.partBuffers)}
}

// PartBuffers gives tests buffers of their own.
type PartBuffers struct{ *partBuffers }

func NewPartBuffers(st store.Store, memory int64) PartBuffers {
	return PartBuffers{newPartBuffers(st, memory)}
}

// Idle reports whether all of memory bytes are given back.
func (b PartBuffers) Idle(memory int64) bool {
	if !b.budget.TryAcquire(memory) {
		return false
	}
	b.budget.Release(memory)
	return true
}

func (u Upload) Close() error      { return u.close() }
func (u Upload) Abort(cause error) { u.abort(cause) }
func (u Upload) Cancel()           { u.cancel() }

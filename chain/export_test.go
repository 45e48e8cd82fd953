package chain

import (
	"context"

	"golang.org/x/sync/semaphore"

	"hindsight/chain/store"
)

// Names in the archive.
var (
	ArchiveKey  = archiveKey
	ArchivedTOC = archivedTOC
)

// Upload gives tests an upload of their own.
type Upload struct{ *upload }

func StartUpload(ctx context.Context, st store.Store, name string, budget *semaphore.Weighted) Upload {
	return Upload{startUpload(ctx, st, name, store.PutOptions{}, budget)}
}

func (u Upload) Close() error      { return u.close() }
func (u Upload) Abort(cause error) { u.abort(cause) }
func (u Upload) Cancel()           { u.cancel() }

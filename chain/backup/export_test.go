package backup

import (
	"context"
	"log/slog"

	"hindsight/chain/difftar"
	"hindsight/chain/source"
)

// File is what a reader reads.
type File = file

// Read is what came of a file.
type Read struct {
	Kind      difftar.Kind
	Content   []byte // or delta
	Parts     []int  // their lengths
	Signature []byte
	Hash      [32]byte
	Size      int64
	Xattrs    []source.Xattr
	Err       error
	Warning   error
}

// ReadFile reads a file that the walk saw as item, with an old signature or none.
func ReadFile(ctx context.Context, item *source.Item, f File, old []byte, memory int64) Read {
	r := &run{Options: Options{Memory: memory, Progress: new(Progress), Log: slog.New(slog.DiscardHandler)}}
	t := r.newTask(item, nil)
	t.old = old
	go func() {
		defer close(t.parts)
		r.newReader().readFile(ctx, t, f)
	}()
	var got Read
	for p := range t.parts {
		got.Content = append(got.Content, p.bytes()...)
		got.Parts = append(got.Parts, p.n)
		p.free()
	}
	got.Kind, got.Signature, got.Err, got.Warning = t.kind, t.signature, t.err, t.warning
	got.Hash, got.Size, got.Xattrs = t.hash, t.size, t.xattrs
	return got
}

// MaxGrowth is how much of what a file grows by is read.
const MaxGrowth = maxGrowth

// ChangeTime is the time of a signature that is in doubt.
func ChangeTime(mtime int64) int64 { return doubtful(mtime) }

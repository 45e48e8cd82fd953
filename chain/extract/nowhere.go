package extract

import "hindsight/chain/difftar"

// Nowhere is the Sink that keeps nothing: with Options.Check a run into it checks a
// backup.
type Nowhere struct{}

var _ Sink = Nowhere{}

// WriteFile implements Sink.
func (Nowhere) WriteFile(Handle, string, *difftar.Meta, []byte) error { return nil }

// Create implements Sink.
func (Nowhere) Create(Handle, string) error { return nil }

// WriteAt implements Sink.
func (Nowhere) WriteAt(Handle, string, []byte, int64) error { return nil }

// Finish implements Sink.
func (Nowhere) Finish(Handle, string, *difftar.Meta) error { return nil }

// Release implements Sink.
func (Nowhere) Release(Handle, string) error { return nil }

// Commit implements Sink.
func (Nowhere) Commit(Handle, string) error { return nil }

// Discard implements Sink.
func (Nowhere) Discard(Handle, string) {}

// Object implements Sink.
func (Nowhere) Object(string, *difftar.Meta) error { return nil }

// Dir implements Sink.
func (Nowhere) Dir(string, *difftar.Meta) error { return nil }

// DirMeta implements Sink.
func (Nowhere) DirMeta(string, *difftar.Meta, bool) error { return nil }

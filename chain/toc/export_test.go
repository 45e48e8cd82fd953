package toc

// Skipped reports whether there was anything that this version does not know.
func (r *EntryReader) Skipped() bool { return r.rec.skipped }

// Skipped reports whether there was anything that this version does not know.
func (r *Reader) Skipped() bool { return r.rec.skipped }

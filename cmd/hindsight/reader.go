package main

import (
	"context"
	"errors"
	"io"

	"hindsight/index"
	"hindsight/index/content"
)

// reader is an open repository one of whose snapshots is read.
type reader struct {
	*browsing
	snapshot *index.Snapshot
	files    *content.Cache
	buf      []byte
}

// copyChunk is how many bytes of a file are asked for at once.
const copyChunk = 1 << 20

// contentMemory is the part of --memory that is for reading files, in bytes: less than
// the least that it takes it cannot be.
func (j *job) contentMemory() int64 { return max(int64(j.opt.memory)/4, content.MinMemory) }

// openReader opens a repository at the time that --time says.
func (j *job) openReader(ctx context.Context, url, arg string) (r *reader, err error) {
	at, err := j.stateTime(arg)
	if err != nil {
		return nil, err
	}
	r = &reader{buf: make([]byte, copyChunk)}
	if r.browsing, err = j.browse(ctx, url); err != nil {
		return nil, err
	}
	r.snapshot, err = r.snapshotAt(j, at)
	if err == nil {
		r.files, err = content.New(r.index, &r.Repository, content.Options{Memory: j.contentMemory(), Log: r.Log})
	}
	if err != nil {
		return nil, errors.Join(err, r.browsing.close())
	}
	return r, nil
}

func (r *reader) close() error { return errors.Join(r.files.Close(), r.browsing.close()) }

// copy writes the content of a file.
func (r *reader) copy(ctx context.Context, w io.Writer, e *index.Entry) (err error) {
	f, err := r.files.Open(ctx, r.snapshot, e.ID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for off := int64(0); ; {
		n, err := f.ReadAt(ctx, r.buf, off)
		if _, err := w.Write(r.buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		off += int64(n)
	}
}

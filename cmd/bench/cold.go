package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// smallFile is how many bytes the file of the phase oneFile has at most.
const smallFile = 16 << 10

// cold measures what is fetched by who has little at hand: a random small file of the newest
// state with an index and nothing else; and that state's tree with nothing at all.
func (r round) cold(ctx context.Context, t *tool) error {
	if t.cat == nil {
		return nil
	}
	path, err := r.small()
	if err != nil {
		return err
	}
	if err := r.measure(ctx, t, oneFile, func(t *tool) []string { return t.cat(t, path) }, false); err != nil {
		return err
	}
	return r.bare(ctx, t)
}

// small is the path of a small file of the source.
func (r round) small() (string, error) {
	var paths []string
	err := filepath.WalkDir(r.source(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 || info.Size() > smallFile {
			return err
		}
		path, err = filepath.Rel(r.source(), path)
		paths = append(paths, path)
		return err
	})
	if err != nil {
		return "", err
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("no file of 1 to %d bytes in %s", smallFile, r.source())
	}
	return paths[rand.IntN(len(paths))], nil
}

// bare mounts with an empty cache, lists the root of the newest state and walks through it.
func (r round) bare(ctx context.Context, t *tool) (err error) {
	bare := *t
	bare.cache += "-bare"
	start := time.Now()
	_, before := r.remote.bytes()
	unmount, err := r.mounted(ctx, &bare, bareMount)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount(), os.RemoveAll(bare.cache)) }()
	look := func(p phase, name string, args ...string) error {
		if err := exec.CommandContext(ctx, name, args...).Run(); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		_, now := r.remote.bytes()
		r.results.add(t, p, usage{wall: time.Since(start), link: now - before}, false)
		return nil
	}
	tree := bare.tree(&bare) + "/"
	if err := look(bareList, "ls", "-l", tree); err != nil {
		return err
	}
	return look(bareFind, "find", tree, "-size", "-0")
}
